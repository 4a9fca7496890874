"""Remember in a signed cookie whom the application has authenticated for a stream, so that reconnecting is cheap.

The cookie is sent with requests for streams only. It is worth nothing without the session's own cookie, and nothing for
another request than the one that was authenticated: its signature covers what middleware and views decide by. The hub
checks that the session and the account are still valid. It does not extend anything: it expires when the first stream
would have ended.
"""

import json
import time
from typing import Final, cast

from django.conf import settings as django_settings
from django.core.signing import BadSignature, Signer
from django.http.cookie import parse_cookie
from django.http.response import HttpResponseBase

from messages_extends.live.queries import Subscriber
from messages_extends.live.streams import Scope

COOKIE_NAME: Final = "messages_extends_stream"
# What middleware and the view may decide by. A change of any of them is decided by the application.
BOUND_HEADERS: Final = {
    b"accept-language",
    b"authorization",
    b"forwarded",
    b"host",
    b"sec-fetch-site",
    b"user-agent",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
}


def token_header(scope: Scope, subscriber: Subscriber, expires_at: float) -> list[tuple[bytes, bytes]]:
    """Return the header that sets the cookie, or none for a subscriber whom the session's cookie does not identify."""
    session = _cookies(scope).get(django_settings.SESSION_COOKIE_NAME)
    if not session or subscriber.session_key != session or not subscriber.auth_hash:
        return []
    value = _signer(scope, session).sign_object(
        [expires_at, subscriber.schema, subscriber.user, subscriber.language, subscriber.auth_hash]
    )
    response = HttpResponseBase()
    response.set_cookie(
        COOKIE_NAME,
        value,
        max_age=max(0, int(expires_at - time.time())),
        # Neither path nor domain: browsers send it to the stream's own address only.
        path="",
        secure=django_settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return [(b"set-cookie", response.cookies[COOKIE_NAME].OutputString().encode())]


def read_token(scope: Scope) -> tuple[Subscriber, float] | None:
    """Return the subscriber and the expiry of the request's token; None without one that is valid for this request.

    The subscriber's session and account may have ended since.
    """
    cookies = _cookies(scope)
    session = cookies.get(django_settings.SESSION_COOKIE_NAME)
    if not session or COOKIE_NAME not in cookies:
        return None
    try:
        expires_at, schema, user, language, auth_hash = _signer(scope, session).unsign_object(cookies[COOKIE_NAME])
    except (BadSignature, ValueError):
        return None
    return (Subscriber(schema, user, language, session, auth_hash), expires_at) if time.time() < expires_at else None


def _signer(scope: Scope, session: str) -> Signer:
    """Return a signer whose signatures are valid for this session and this request only."""
    headers = sorted(each for each in _headers(scope) if each[0].lower() in BOUND_HEADERS)
    client = cast("tuple[str, int] | None", scope.get("client"))
    request = [scope.get("scheme"), client and client[0], scope["path"], scope["query_string"], headers, session]
    bound = json.dumps(request, default=lambda value: value.decode("latin-1"))
    return Signer(salt=f"messages_extends.live.tokens:{bound}")


def _cookies(scope: Scope) -> dict[str, str]:
    return parse_cookie("; ".join(value.decode("latin-1") for name, value in _headers(scope) if name == b"cookie"))


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    return cast("list[tuple[bytes, bytes]]", scope["headers"])
