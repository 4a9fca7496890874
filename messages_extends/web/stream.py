"""Who opens a stream of live updates; the stream itself is `push.asgi`'s."""

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from messages_extends.live.asgi import HANDSHAKE_KEY
from messages_extends.live.queries import Subscriber
from messages_extends.tenancy.origin import require_here
from messages_extends.tenancy.schemas import inside, schema_of
from messages_extends.web.requests import require_reader_of_tab


@require_safe
@never_cache
def stream(request: HttpRequest) -> HttpResponse:
    """Say whose stream it is; 204, which ends a browser's attempts, where nothing serves streams: under WSGI."""
    handshake = getattr(request, "scope", {}).get(HANDSHAKE_KEY)
    if handshake is not None:
        handshake.is_reached = True
    # A page of another site could not read it, but hold the places of whoever looks at that page.
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise PermissionDenied
    reader = require_reader_of_tab(request)
    with inside(schema_of(request)):
        require_here(reader)
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
