"""The base class of contestants built on Django: create organisations and people, and delete messages."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any, ClassVar

import django
import psycopg
from psycopg.sql import SQL, Identifier

from benchmarks.contestants.cloning import clone, recorded, require_same, shape
from benchmarks.contestants.serving import seconds

# Something of the length that people write.
TEXT = "The new price list is out: please have a look at it before you write your next offer."
# Old enough for a hundred thousand messages, one a second.
START = datetime.now(UTC) - timedelta(days=3)


def schema_name(number: int) -> str:
    return f"organisation_{number:04}"


class DjangoContestant:
    """A package in a host project of its own. Methods without an underscore are called by the runner."""

    package: ClassVar[str]
    user_table: ClassVar[str] = "auth_user"
    people_sql: ClassVar[str] = """
        INSERT INTO auth_user (username, email, password, first_name, last_name, is_superuser, is_staff, is_active,
            date_joined)
        SELECT 'person' || n, 'person' || n || '@example.com', '!', '', '', false, false, true, now()
        FROM generate_series(%s::int, %s::int) AS n
    """
    message_tables: tuple[str, ...]

    def __init__(self) -> None:
        django.setup()
        self.statements: list[str] = []
        self.made = 0
        self.people_in: dict[int, int] = {}
        given = json.loads(os.environ["BENCHMARK_DATABASE"])
        names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
        self.raw: psycopg.Connection[Any] = psycopg.connect(
            autocommit=True, **{names[key]: value for key, value in given.items() if key in names and value}
        )

    def versions(self) -> dict[str, str]:
        from importlib.metadata import version

        return {name: version(name) for name in (self.package, "django", "django-tenants", "psycopg")}

    def prepare(self, organisations: int, people: int) -> None:
        """Create organisations, and people in each, up to these numbers; the keys of people are 1, 2, 3 ..."""
        if not self.made:
            self._make_first()
        for number in range(self.made + 1, organisations + 1):
            clone(self.raw, schema_name(1), self.statements, schema_name(number))
            self._register(schema_name(number))
        if organisations > self.made:
            require_same(self.raw, "organisation%")
        self.made = max(self.made, organisations)
        for number in range(1, organisations + 1):
            self._add_people(number, people)

    def _make_first(self) -> None:
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate_schemas", shared=True, interactive=False, verbosity=0)
        schema = schema_name(1)
        self.raw.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
        self._register(schema)
        with recorded(connection) as statements:
            call_command("migrate_schemas", schema_name=schema, tenant=True, interactive=False, verbosity=0)
        self.statements = statements
        self.made = 1

    def _register(self, schema: str) -> None:
        from django.db import connection
        from django_tenants.utils import get_tenant_domain_model, get_tenant_model

        # A request leaves the connection in its organisation.
        connection.set_schema_to_public()  # type: ignore[attr-defined]
        tenant = get_tenant_model()(schema_name=schema, **self._tenant_values(schema))
        tenant.save()
        get_tenant_domain_model().objects.create(tenant=tenant, domain=f"{schema.replace('_', '-')}.localhost")

    def _tenant_values(self, _schema: str) -> dict[str, Any]:
        return {}

    def _add_people(self, number: int, people: int) -> None:
        there = self.people_in.get(number, 0)
        if people > there:
            self._execute(number, self.people_sql, [there + 1, people])
            self._execute(number, f"ANALYZE {self.user_table}")
            self.people_in[number] = people

    def clear(self) -> None:
        """Delete every message, and whatever else the package has written."""
        for number in range(1, self.made + 1):
            if self._is_empty(number):
                # Emptying what is empty makes files anew, for a thousand organisations many thousands.
                continue
            self._execute(number, f"TRUNCATE {', '.join(self.message_tables)} RESTART IDENTITY CASCADE")

    def _is_empty(self, number: int) -> bool:
        found = " OR ".join(f"EXISTS (SELECT FROM {table})" for table in self.message_tables)
        return not self.message_tables or not self._execute(number, f"SELECT {found}")[0][0]

    def settle(self) -> None:
        """Update the server's statistics and hint bits, as autovacuum would eventually do."""
        for number in self.people_in:
            self._execute(number, f"VACUUM (ANALYZE) {', '.join(self.message_tables)}")

    def written(self, organisations: int) -> int:
        """Return how many rows the package holds in these organisations."""
        return sum(
            self._count(number, table) for number in range(1, organisations + 1) for table in self.message_tables
        )

    def parts(self, organisation: int) -> list[Any]:
        """Return what the schema of an organisation consists of."""
        return [list(part) for part in shape(self.raw, schema_name(organisation))]

    def _count(self, number: int, table: str) -> int:
        return int(self._execute(number, f"SELECT count(*) FROM {table}")[0][0])

    def _execute(self, number: int, statement: str, params: Any = None) -> list[Any]:
        self.raw.execute(SQL("SET search_path = {}, public").format(Identifier(schema_name(number))))
        cursor = self.raw.execute(statement.encode(), params)
        return cursor.fetchall() if cursor.description else []

    def _inside(self, number: int) -> Any:
        from django_tenants.utils import schema_context

        return schema_context(schema_name(number))

    def _user(self, key: int) -> Any:
        from django.contrib.auth import get_user_model

        return get_user_model()._default_manager.get(pk=key)

    def _people(self, most: int | None = None) -> Any:
        from django.contrib.auth import get_user_model

        people = get_user_model()._default_manager.all()
        return people if most is None else people.filter(pk__lte=most)

    # What is measured ------------------------------------------------------------------------------------------------

    def tell_everyone(self, organisations: int, text: str) -> float:
        """Write to everybody in so many organisations; return how many seconds that took."""
        return seconds(lambda: self._tell_organisations(organisations, text))

    def _tell_organisations(self, organisations: int, text: str) -> None:
        for number in range(1, organisations + 1):
            self._tell_in(number, None, text)

    def tell_chosen(self, organisation: int, people: int, text: str) -> float:
        """Write to the people of one organisation whose keys are up to `people`; return how many seconds that took."""
        return seconds(lambda: self._tell_in(organisation, people, text))

    def _tell_in(self, organisation: int, most: int | None, text: str) -> None:
        """All or nothing, as with us: for the other packages it is also the fastest."""
        from django.db import transaction

        with self._inside(organisation), transaction.atomic():
            self._tell(self._people(most), text)

    def _tell(self, people: Any, text: str) -> None:
        raise NotImplementedError

    def tell_one(self, organisation: int, user: int, text: str, repeat: int) -> dict[str, Any]:
        """Write to one person, each time in a transaction of its own, by the package's documented call."""
        return self._measured(organisation, user, repeat, lambda person: self._tell_one(person, text))

    def _tell_one(self, user: Any, text: str) -> None:
        raise NotImplementedError

    def tell_at_once(self, organisation: int, writers: int, length: float, text: str) -> dict[str, Any]:
        """Have processes write for `length` seconds, each to a person of its own; return commits a second."""
        from django.db import connections

        from benchmarks.contestants.at_once import at_once

        def write(number: int) -> Callable[[], None]:
            person = self._user(number)
            return lambda: self._tell_one(person, text)

        # A process that is forked must not share a connection with another.
        connections.close_all()
        return at_once(self.raw, writers, length, partial(self._inside, organisation), write)

    def debugs(self) -> bool:
        """Tell whether DEBUG is on, which keeps every statement."""
        from django.conf import settings

        return bool(settings.DEBUG)

    def newest(self, organisation: int, user: int) -> list[str]:
        """Return the texts of up to ten unread messages as the package shows them, the newest first."""
        with self._inside(organisation):
            return self._newest(self._user(user))

    def _newest(self, user: Any) -> list[str]:
        raise NotImplementedError

    def _measured(self, organisation: int, user: int, repeat: int, act: Callable[[Any], Any]) -> dict[str, Any]:
        """Run `act` with a user so many times, and once before; return the median, and what it returned at first."""
        with self._inside(organisation):
            person = self._user(user)
            value = act(person)
            return {"seconds": median(seconds(lambda: act(person)) for _ in range(repeat)), "value": value}

    def _once(self, organisation: int, user: int, act: Callable[[Any], object]) -> dict[str, Any]:
        """Run `act`, which changes what there is, with a user."""
        with self._inside(organisation):
            person = self._user(user)
            return {"seconds": seconds(lambda: act(person))}


FILL_NUMBERS = """
    SELECT n, n || ': ' || %(text)s AS text, %(start)s + n * interval '1 second' AS at, {unread} AS unread
    FROM generate_series(1, %(count)s) AS n
"""


def numbered(unread: str) -> str:
    """Return the SQL of messages that are numbered from the oldest on, unread where the condition on `n` holds."""
    return FILL_NUMBERS.format(unread=unread)
