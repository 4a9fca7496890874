"""English, Spanish and German: the catalogues are whole, and each reader is spoken to in their own language."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template import engines
from django.test import Client
from django.utils import dates, timezone, translation
from django.utils.translation import gettext_lazy
from django_tenants.utils import get_tenant_model, schema_context

from config.management.commands.seed_demo import PAYMENT_FAILED
from config.running.folders import PROJECT
from messages_extends.access.guards import require_may_change
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, send
from messages_extends.exceptions import MustAcknowledge
from messages_extends.inbox.badge import UnreadBadge
from messages_extends.models import Announcement, Message
from messages_extends.templatetags.messages_extends import ago
from tenants.models import Tenant
from tests.catalogues import compiled, entries_of, header_of
from tests.factories import BrowserOf, MakeUser
from tests.unit.storages.test_storages import make_request

pytestmark = pytest.mark.usefixtures("in_acme")

APPS = ("messages_extends", "tenants", "config")
LANGUAGES = ("en", "es", "de")
TRANSLATED = ("es", "de")
EXTRACT = ("makemessages", "--locale=de", "--no-location", "--no-wrap", "--no-obsolete", "--verbosity=0")


def catalogue(app: str, language: str) -> Path:
    return PROJECT / app / "locale" / language / "LC_MESSAGES" / "django.po"


CATALOGUES = [catalogue(app, language) for app in APPS for language in LANGUAGES]


def marks(text: str) -> list[str]:
    """Return what has to be the same in every language: placeholders and tags."""
    return sorted(re.findall(r"%\(\w+\)[sd]|%[sd]|</?\w+>", text))


def test_languages_setting_equals_existing_catalogues() -> None:
    assert {code for code, _name in settings.LANGUAGES} == set(LANGUAGES)
    for app in APPS:
        assert {path.name for path in (PROJECT / app / "locale").iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(PROJECT).parent.parent))
class TestCatalogue:
    def test_catalogue_has_no_fuzzy_or_missing_translation(self, path: Path) -> None:
        entries = entries_of(path)
        assert entries
        assert [entry.key for entry in entries if entry.fuzzy or not entry.texts or not all(entry.texts)] == []

    def test_catalogue_has_every_plural_form(self, path: Path) -> None:
        forms = int(re.findall(r"nplurals=(\d)", header_of(path))[0])
        assert {len(entry.texts) for entry in entries_of(path) if entry.msgid_plural} <= {forms}

    def test_compiled_catalogue_equals_source(self, path: Path) -> None:
        assert compiled(path) == {entry.key: entry.texts for entry in entries_of(path)}

    def test_catalogue_keeps_placeholders_and_tags(self, path: Path) -> None:
        for entry in entries_of(path):
            allowed = [marks(entry.msgid), marks(entry.msgid_plural)]
            assert all(marks(text) in allowed for text in entry.texts), entry.key

    def test_catalogue_has_same_msgids_as_english(self, path: Path) -> None:
        english = path.parents[2] / "en" / "LC_MESSAGES" / "django.po"
        assert [entry.key for entry in entries_of(path)] == [entry.key for entry in entries_of(english)]

    def test_package_catalogue_names_language_code(self, path: Path) -> None:
        if path.is_relative_to(PROJECT / "messages_extends"):
            assert compiled(path)["language code\x04en"] == [path.parents[1].name]

    def test_catalogue_header_has_no_author_or_date(self, path: Path) -> None:
        assert not re.search(r"@|\d{4}-\d\d|YEAR|#", header_of(path))

    def test_catalogue_has_no_msgid_of_month_or_weekday(self, path: Path) -> None:
        """ "May" once was a heading: every date of that month would have been shown with it."""
        with translation.override(None):
            words = {str(word) for word in (*dates.MONTHS.values(), *dates.WEEKDAYS.values())}
        assert words.isdisjoint(entry.msgid for entry in entries_of(path) if not entry.msgctxt)


@pytest.mark.parametrize("app", APPS)
def test_catalogues_equal_makemessages_output(app: str, tmp_path: Path) -> None:
    if shutil.which("xgettext") is None:
        pytest.skip("GNU gettext is not installed (Debian: apt install gettext).")
    copy = shutil.copytree(PROJECT / app, tmp_path / app, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
    # Without settings: ours lie elsewhere.
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-m", "django", *EXTRACT]
    subprocess.run(command, cwd=copy, env=environment, check=True, capture_output=True)
    extracted = entries_of(copy / "locale" / "de" / "LC_MESSAGES" / "django.po")
    assert {entry.key for entry in extracted} == {entry.key for entry in entries_of(catalogue(app, "de"))}


# Pages --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def of_alice(acme: Tenant, root: Any, browser_of: BrowserOf) -> Client:
    return browser_of(acme, root)


def shown(browser: Client, address: str, language: str) -> str:
    response = browser.get(address, headers={"accept-language": language})
    assert response.headers["Content-Language"] == language
    assert f'<html lang="{language}"' in response.text
    return unescape(response.text)


def english_left(page: str, language: str) -> list[str]:
    """Return our sentences, of three words and more, that a page shows in English."""
    pairs = [(entry, entry.texts[0]) for app in APPS for entry in entries_of(catalogue(app, language))]
    sentences = {entry.msgid for entry, text in pairs if text != entry.msgid and len(entry.msgid.split()) > 2}
    return [sentence for sentence in sentences if "%" not in sentence and sentence in page]


PAGES = {
    "/": ("Probieren Sie jede Art von Nachricht aus", "Pruebe todos los tipos de mensajes"),
    "/messages/": ("Alle als gelesen markieren", "Marcar todo como leído"),
    "/messages/?unread=1&kind=broadcast": ("Nichts entspricht diesem Filter.", "Nada coincide con este filtro."),
    "/messages/compose/": ("Noch wird nichts gesendet", "Todavía no se envía nada"),
    "/messages/announcements/": ("0 von 2 haben es gelesen", "Lo han leído 0 de 2"),
    "/messages/announcements/new/": ("Alle bei Acme", "Todos en Acme"),
    "/messages/grants/": ("Es gibt noch keine Berechtigungen.", "Todavía no hay permisos."),
    "/messages/grants/why/": ("Nachrichtenberechtigung prüfen", "Comprobar un permiso de mensajería"),
    "/people/": ("Jemanden einladen", "Invitar a alguien"),
}


class TestPages:
    @pytest.mark.parametrize("number", range(len(TRANSLATED)))
    @pytest.mark.parametrize("address", PAGES)
    def test_pages_use_language_of_browser(
        self, of_alice: Client, root: Any, make_user: MakeUser, address: str, number: int
    ) -> None:
        language = ("de", "es")[number]
        send(root, "Hola und hello")
        announce("Hola und hello", to=EVERYONE)
        make_user("bob")
        page = shown(of_alice, address, language)
        assert PAGES[address][number] in page
        assert english_left(page, language) == []
        assert english_left(shown(of_alice, address, "en"), language) != []

    @pytest.mark.parametrize("language", TRANSLATED)
    def test_announcement_pages_are_translated(self, of_alice: Client, language: str) -> None:
        announcement = announce("Hola und hello", to=EVERYONE, must_acknowledge=True)
        address = f"/messages/announcements/{announcement.pk}/"
        for page in ("", "edit/", "retract/"):
            assert english_left(shown(of_alice, f"{address}{page}", language), language) == []

    @pytest.mark.parametrize("language", TRANSLATED)
    def test_platform_pages_are_translated(
        self, database: None, make_user: MakeUser, browser_of: BrowserOf, language: str
    ) -> None:
        with schema_context("platform"):
            platform = get_tenant_model().objects.get(schema_name="platform")
            browser = browser_of(platform, make_user("olivia", is_superuser=True))
            published = broadcast("Hola und hello", to=ALL_TENANTS)
        for page in ("", "new/", f"{published.pk}/", f"{published.pk}/edit/", f"{published.pk}/retract/"):
            assert english_left(shown(browser, f"/messages/broadcasts/{page}", language), language) == []
        for address in ("/organisations/", "/organisations/new/"):
            assert english_left(shown(browser, address, language), language) == []

    @pytest.mark.parametrize("language", TRANSLATED)
    def test_form_errors_are_translated(self, of_alice: Client, make_user: MakeUser, language: str) -> None:
        make_user("bob")
        wrong = {"message": "\0", "url": "javascript:x", "level": "7", "expires": "yesterday", "people": "0"}
        for address in ("/messages/compose/", "/messages/announcements/new/", "/messages/grants/"):
            response = of_alice.post(address, wrong, headers={"accept-language": language})
            assert response.status_code == 400
            assert english_left(unescape(response.text), language) == []

    def test_pages_in_unsupported_language_use_english(self, of_alice: Client) -> None:
        response = of_alice.get("/messages/", headers={"accept-language": "fr, ja;q=0.5"})
        assert response.headers["Content-Language"] == "en"

    def test_refusals_are_translated(self, of_alice: Client, root: Any, make_user: MakeUser) -> None:
        announcement = announce("Hola und hello", to=EVERYONE, must_acknowledge=True)
        with translation.override("de"), pytest.raises(PermissionDenied, match="Ankündigung nicht ändern"):
            require_may_change(make_user("bob"), announcement)
        address = f"/messages/mark_read/{announcement.reference}/"
        response = of_alice.post(address, headers={"accept-language": "de"})
        assert response.status_code == 409
        assert "weder schließen" in response.text
        assert of_alice.post(address).text == str(MustAcknowledge())


class TestInflection:
    @pytest.mark.parametrize(
        ("language", "words"), [("en", "2 days ago"), ("de", "vor 2 Tagen"), ("es", "hace 2 días")]
    )
    def test_ago_uses_grammatical_form_of_language(self, language: str, words: str) -> None:
        with translation.override(language):
            assert ago(timezone.now() - timedelta(days=2, hours=1)).replace("\xa0", " ") == words

    @pytest.mark.parametrize(
        ("language", "date"),
        [("en", "May 3, 2026, 2:05 p.m."), ("de", "3. Mai 2026 14:05"), ("es", "3 de mayo de 2026 a las 14:05")],
    )
    def test_dates_use_format_of_reader_language(self, of_alice: Client, language: str, date: str) -> None:
        announce("Hola und hello", to=EVERYONE)
        Announcement.objects.update(publish_at=datetime(2026, 5, 3, 14, 5, tzinfo=UTC))
        assert date in shown(of_alice, "/messages/announcements/", language)

    def test_plurals_follow_language(self) -> None:
        with translation.override("es"):
            assert [UnreadBadge(count).name for count in (0, 1, 5)] == [
                "Mensajes, ninguno sin leer",
                "Mensajes, 1 sin leer",
                "Mensajes, 5 sin leer",
            ]
            one, many = "%(count)s person will receive it", "%(count)s people will receive it"
            assert translation.ngettext(one, many, 1) == "Lo recibirá %(count)s persona"
            assert translation.ngettext(one, many, 1_000_000) == "Lo recibirán %(count)s de personas"


class TestOneMessage:
    """The row has a msgid and its params; the language is that of whoever reads it."""

    GERMAN = "Die Zahlung für die Bestellung 1842 ist fehlgeschlagen: Die Karte ist abgelaufen."
    ENGLISH = "The payment for order 1842 has failed: the card has expired."

    def test_announcement_renders_in_language_of_each_reader(
        self, acme: Tenant, in_acme: Tenant, make_user: MakeUser, browser_of: BrowserOf
    ) -> None:
        announce(PAYMENT_FAILED, params={"order": 1842}, to=EVERYONE)
        anna, ben = browser_of(acme, make_user("anna")), browser_of(acme, make_user("ben"))
        assert self.GERMAN in shown(anna, "/messages/", "de")
        assert self.ENGLISH in shown(ben, "/messages/", "en")
        assert self.GERMAN in shown(anna, "/", "de")
        assert Announcement.objects.count() == 1

    def test_message_renders_in_language_of_each_browser(self, of_alice: Client, root: Any) -> None:
        with translation.override("es"):
            send(root, PAYMENT_FAILED, params={"order": 1842})
        assert self.GERMAN in shown(of_alice, "/messages/", "de")
        assert self.ENGLISH in shown(of_alice, "/messages/", "en")
        assert Message.objects.get().message == PAYMENT_FAILED

    def test_message_without_params_is_never_translated(self, of_alice: Client, root: Any) -> None:
        send(root, "The payment has failed.")
        assert "The payment has failed." in shown(of_alice, "/messages/", "de")


# A language that our words have not been translated into -----------------------------------------------------------

ARABIC = re.compile("[\u0600-\u06ff]")
CATALOGUE = """
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\nPlural-Forms: nplurals=6; plural=0;\\n"
msgctxt "language code"
msgid "en"
msgstr "ar"
msgid "Inbox"
msgstr "صندوق الوارد"
"""


@pytest.fixture
def in_arabic(settings: Any, in_acme: Tenant, make_user: MakeUser) -> None:
    """Make a host that speaks Arabic too; our words, unlike Django's, have no Arabic catalogue."""
    make_user("bob")
    # The layout of the reference product is a host's, and has its own catalogues.
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "العربية")]


def host_page(code: str, request: HttpRequest) -> str:
    with translation.override("ar"):
        return str(engines["django"].from_string("{% load messages_extends %}" + code).render({}, request))


@pytest.mark.usefixtures("in_arabic")
class TestUntranslatedInterface:
    @pytest.mark.parametrize("address", [address for address in PAGES if address.startswith("/messages/")])
    def test_pages_without_catalogue_for_language_are_fully_english(self, of_alice: Client, address: str) -> None:
        announce("Hello", to=EVERYONE)
        response = of_alice.get(address, headers={"accept-language": "ar"})
        assert re.findall(f".*{ARABIC.pattern}.*", response.text) == []
        assert '<html lang="en">' in response.text
        assert '<div lang="en" dir="ltr">' in response.text

    def test_form_errors_without_catalogue_for_language_are_english(self, of_alice: Client) -> None:
        for address in ("/messages/compose/", "/messages/announcements/new/", "/messages/grants/"):
            response = of_alice.post(address, {"level": "7"}, headers={"accept-language": "ar"})
            assert response.status_code == 400
            assert re.findall(f".*{ARABIC.pattern}.*", response.text) == []

    def test_template_tags_without_catalogue_for_language_render_english(self, in_acme: Tenant, root: Any) -> None:
        send(root, "Hello")
        request = make_request(in_acme, root)
        tags = "{% message_bell %}{% messages_nav %}{% message_banners %}"
        page = host_page(tags + "{% for message in messages %}{{ message.level|level_name }}{% endfor %}", request)
        assert not ARABIC.search(page)
        assert page.count('lang="en" dir="ltr"') == 2
        assert host_page("{% load i18n %}{% translate 'Yes' %}", request) == "نعم"

    def test_page_fragments_without_catalogue_for_language_are_english(self, of_alice: Client, root: Any) -> None:
        send(root, "Hello")
        for address in ("/messages/panel/", "/messages/banners/"):
            page = of_alice.get(address, headers={"accept-language": "ar"}).text
            assert "Hello" in page
            assert not ARABIC.search(page)
            assert 'lang="en" dir="ltr"' in page

    def test_messages_use_reader_language_on_untranslated_page(
        self, in_acme: Tenant, of_alice: Client, root: Any
    ) -> None:
        """ "Yes" stands for a text of the host's, which has an Arabic catalogue."""
        send(root, "Yes", params={})
        announce("Sunday", params={}, to=EVERYONE)
        page = of_alice.get("/messages/", headers={"accept-language": "ar"}).text
        assert "نعم" in page
        assert "الأحد" in page
        request = make_request(in_acme, root)
        messages.info(request, gettext_lazy("Yes"))
        assert host_page("{% message_banners %}", request).count(">نعم</span>") == 2

    def test_untranslated_page_prefers_language_code_over_english(self, settings: Any, of_alice: Client) -> None:
        settings.LANGUAGE_CODE = "de"
        settings.LANGUAGES = [*settings.LANGUAGES]
        page = of_alice.get("/messages/", headers={"accept-language": "ar"}).text
        assert "Posteingang" in page
        assert '<html lang="de">' in page
        assert english_left(page, "de") == []

    def test_host_catalogue_adds_language(self, settings: Any, of_alice: Client, tmp_path: Path) -> None:
        if shutil.which("msgfmt") is None:
            pytest.skip("GNU gettext is not installed (Debian: apt install gettext).")
        folder = tmp_path / "ar" / "LC_MESSAGES"
        folder.mkdir(parents=True)
        (folder / "django.po").write_text(CATALOGUE)
        subprocess.run(["msgfmt", "django.po", "-o", "django.mo"], cwd=folder, check=True)
        settings.LOCALE_PATHS = [tmp_path]
        page = of_alice.get("/messages/", headers={"accept-language": "ar"}).text
        assert "صندوق الوارد" in page
        assert '<html lang="ar" dir="rtl">' in page

    def test_regional_language_variant_is_translated(self, settings: Any, of_alice: Client) -> None:
        settings.LANGUAGES = [*settings.LANGUAGES, ("es-mx", "Español de México")]
        page = of_alice.get("/messages/", headers={"accept-language": "es-mx"}).text
        assert '<html lang="es-mx">' in page
        assert "Bandeja de entrada" in page
