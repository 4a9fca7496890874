"""What of ours reads texts from outside without asking a database: each with the rule that holds for any text.

Hypothesis tries them in the suite; `python3 run.py fuzz` has them tried along the branches of the code (guided.py).
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

import hypothesis.strategies as st
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages import INFO
from django.contrib.messages.storage.base import Message
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import timezone
from django.utils.safestring import SafeData
from django_tenants.utils import get_tenant_model
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings

from messages_extends.events.changes import KEY_FIELDS, ChangeEvent
from messages_extends.inbox.cursor import PATTERN, Cursor
from messages_extends.inbox.selection import Marked
from messages_extends.inbox.snapshot import UnreadSnapshot
from messages_extends.live.queries import Subscriber
from messages_extends.live.tokens import COOKIE_NAME, read_token, token_header
from messages_extends.models.publication import Reference
from messages_extends.sending.cleaning import EARLIEST, LATEST, parse_datetime_of_page, require_link
from messages_extends.storages import CookieStorage
from messages_extends.tenancy.schemas import in_schema
from messages_extends.tenancy.sessions import SessionStore
from messages_extends.texts.rendering import render
from messages_extends.web.tokens import Undoable, read_snapshot_token, read_undo_token, snapshot_token, undo_token
from tenants.names import host_for, validate_host, validate_schema
from tenants.people.models import Invitation
from tenants.people.tokens import invitation_token, read_invitation_token
from tests.longrun.fuzz import inputs, oracle

SCHEMA: Final = "acme"
HOST: Final = "acme.localhost"
ANY_TEXT: Final = st.one_of(st.text(), inputs.malicious)
PLAIN: Final = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
JSON: Final = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
PARAMS: Final = st.lists(JSON, max_size=3) | st.dictionaries(st.sampled_from(("a", "b", "<c>")), JSON, max_size=3)
# Without "%c", which writes the one character that a number names, and without widths that fill the memory.
FORMATS: Final = st.lists(
    st.sampled_from(("%s", "%d", "%r", "%a", "%(a)s", "%(b)r", "%5.2f", "%x", "%%", "%", "%(", "text ")),
    max_size=5,
).map("".join)
# No token of ours is as long.
FORGERIES: Final = st.tuples(st.integers(0, 250), st.integers(0, 250), ANY_TEXT)

RULES: Final[dict[str, Any]] = {}


def rule(*strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Enter a rule for inputs that these strategies make."""
    quiet = hypothesis_settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))

    def enter(holds: Callable[..., None]) -> Callable[..., None]:
        tried: Any = given(*strategies)
        RULES[holds.__name__] = quiet(tried(holds))
        return holds

    return enter


def forge(token: str, forgery: tuple[int, int, str]) -> str:
    """Put a text somewhere into a token, or in the place of a part or all of it."""
    start, end, text = forgery
    forged = token[: min(start, end)] + text + token[max(start, end) :]
    assume(forged != token)
    return forged


def request_at(schema: str, pk: int | None = None) -> HttpRequest:
    request = RequestFactory().get("/")
    request.tenant = get_tenant_model()(schema_name=schema)
    request.user = AnonymousUser() if pk is None else get_user_model()(pk=pk)
    return request


def session_data() -> str:
    with in_schema(SCHEMA):
        return SessionStore().encode({"_auth_user_id": "7"})


def cookie_of_messages() -> str:
    said = CookieStorage(request_at(SCHEMA))._encode([Message(INFO, "theirs")])
    assert said
    return str(said)


# Where somebody stands ----------------------------------------------------------------------------------------------


@rule(ANY_TEXT | st.from_regex(PATTERN, fullmatch=True))
def a_position_is_what_a_page_names(text: str) -> None:
    with suppress(ValueError):
        position = Cursor.parse(text)
        assert Cursor.parse(str(position)) == position


@rule(ANY_TEXT | st.from_regex(r"[0-9a-f]{32}-[0-9]+"))
def a_reference_is_what_a_page_names(text: str) -> None:
    reference = Reference.parse(text)
    assert reference is None or str(reference) == text


@rule(ANY_TEXT | st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()))
def a_time_is_one_that_can_be_stored(text: str) -> None:
    at = parse_datetime_of_page(text)
    assert at is None or (timezone.is_aware(at) and EARLIEST <= at < LATEST)


# What is signed -----------------------------------------------------------------------------------------------------


@rule(FORGERIES)
def what_undoes_is_ours(forgery: tuple[int, int, str]) -> None:
    request = request_at(SCHEMA, 7)
    token = undo_token(request, Marked(LATEST, 3), "archive")
    assert read_undo_token(request, token) == Undoable(LATEST, 3, "archive")
    assert read_undo_token(request, forge(token, forgery)) is None


@rule(FORGERIES)
def what_has_been_seen_is_ours(forgery: tuple[int, int, str]) -> None:
    request = request_at(SCHEMA, 7)
    seen = UnreadSnapshot([2, 1], EARLIEST, LATEST, {UUID(int=1): 3})
    token = snapshot_token(request, seen)
    assert read_snapshot_token(request, token) == seen
    assert read_snapshot_token(request, forge(token, forgery)) is None


@rule(FORGERIES)
def an_invitation_is_ours(forgery: tuple[int, int, str]) -> None:
    token = invitation_token(Invitation(pk=7, nonce="nonce"), SCHEMA)
    assert read_invitation_token(token, SCHEMA) == (7, "nonce")
    assert read_invitation_token(forge(token, forgery), SCHEMA) is None


@rule(FORGERIES)
def a_stream_token_is_ours(forgery: tuple[int, int, str]) -> None:
    subscriber, expires_at = Subscriber(SCHEMA, "7", "en", "session", "hash"), time.time() + 100
    ((_name, cookie),) = token_header(stream_scope(""), subscriber, expires_at)
    token = cookie.decode().partition(";")[0].partition("=")[2]
    assert read_token(stream_scope(token)) == (subscriber, expires_at)
    # A cookie with something around it is still the same cookie.
    assert read_token(stream_scope(forge(token, forgery))) in (None, (subscriber, expires_at))


def stream_scope(token: str) -> dict[str, object]:
    cookie = f"{django_settings.SESSION_COOKIE_NAME}=session; {COOKIE_NAME}={token}"
    headers = [(b"host", HOST.encode()), (b"cookie", cookie.encode("utf-8", "replace"))]
    return {"path": "/messages/stream/", "query_string": b"", "headers": headers}


@rule(FORGERIES)
def a_session_is_ours(forgery: tuple[int, int, str]) -> None:
    ours = session_data()
    with in_schema(SCHEMA):
        assert SessionStore().decode(ours) == {"_auth_user_id": "7"}
        assert SessionStore().decode(forge(ours, forgery)) == {}
    with in_schema("globex"):
        assert SessionStore().decode(ours) == {}


@rule(FORGERIES)
def a_cookie_of_messages_is_ours(forgery: tuple[int, int, str]) -> None:
    ours = cookie_of_messages()
    [message] = CookieStorage(request_at(SCHEMA))._decode(ours) or []
    assert message.message == "theirs"
    # No request has half of a surrogate pair in its cookies: they arrive as bytes.
    forged = forge(ours, forgery).encode("utf-8", "replace").decode()
    assert not CookieStorage(request_at(SCHEMA))._decode(forged)
    assert not CookieStorage(request_at("globex"))._decode(ours)


# What comes over the bus --------------------------------------------------------------------------------------------


@rule(ANY_TEXT | JSON.map(json.dumps) | st.dictionaries(st.sampled_from(("schema", *KEY_FIELDS)), JSON).map(json.dumps))
def a_hint_says_whom_it_concerns(text: str) -> None:
    with suppress(ValueError, RecursionError):
        hint = ChangeEvent.parse(text)
        for part in map(ChangeEvent.parse, hint.texts(8_000)):
            assert part.schema == hint.schema
            assert part.users <= hint.users
            assert part.groups <= hint.groups
            assert part.sessions <= hint.sessions
            assert part.accounts <= hint.accounts


# What is shown ------------------------------------------------------------------------------------------------------


@rule(FORMATS, PARAMS)
def params_are_no_markup(message: str, params: Any) -> None:
    text = render(message, params, is_safe=True)
    assert isinstance(text, SafeData)
    # What cannot be filled in is shown as it is, and that is what the sender vouched for.
    assert text == message or not {"<", ">"} & set(text)


@rule(ANY_TEXT | FORMATS, PARAMS | st.none())
def any_text_is_shown(message: str, params: Any) -> None:
    assert not isinstance(render(message, params, is_safe=False), SafeData)


@rule(
    ANY_TEXT | st.sampled_from(inputs.ELSEWHERE) | st.builds("".join, st.lists(st.sampled_from("/:\\@?#ahtps .\x01")))
)
def a_link_is_a_path_or_of_the_web(url: str) -> None:
    with suppress(ValueError):
        require_link(url)
        assert not oracle.SCRIPTED.match(url)
        assert url.lower().startswith(("http://", "https://")) or not oracle.leads_away(url, HOST, "/")


# Names of organisations ---------------------------------------------------------------------------------------------


@rule(ANY_TEXT | st.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True))
def a_short_name_is_a_host(name: str) -> None:
    with suppress(ValidationError):
        validate_schema(name)
        validate_host(host_for(name))
        assert name.isascii()
        assert name == name.lower()
