"""Template tags and filters: `{% load messages_extends %}`."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, wraps
from html import unescape
from typing import Final, cast

from django import template
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.messages import get_messages
from django.contrib.messages.storage.base import Message as OrdinaryMessage
from django.http import HttpRequest
from django.template import Context, Engine
from django.template.base import NodeList, Parser, Token
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.safestring import SafeData, SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext, npgettext_lazy
from django.utils.translation import gettext_lazy as _

from messages_extends.access.pages import accessible_pages
from messages_extends.conf import settings
from messages_extends.constants import DEBUG, ERROR, INFO, SUCCESS, WARNING, base_level
from messages_extends.inbox.badge import UnreadBadge
from messages_extends.inbox.inbox import with_senders
from messages_extends.inbox.items import FeedItem
from messages_extends.inbox.unread import note_personal, unread_for
from messages_extends.labels import KIND_NAMES, LEVEL_NAMES
from messages_extends.links import APP_NAME, reverse_if_any, reverse_page, start_page, within_organisation
from messages_extends.live.browser_channel import broadcast_channel_name
from messages_extends.tenancy.schemas import has_messages, in_schema, schema_of
from messages_extends.texts.languages import in_interface_language, in_readers_language, language_attributes

register = template.Library()

# A function that returns the context of an included template.
PartOfPage = Callable[..., dict[str, object]]

BOOTSTRAP_NAMES = {DEBUG: "secondary", INFO: "info", SUCCESS: "success", WARNING: "warning", ERROR: "danger"}
ICONS = {DEBUG: "debug", INFO: "info", SUCCESS: "success", WARNING: "warning", ERROR: "error"}
NAV = {
    "inbox": _("Inbox"),
    "message_compose": _("New message"),
    "message_sent": _("Sent"),
    "announcements": _("Announcements"),
    "broadcasts": _("Broadcasts"),
    "message_grants": _("Messaging permissions"),
}
# With a context, because some languages inflect the unit in "2 days ago" ("vor 2 Tagen").
AGO = {
    "year": npgettext_lazy("ago", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("ago", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("ago", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("ago", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("ago", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("ago", "%(num)d minute", "%(num)d minutes", "num"),
}
# The number of characters that fit into two lines on a phone.
MAX_SHORT_TEXT: Final = 40


def part_of_page(template_name: str) -> Callable[[PartOfPage], PartOfPage]:
    """Register a tag that includes a template with the context that the function returns.

    Without a request it renders nothing, as in 500.html and in most e-mails.
    """

    def register_tag(function: PartOfPage) -> PartOfPage:
        @register.simple_tag(takes_context=True, name=function.__name__)
        @wraps(function)
        def render(context: Context, *args: object, **kwargs: object) -> str:
            request = context.get("request")
            if request is None or context.template is None:
                return ""
            included = context.template.engine.get_template(template_name)
            with in_interface_language():
                values = {
                    "request": request,
                    "csrf_token": context.get("csrf_token"),
                    "language_attributes": language_attributes(),
                    **function(context, *args, **kwargs),
                }
                # Where an inline element is put, a line break around it would be a gap.
                return SafeString(included.render(context.new(values)).strip())

        return function

    return register_tag


@part_of_page("messages_extends/includes/assets.html")
def message_assets(context: Context) -> dict[str, object]:
    """Include the style sheet and the script, once per page.

    The bell and the banners include them if the tag was not used before.
    """
    return {"assets": _needs_assets(context["request"])}


@part_of_page("messages_extends/includes/banners.html")
def message_banners(context: Context, only_saved: bool = False) -> dict[str, object]:
    """Show the messages of this page, each with a button to close or acknowledge it.

    With `only_saved`, show only saved messages, for pages that show the other ones themselves.
    """
    request = context["request"]
    messages, saved = [each for each in get_messages(request) if _is_saved(each) or not only_saved], "all"
    with in_readers_language():
        for each in messages:
            if isinstance(each, OrdinaryMessage):
                # A lazy text of the host project is translated when it is converted to a string.
                each.message = str(each.message)
    if request.resolver_match is not None and APP_NAME in request.resolver_match.app_names:
        # The inbox lists saved messages itself, and on other pages only urgent ones are shown.
        saved = "none" if request.resolver_match.url_name == "inbox" else "urgent"
        messages = [
            each
            for each in messages
            if not _is_saved(each) or (saved == "urgent" and getattr(each, "must_acknowledge", False))
        ]
    if any(getattr(each, "sender_id", None) for each in messages):
        with in_schema(schema_of(request)):
            with_senders(unread_for(request, request.user).shown)
    return {"assets": _needs_assets(request), "banners": messages, "saved": saved}


@part_of_page("messages_extends/includes/bell.html")
def message_bell(context: Context) -> dict[str, object]:
    """Show the bell with the number of unread messages, if a user is logged in.

    It needs one query, or none if the page has shown banners before.
    """
    request = context["request"]
    assets, user, schema = _needs_assets(request), _authenticated_user(request), schema_of(request)
    if user is None or not has_messages(schema):
        return {"assets": assets, "badge": None}
    with in_schema(schema):
        unread = unread_for(request, user)
    return {
        "assets": assets,
        "badge": UnreadBadge(unread.count),
        "unread": unread,
        "live": broadcast_channel_name(schema, user) if settings.push_bus else "",
        "stream": reverse_if_any("message_stream"),
        "urgent": " ".join(str(item.pk) for item in unread.shown if base_level(item.level) >= WARNING),
        "now": timezone.now(),
    }


@part_of_page("messages_extends/includes/nav.html")
def messages_nav(context: Context, here: str = "") -> dict[str, object]:
    """Show links to the pages that the user may open, with `here` as the current one, if a user is logged in.

    It needs one or two queries.
    """
    note_personal(context["request"])
    user = _authenticated_user(context["request"])
    if user is None:
        return {"pages": []}
    access = accessible_pages(user)
    is_accessible = {
        "inbox": has_messages(schema_of(context["request"])),
        "message_compose": access.compose,
        "message_sent": access.compose or access.announcements,
        "announcements": access.announcements,
        "broadcasts": access.broadcasts,
        "message_grants": access.grants,
    }
    pages = [(name, reverse_if_any(name), NAV[name]) for name, may_open in is_accessible.items() if may_open]
    return {"pages": [page for page in pages if page[1]], "here": here}


def _authenticated_user(request: HttpRequest) -> AbstractBaseUser | None:
    """Return the authenticated user; None for anonymous users and for requests that no middleware has processed."""
    user: AbstractBaseUser | None = getattr(request, "user", None)
    return None if user is None or not user.is_authenticated else user


def _needs_assets(request: HttpRequest) -> bool:
    seen = getattr(request, "_messages_extends_assets", False)
    request._messages_extends_assets = True  # type: ignore[attr-defined]
    return not seen


def _is_saved(message: object) -> bool:
    """Tell whether a message is saved, or is the item "and n more" for saved messages."""
    return bool(getattr(message, "pk", None) or getattr(message, "is_more", False))


@register.simple_tag(takes_context=True)
def message_icon(context: Context, name: str) -> SafeString:
    """Return the icon called `name`, in the colour of the text around it."""
    if context.template is None:
        return SafeString()
    engine = context.template.engine
    # Templates that are edited during development are loaded again.
    return _icon.__wrapped__(engine, name) if engine.debug else _icon(engine, name)


@lru_cache(maxsize=64)
def _icon(engine: Engine, name: str) -> SafeString:
    # The same on every page, and a page has one for each message.
    return engine.get_template("messages_extends/includes/icon.html").render(Context({"name": name}))


@register.simple_tag
def mark_read_url(message: object) -> str:
    """Return the path that marks a message as read; "" if it is not saved or must be acknowledged."""
    pk = None if getattr(message, "must_acknowledge", False) else getattr(message, "pk", None)
    return reverse_page("message_mark_read", pk) if pk else ""


@register.simple_tag(takes_context=True)
def message_link(context: Context, message: object) -> str:
    """Return the link of a message for the current page; "" if it has none.

    It is `message.url`, with the tenant's subfolder if tenants are subfolders of one host.
    """
    return within_organisation(getattr(message, "url", "") or "", context.get("request"))


@register.simple_tag(takes_context=True)
def messages_start_page(context: Context) -> str:
    """Return the path of the tenant's start page."""
    return start_page(context.get("request"))


@register.simple_tag
def acknowledge_url(message: object) -> str:
    """Return the path that acknowledges a message; "" if it need not be acknowledged."""
    return (
        reverse_page("message_acknowledge", cast(FeedItem, message).pk)
        if getattr(message, "must_acknowledge", False)
        else ""
    )


@register.simple_tag
def messages_url(name: str, *args: object) -> str:
    """Return the path of a page of this package by its name, whatever the namespace of the URLs."""
    return reverse_page(name, *args)


@register.simple_tag
def fold_of(messages: Sequence[object]) -> dict[str, object]:
    """Return how many banners are folded, as text, and before which of them this text is shown.

    Three saved messages are shown, or two on narrow pages, and all that must be acknowledged. The style sheet hides the
    others.
    """
    saved = [at for at, each in enumerate(messages) if getattr(each, "pk", None) or getattr(each, "is_more", False)]
    wide, narrow = (
        [at for at in saved[shown:] if not getattr(messages[at], "must_acknowledge", False)] for shown in (3, 2)
    )
    fold: dict[str, object] = {"at": wide[0] if wide else len(messages)}
    for name, folded in (("wide", wide), ("narrow", narrow)):
        # An item "and n more" counts by its number, which may be "99+".
        counts = [str(getattr(messages[at], "beyond", 1)) for at in folded]
        count = sum(int(each.rstrip("+")) for each in counts)
        shown = f"{count}+" if any(each.endswith("+") for each in counts) else count
        fold[name] = ngettext("and %(count)s more", "and %(count)s more", count) % {"count": shown}
    return fold


@register.filter
def level_name(level: int) -> str:
    """Return the label of a level, as an alternative to its colour; "" for other levels."""
    with in_interface_language():
        return str(LEVEL_NAMES.get(base_level(level), ""))


@register.filter
def level_icon(level: int) -> str:
    """Return the name of a level's icon and colour; `info` for other levels."""
    return ICONS.get(base_level(level), "info")


@register.filter
def bootstrap_level(level: int) -> str:
    """Return Bootstrap's name of a level, for classes such as `alert-danger`; `info` for other levels."""
    return BOOTSTRAP_NAMES.get(base_level(level), "info")


@register.filter
def plain(text: object) -> str:
    """Return a text without markup, for attributes, titles and truncated texts, where it is escaped as usual.

    Quotes in safe HTML would end an attribute.
    """
    shown = str(text)
    return unescape(strip_tags(shown)) if isinstance(shown, SafeData) else shown


@register.filter
def without_saved(messages: Iterable[object]) -> list[object]:
    """Return the messages that are not saved, for pages that show the saved ones with `message_banners`."""
    return [message for message in messages or () if not _is_saved(message)]


@register.filter
def is_long(message: object) -> bool:
    """Tell whether a text may need more than two lines of a banner on a phone."""
    text = plain(message)
    return len(text) > MAX_SHORT_TEXT or "\n" in text


@register.filter
def kind_name(entry: object) -> str:
    """Return the label of an item's kind."""
    with in_interface_language():
        return str(KIND_NAMES.get(getattr(entry, "kind", ""), ""))


@register.filter
def sender_name(entry: object) -> str:
    """Return the name of the sender: a user, "Former member", the platform, or "" for the application."""
    sender = getattr(entry, "sender", None)
    if sender is not None:
        return str(sender)
    with in_interface_language():
        if getattr(entry, "from_person", False):
            return gettext("Former member")
        is_broadcast = getattr(entry, "kind", "") == "broadcast"
        return getattr(entry, "author", "") or (gettext("The platform") if is_broadcast else "")


@register.filter
def link_label(message: object) -> str:
    """Return the visible words of a message's link: its own, or "Open" with the host name of another site."""
    with in_interface_language():
        return str(getattr(message, "link_label", "")) or gettext("Open the inbox")


@register.filter
def ago(at: datetime) -> str:
    """Return the time since `at` as text; "just now" within a minute."""
    with in_interface_language():
        if timezone.now() - at < timedelta(minutes=1):
            return gettext("just now")
        # Only the largest unit, which is easier to read in a list.
        return gettext("%(time)s ago") % {"time": timesince(at, time_strings=cast("dict[str, str]", AGO), depth=1)}


@register.tag
def messages_interface(parser: Parser, token: Token) -> template.Node:
    """Render the content up to `endmessages_interface` in the language of this package's texts.

    That is the reader's language, unless the texts are not translated into it.
    """
    nodelist = parser.parse(("endmessages_interface",))
    parser.delete_first_token()
    return InterfaceNode(nodelist)


class InterfaceNode(template.Node):
    child_nodelists = ("nodelist",)

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        with in_interface_language():
            return self.nodelist.render(context)
