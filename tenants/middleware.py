"""Finds the organisation that a request is for, by its host name; and answers health checks, which have none."""

import logging

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.request import split_domain_port
from django.shortcuts import render
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin
from django_tenants.middleware.main import TenantMainMiddleware

from tenants.database import connection
from tenants.logs import request_schema
from tenants.models import Domain, Tenant
from tenants.tables import is_migrated
from tenants.time_zones import is_time_zone

logger = logging.getLogger(__name__)

HEALTH_PATH = "/healthz"


class HealthMiddleware(MiddlewareMixin):
    """Answer load balancers: 200 if the database answers, 503 if not, and nothing else about this machine.

    It stands before everything that looks at the host name or redirects to HTTPS, as probes know of neither.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.path_info != HEALTH_PATH:
            return None
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        # Twice: the pool may hold a connection that a restarted server has cut.
        healthy = _database_answers() or _database_answers()
        response = HttpResponse("ok\n" if healthy else "unavailable\n", "text/plain", 200 if healthy else 503)
        response["Cache-Control"] = "no-store"
        return response


class TenantMiddleware(TenantMainMiddleware):  # type: ignore[misc]
    """Put the request and the connection into the organisation of the host name, with one query.

    The bare base domain is the public schema, without a query. Everything else that is not an open organisation gets
    a page of its own: 404 for a host name that leads nowhere, 503 for an organisation that is being made, is suspended
    or lacks migrations of this code, and for a database that does not answer. None of them reads a tenant's schema.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        connection().set_schema_to_public()
        request_schema.set(None)
        host = _host_of(request)
        if host in (base := settings.BASE_DOMAIN.lower(), f"www.{base}"):
            self._enter(request, connection().tenant)
            return None
        try:
            domain = Domain.objects.for_host(host).first() if host else None
        except (DatabaseError, InterfaceError):
            logger.exception("The database does not answer.")
            return _unavailable(request, "tenants/no_database.html")
        if domain is None:
            return render(request, "tenants/unknown_host.html", {"base_domain": settings.BASE_DOMAIN}, status=404)
        if not domain.tenant.is_open:
            return _unavailable(request, "tenants/not_open.html", domain.tenant)
        if not is_migrated(domain.tenant.schema_name):
            return _unavailable(request, "tenants/not_migrated.html", domain.tenant)
        connection().set_tenant(domain.tenant)
        domain.tenant.domain_url = host
        self._enter(request, domain.tenant)
        return None

    def _enter(self, request: HttpRequest, tenant: Tenant) -> None:
        request.tenant = tenant  # type: ignore[attr-defined]
        request_schema.set(tenant.schema_name)
        self.setup_url_routing(request)


class TimeZoneMiddleware(MiddlewareMixin):
    """Show and read times in the organisation's time zone; in that of the site where it has none."""

    def process_request(self, request: HttpRequest) -> None:
        # At every request: the thread may have served another organisation before.
        name = getattr(request.tenant, "time_zone", "")  # type: ignore[attr-defined]
        if is_time_zone(name):
            timezone.activate(name)
        else:
            timezone.deactivate()

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        timezone.deactivate()
        return response


def _host_of(request: HttpRequest) -> str:
    """Return the host name without port and final dot, in lower case; empty for one that is not allowed or is junk."""
    try:
        return split_domain_port(request.get_host())[0]
    except DisallowedHost:
        return ""


def _unavailable(request: HttpRequest, template: str, tenant: Tenant | None = None) -> HttpResponse:
    response = render(request, template, {"tenant": tenant}, status=503)
    response["Retry-After"] = "60"
    response["Cache-Control"] = "no-store"
    return response


def _database_answers() -> bool:
    connection().set_schema_to_public()
    try:
        with connection().cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError):
        logger.exception("The database does not answer.")
        connection().close()
        return False
    return True
