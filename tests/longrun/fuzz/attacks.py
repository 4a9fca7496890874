"""Kinds of attacks. Each makes inputs for one entry_point, sends them, and notes what an answer must not be."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode

import hypothesis.strategies as st
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils.safestring import mark_safe
from django_tenants.utils import schema_context
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings

from messages_extends import api
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.exceptions import MessagesExtendsError
from tests.longrun.fuzz import inputs, oracle
from tests.longrun.fuzz.entry_points import EntryPoint, known_names, names_asked_for
from tests.longrun.fuzz.targets import Targets, canaries_for, session_cookie, signed_elsewhere, taken_back

Data = Any
MEMBERS: Final = ("reader", "administrator", "operator")
# Most often those who get past the entry_point.
INSIDERS: Final = (*MEMBERS, *MEMBERS, "stranger", "intruder")
FORM: Final = "application/x-www-form-urlencoded"


@dataclass
class Report:
    """How many inputs of each kind were sent, what was answered, and what was found."""

    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    found: dict[str, str] = field(default_factory=dict)

    def note(self, kind: str, entry_point: str, status: int, faults: list[str], what: object) -> None:
        self.sent[kind] += 1
        self.statuses[kind, status] += 1
        for fault in faults:
            self.found.setdefault(f"{kind} at {entry_point}: {fault}", repr(what)[:600])


@dataclass
class Attack:
    """One kind of attack at one entry_point."""

    kind: str
    entry_point: EntryPoint
    targets: Targets
    report: Report

    def ask(self, person: str, method: str, path: str, *, client: Client | None = None, **options: Any) -> Any:
        """Send one request and judge the answer; what it writes is taken back."""
        host, _cookies = self.targets.people[person]
        with taken_back() as wrote:
            response = (client or self.targets.client(person)).generic(method, path, **options)
        host = options.get("headers", {}).get("host", host)
        canaries = () if "globex" in host else canaries_for(person)
        found = oracle.faults(response, host, path, canaries) + self._wrong_writes(host, wrote)
        self.report.note(
            self.kind, self.entry_point.route, response.status_code, found, (person, method, path, options)
        )
        return response

    def _wrong_writes(self, host: str, wrote: dict[str, int]) -> list[str]:
        allowed = {"acme": {"acme"}, "platform": {"platform", "public"}, "globex": {"globex"}}
        own = allowed.get(host.lower().partition(".")[0], set())
        return [f"wrote {rows} rows in {schema}" for schema, rows in wrote.items() if rows and schema not in own]

    def path(self, data: Data) -> str:
        """Return the path of the entry point, with keys in it that exist somewhere."""
        return self.entry_point.path(
            *(data.draw(st.sampled_from(self.targets.keys[kind])) for kind in self.entry_point.kinds)
        )

    def person(self, data: Data) -> str:
        return "passer-by" if self.entry_point.is_public else str(data.draw(st.sampled_from(INSIDERS)))

    # The kinds ------------------------------------------------------------------------------------------------------

    def forms(self, data: Data) -> None:
        """Change some fields of the page's own form, and add others that any form has."""
        person, path = self.person(data), self.path(data)
        fields = dict(self.targets.form(person, path))
        names = st.one_of(*map(st.sampled_from, filter(None, (tuple(fields), names_asked_for(), known_names()))))
        changes = data.draw(st.dictionaries(names, st.lists(inputs.malicious, min_size=1, max_size=2), max_size=4))
        values = [*((name, value) for name, value in fields.items() if name not in changes)]
        values += [(name, value) for name, given in changes.items() for value in given]
        if data.draw(st.booleans()):
            self.ask(person, "POST", path, data=_encoded(values), content_type=FORM)
        else:
            self.ask(person, "GET", path, QUERY_STRING=_encoded(values).decode())

    def ways(self, data: Data) -> None:
        """Do what ends with a way back, and say in every place that is looked at that this is elsewhere."""
        person, path = data.draw(st.sampled_from(MEMBERS)), self.path(data)
        place, way = (
            st.sampled_from(("field", "query", "Referer", "X-Forwarded-Host")),
            st.sampled_from(inputs.ELSEWHERE),
        )
        ways = data.draw(st.dictionaries(place, way, min_size=1, max_size=2))
        headers = {name: _as_header(ways[name]) for name in ("Referer", "X-Forwarded-Host") if name in ways}
        fields = dict(self.targets.form(person, path)) | ({"next": ways["field"]} if "field" in ways else {})
        query = _encoded([("next", ways["query"])]).decode() if "query" in ways else ""
        body = {"data": _encoded(list(fields.items())), "content_type": FORM}
        self.ask(person, "POST", path, headers=headers, QUERY_STRING=query, **body)

    def keys(self, data: Data) -> None:
        """Put into the path what no page of ours would."""
        keys = [data.draw(inputs.keys_of(kind, self.targets.keys[kind])) for kind in self.entry_point.kinds]
        path = self.entry_point.path(*(key.encode("utf-8", "replace").decode() for key in keys))
        method = data.draw(st.sampled_from(("GET", "POST")))
        self.ask(
            self.person(data), method, path + ("" if self.entry_point.kinds else data.draw(st.sampled_from(PATH_ENDS)))
        )

    def headers(self, data: Data) -> None:
        person, path = self.person(data), self.path(data)
        headers = data.draw(inputs.headers)
        if data.draw(st.integers(0, 3)) == 0:
            headers["host"] = data.draw(st.sampled_from(inputs.HOSTS)).encode().decode("latin-1")
        self.ask(person, data.draw(st.sampled_from(("GET", "POST"))), path, headers=headers)

    def cookies(self, data: Data) -> None:
        person, path = self.person(data), self.path(data)
        client = self.targets.client(person)
        for name in data.draw(st.lists(st.sampled_from(COOKIES), min_size=1, max_size=3)):
            value = data.draw(self._cookie_values)
            # As they stand in the header: no one has looked at them before Django does.
            client.cookies[name or session_cookie()] = ""
            client.cookies[name or session_cookie()].set(name or session_cookie(), value, value)
        self.ask(person, data.draw(st.sampled_from(("GET", "POST"))), path, client=client)

    @cached_property
    def _cookie_values(self) -> st.SearchStrategy[str]:
        known = [value for _host, cookies in self.targets.people.values() for value in cookies.values()]
        tampered = st.builds(inputs._twist, st.sampled_from(known), st.integers(0, 80), st.characters(codec="ascii"))
        cut = st.builds(lambda text, at: text[:at], st.sampled_from(known), st.integers(0, 80))
        forged = inputs.malicious.map(lambda text: signed_elsewhere(f'[["__json_message",0,20,"{text}",""]]'))
        values = st.one_of(st.sampled_from(known), tampered, cut, forged, inputs.malicious)
        return values.map(_as_header)

    def bodies(self, data: Data) -> None:
        kind, body = data.draw(
            st.one_of(
                st.sampled_from(inputs.BODIES), st.tuples(st.just(FORM), st.binary(max_size=200)), _multipart_bodies
            )
        )
        method = data.draw(st.sampled_from((*inputs.METHODS, *["POST"] * 5)))
        self.ask(self.person(data), method, self.path(data), data=body, content_type=kind)

    def twins(self, data: Data) -> None:
        """Ask for what is not one's own, and for what is not there: nobody can tell which was which."""
        person = data.draw(st.sampled_from(("reader", "administrator", "stranger", "operator")))
        chosen = [data.draw(st.sampled_from(self.targets.twins[kind])) for kind in self.entry_point.kinds]
        method = data.draw(st.sampled_from(("GET", "POST")))
        fields = _encoded([(data.draw(st.sampled_from(known_names())), data.draw(inputs.malicious)) for _ in range(2)])
        headers = data.draw(inputs.headers)
        answers = []
        if person == "operator" and "broadcasts" in self.entry_point.route:
            return
        for keys in ([theirs for theirs, _ in chosen], [nowhere for _, nowhere in chosen]):
            options = {"data": fields, "content_type": FORM, "headers": headers}
            response = self.ask(person, method, self.entry_point.path(*keys), **options)
            answers.append(oracle.answer(response, *_spellings(keys)))
        if answers[0] != answers[1]:
            self.report.found.setdefault(
                f"{self.kind} at {self.entry_point.route}: told apart: {answers[0][0]} {answers[1][0]}",
                repr((person, method, chosen, fields, headers)),
            )

    def texts(self, data: Data) -> None:
        """Have code say anything; whatever is stored, all pages show it as text."""
        options = {
            "params": data.draw(_params),
            "url": data.draw(st.one_of(st.just(""), inputs.malicious)),
            "extra_tags": data.draw(inputs.malicious)[:128],
            "key": data.draw(inputs.malicious)[:100],
        }
        text = data.draw(inputs.malicious.filter(lambda text: text.strip()))
        is_safe = data.draw(st.integers(0, 4)) == 0 and inputs.MARK not in text
        with taken_back() as wrote:
            stored = self._say(mark_safe(text) if is_safe else text, options, data.draw(st.booleans()))
            response = self.targets.client("reader").get(self.path(data))
        found = oracle.faults(response, "acme.localhost", "/", canaries_for("reader"))
        found += self._wrong_writes("acme.localhost", wrote)
        self.report.note(self.kind, self.entry_point.route, response.status_code, found, (text, options, stored))

    def _say(self, text: str, options: dict[str, Any], announced: bool) -> bool:
        with schema_context("acme"), suppress(ValueError, PermissionDenied, MessagesExtendsError):
            if announced:
                api.announce(text, to=api.EVERYONE, level=INFO_PERSISTENT, **options)
            else:
                api.send(get_user_model().objects.get(pk=1), text, level=INFO_PERSISTENT, **options)
            return True
        return False


PATH_ENDS: Final = (
    "",
    "..",
    "%00",
    "%2e%2e/",
    "//",
    "?",
    ";a=b",
    "%0d%0aX-Injected:1",
    "%ff",
    "a" * 3_000,
    "<mxinjected>",
)
# "": that of the session, whatever it is called.
COOKIES: Final = ("", "", "messages", "messages_acme", "messages_globex", "csrftoken", "django_language", "__proto__")

_scalars = st.one_of(inputs.malicious, st.integers(), st.floats(), st.none(), st.booleans(), st.just(object()))
_params = st.one_of(
    st.none(),
    st.none(),
    st.dictionaries(st.one_of(st.sampled_from(("name", "a", "")), inputs.malicious), _scalars, max_size=3),
    st.lists(_scalars, max_size=3),
    inputs.malicious,
)
_multipart_bodies = st.builds(
    lambda name, value, kind: (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="'
        + name.encode("utf-8", "surrogatepass")
        + kind
        + value.encode("utf-8", "surrogatepass")
        + b"\r\n--x--\r\n",
    ),
    st.one_of(st.sampled_from(("message", "number", "step", "next")), inputs.malicious),
    inputs.malicious,
    st.sampled_from(
        (b'"\r\n\r\n', b'"; filename="a"\r\n\r\n', b'"\r\nContent-Type: text/html; charset=x\r\n\r\n', b'"')
    ),
)


def _encoded(values: list[tuple[str, str]]) -> bytes:
    return urlencode([(name, value.encode("utf-8", "surrogatepass")) for name, value in values]).encode()


def _as_header(text: str) -> str:
    value = text.encode("utf-8", "surrogatepass").decode("latin-1")
    return "".join(character for character in value if character not in "\r\n;\0")


def _spellings(keys: list[str]) -> list[str]:
    return sorted({form for key in keys for form in (key, key.replace("-", ""))}, key=len, reverse=True)


Kind = Callable[[Attack, Data], None]
# Of a hundred inputs, how many.
SHARES: Final[dict[str, int]] = {
    "forms": 30,
    "ways": 5,
    "keys": 10,
    "headers": 15,
    "cookies": 12,
    "bodies": 8,
    "twins": 8,
    "texts": 12,
}
# Which pages show messages.
SHOWING: Final = ("", "messages/", "messages/panel/", "messages/badge/", "messages/banners/", "messages/announcements/")


def applies(kind: str, entry_point: EntryPoint) -> bool:
    if kind == "twins":
        return bool(entry_point.kinds)
    return entry_point.route in SHOWING and not entry_point.is_public if kind == "texts" else True


def run(
    kind: str, entry_point: EntryPoint, targets: Targets, report: Report, *, examples: int, number: int = 0
) -> None:
    """Send some inputs of a kind to a entry_point; `number` makes them others than those of another run."""
    attack = Attack(kind, entry_point, targets, report)

    @seed(number)
    @hypothesis_settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def send(data: Data) -> None:
        getattr(attack, kind)(data)

    send()
