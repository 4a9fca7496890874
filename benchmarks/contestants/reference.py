"""The reference product, with and without this package."""

from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.contestants.base import DjangoContestant, schema_name
from benchmarks.contestants.serving import seconds


class ReferenceProduct(DjangoContestant):
    package = "django-guardian"
    user_table = "people_user"
    people_sql = """
        INSERT INTO people_user (email, name, password, is_superuser, is_staff, is_active, date_joined)
        SELECT 'person' || n || '@example.com', 'Person ' || n, '!', false, false, true, now()
        FROM generate_series(%s::int, %s::int) AS n
    """
    message_tables: tuple[str, ...] = ()

    def versions(self) -> dict[str, str]:
        row = self.raw.execute("SHOW server_version").fetchone()
        return {**super().versions(), "PostgreSQL": str(row[0] if row else "")}

    def _tenant_values(self, schema: str) -> dict[str, Any]:
        from django.utils import timezone

        return {"name": schema, "ready_at": timezone.now()}

    def log_in(self, organisation: int, user: int) -> str:
        """Return the session cookie of somebody who has logged in."""
        from django.conf import settings

        cookie: str = self._browser(organisation, user).cookies[settings.SESSION_COOKIE_NAME].value
        return cookie

    def log_in_many(self, organisations: int, users: int) -> list[list[str]]:
        """Return host name and session cookie of so many people in each organisation."""
        return [
            [f"{schema_name(number).replace('_', '-')}.localhost", self.log_in(number, user)]
            for number in range(1, organisations + 1)
            for user in range(1, users + 1)
        ]

    def _browser(self, organisation: int, user: int) -> Any:
        from django.test import Client

        client = Client(headers={"host": f"{schema_name(organisation).replace('_', '-')}.localhost"})
        with self._inside(organisation):
            client.force_login(self._user(user), "django.contrib.auth.backends.ModelBackend")
        return client

    def home_page(self, organisation: int, user: int, limit: bool, repeat: int) -> dict[str, Any]:
        """Ask for the start page, with the search path set once or before every statement."""
        from django.test import override_settings

        with override_settings(TENANT_LIMIT_SET_CALLS=limit):
            browser = self._browser(organisation, user)
            sent = self._statements_of(lambda: browser.get("/"))
            if browser.get("/").status_code != 200:
                raise AssertionError("The start page does not answer.")
            return {
                "seconds": median(seconds(lambda: browser.get("/")) for _ in range(repeat)),
                "statements": len(sent),
                "paths": sum(statement.startswith("SET search_path") for statement in sent),
            }

    def _statements_of(self, act: Any) -> list[str]:
        from django.db import connection

        sent: list[str] = []

        def record(execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
            sent.append(statement)
            return execute(statement, params, many, context)

        act()
        with connection.execute_wrapper(record):
            act()
        return sent

    def create(self, name: str) -> dict[str, float]:
        """Make an organisation as the operator's page does, and remove it again.

        Return how long making it took, and how much of it the database needed for statements about our tables.
        """
        from django.db import connection

        from tenants.models import Tenant
        from tenants.provisioning import Administrator, create_organisation, remove_organisation

        administrator = Administrator(email="first@example.com", name="First", password="a long enough phrase")
        about_ours = []

        def clock(execute: Any, statement: str, *about: Any) -> Any:
            start = perf_counter()
            try:
                return execute(statement, *about)
            finally:
                if "messages_extends" in str(statement):
                    about_ours.append(perf_counter() - start)

        with connection.execute_wrapper(clock):
            took = seconds(lambda: create_organisation(name, name=name, administrator=administrator))
        remove_organisation(Tenant.objects.get(schema_name=name))
        return {"seconds": took, "database": sum(about_ours)}
