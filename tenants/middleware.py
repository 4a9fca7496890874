"""Middleware that selects a request's organisation by its host name, and responds to health checks."""

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
    """Respond to load balancers: 200 if the database is available, 503 if it is not.

    It precedes all middleware that uses the host name or redirects to HTTPS, because probes support neither.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.path_info != HEALTH_PATH:
            return None
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        # Twice, because the pool may contain a connection that a restarted server has closed.
        healthy = _database_answers() or _database_answers()
        response = HttpResponse("ok\n" if healthy else "unavailable\n", "text/plain", 200 if healthy else 503)
        response["Cache-Control"] = "no-store"
        return response


class TenantMiddleware(TenantMainMiddleware):  # type: ignore[misc]
    """Select the organisation of the host name for the request and the connection, with one query.

    The base domain is the public schema and needs no query. Other hosts get an error page: 404 for an unknown host
    name, 503 for an organisation that is being created, is suspended or lacks migrations, and 503 if the database is
    unavailable. None of these pages reads a tenant's schema.
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
    """Activate the organisation's time zone, or that of the site if it has none."""

    def process_request(self, request: HttpRequest) -> None:
        # For each request, because the thread may have served another organisation before.
        name = getattr(request.tenant, "time_zone", "")  # type: ignore[attr-defined]
        if is_time_zone(name):
            timezone.activate(name)
        else:
            timezone.deactivate()

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        timezone.deactivate()
        return response


def _host_of(request: HttpRequest) -> str:
    """Return the host name without port and final dot, in lower case; empty if it is invalid or not allowed."""
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
