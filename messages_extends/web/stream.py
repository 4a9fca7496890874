"""The view that authenticates a stream of live updates; `live.asgi` serves the stream."""

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from messages_extends.live.queries import Subscriber
from messages_extends.live.streams import HANDSHAKE_KEY
from messages_extends.tenancy.origin import check_tenant
from messages_extends.tenancy.schemas import in_schema, schema_of
from messages_extends.web.requests import require_reader_of_tab


@require_safe
@never_cache
def stream(request: HttpRequest) -> HttpResponse:
    """Set the subscriber of a stream. Return 204, which under WSGI stops the browser from reconnecting."""
    handshake = getattr(request, "scope", {}).get(HANDSHAKE_KEY)
    if handshake is not None:
        handshake.is_reached = True
    # A page of another site cannot read the stream, but could use up the user's limit of streams.
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise PermissionDenied
    reader = require_reader_of_tab(request)
    with in_schema(schema_of(request)):
        check_tenant(reader)
    if handshake is not None:
        session: SessionBase | dict[str, str] = getattr(request, "session", None) or {}
        handshake.subscriber = Subscriber(
            schema=schema_of(request),
            user=str(reader.pk),
            language=get_language() or "",
            session_key=getattr(session, "session_key", None),
            auth_hash=session.get(HASH_SESSION_KEY),
        )
    return HttpResponse(status=204)
