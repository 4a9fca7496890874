"""Helpers for the tests of a host project: assertions about messages, and tenants that survive a flush.

For pytest the package installs the fixtures `sent_messages` and `keep_tenants`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, Protocol, cast

from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management import call_command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django_tenants.utils import (
    get_public_schema_name,
    get_tenant_database_alias,
    get_tenant_domain_model,
    get_tenant_model,
    quote_schema_name,
)

from messages_extends.api import Inbox
from messages_extends.constants import base_level, describe_level
from messages_extends.inbox.items import FeedItem, Kind
from messages_extends.models import Announcement, Message
from messages_extends.tenancy.databases import reading_from_primary
from messages_extends.tenancy.schemas import tenant_connection
from messages_extends.tenancy.tenant_tables import existing_schemas, existing_tables, tables_of

MAX_LISTED: Final = 5
# Tables that migrations and post_migrate fill.
MIGRATION_TABLES: Final = ("django_migrations", "django_content_type", "auth_permission", "django_site")
# The tables that tenants refer to directly or indirectly, such as that of their owners.
REFERENCED_TABLES: Final = """
WITH RECURSIVE kept (oid) AS (
    SELECT to_regclass(name) FROM unnest(%s::text[]) AS name
    UNION
    SELECT confrelid FROM pg_constraint JOIN kept ON kept.oid = conrelid WHERE contype = 'f'
)
SELECT relname FROM pg_class JOIN kept ON kept.oid = pg_class.oid
"""
SEQUENCES: Final = """
SELECT replace(sequence.oid::regclass::text, '''', ''''''), used_by.oid::regclass::text, quote_ident(attname)
FROM pg_class sequence
JOIN pg_depend ON objid = sequence.oid AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
JOIN pg_class used_by ON used_by.oid = refobjid
JOIN pg_namespace n ON n.oid = used_by.relnamespace
JOIN pg_attribute ON attrelid = used_by.oid AND attnum = refobjsubid
WHERE sequence.relkind = 'S' AND nspname = ANY(%s)
"""
RESET_SEQUENCE: Final = "SELECT setval('{0}', COALESCE(max({2}), 0) + 1, false) FROM {1}"
HAS_ROWS: Final = "SELECT {} WHERE EXISTS (SELECT 1 FROM {})"

Rows = Mapping[str, list[object]]


def sent_to(user: AbstractBaseUser) -> list[Message | FeedItem]:
    """Return all items that `user` can read in the current tenant, oldest first.

    Raises WrongTenant if `user` was loaded in another tenant.
    """
    inbox, after = Inbox(user), ""
    items: list[Message | FeedItem] = []
    while True:
        # The code under test may have written in another request: read from the primary database.
        with reading_from_primary():
            page = inbox.page(after, size=100)
        items.extend(page.entries)
        after = page.next
        if not after:
            return items[::-1]


def assert_sent_to(
    user: AbstractBaseUser,
    text: str | None = None,
    *,
    level: int | None = None,
    kind: Kind | None = None,
    count: int | None = None,
) -> list[Message | FeedItem]:
    """Return the items with this rendered text, level and kind that `user` can read.

    Raises AssertionError if there are none, or not exactly `count`. Levels are compared by their base level: INFO also
    matches INFO_PERSISTENT.
    """
    items = sent_to(user)
    found = [
        item
        for item in items
        if text in {None, str(item)}
        and (level is None or base_level(level) == base_level(item.level))
        and kind in {None, item.kind}
    ]
    if not found if count is None else len(found) != count:
        wanted = "a message" if count is None else f"{count} messages"
        conditions = (
            ("text", None if text is None else repr(text)),
            ("level", None if level is None else describe_level(level)),
            ("kind", None if kind is None else repr(kind)),
        )
        given = " and ".join(f"{name} {value}" for name, value in conditions if value is not None)
        raise AssertionError(f"Expected {wanted}{' with ' if given else ''}{given} for {user}, found {_format(items)}.")
    return found


def assert_nothing_sent(user: AbstractBaseUser | None = None) -> None:
    """Raise AssertionError if `user` can read any item; without a user, if anything was sent or announced."""
    if user is not None:
        assert_sent_to(user, count=0)
        return
    with reading_from_primary():
        written = [
            *Message.objects.newest_first()[: MAX_LISTED + 1],
            *Announcement.objects.newest_first()[: MAX_LISTED + 1],
        ]
    if written:
        raise AssertionError(f"Expected no messages, found {_format(written)}.")


def _format(items: Sequence[object]) -> str:
    texts = ", ".join(repr(str(item)) for item in items[:MAX_LISTED])
    return f"{texts or 'none'}{' and more' if len(items) > MAX_LISTED else ''}"


# Tests that commit --------------------------------------------------------------------------------------------------


class CommittingTestCase(Protocol):
    """The part of Django's TransactionTestCase that this module uses, with what the stubs omit."""

    reset_sequences: bool
    _kept_rows: ClassVar[Rows]

    @classmethod
    def _databases_names(cls, include_mirrors: bool = True) -> list[str]: ...


class KeepTenants:
    """Keep the tenants when a TransactionTestCase or LiveServerTestCase flushes the database.

    List the mixin before the test case class. Django flushes the current schema after each test, which fails in the
    public schema because tenants refer to its tables. With this mixin every schema is emptied, except for the rows
    that migrations write, the tenants, their domains, and the rows that those refer to. Tenants created by the test are
    removed.
    """

    _kept_rows: ClassVar[Rows]
    reset_sequences: bool

    @classmethod
    def _fixture_setup(cls) -> None:
        set_up(cast("type[CommittingTestCase]", cls), super()._fixture_setup)  # type: ignore[misc]

    def _fixture_teardown(self) -> None:
        for alias in self._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
            if alias == get_tenant_database_alias():
                _flush(self._kept_rows)
            else:
                call_command("flush", verbosity=0, interactive=False, database=alias, allow_cascade=False)


def set_up(case: type[CommittingTestCase], django_set_up: Callable[[], None]) -> None:
    """Store the primary keys of the rows to keep on a test case class, by table, then run Django's own setup."""
    if get_tenant_database_alias() not in case._databases_names(include_mirrors=False):
        django_set_up()
        return
    names = [
        _qualified(get_public_schema_name(), model._meta.db_table)
        for model in (get_tenant_model(), get_tenant_domain_model())
    ]
    with _in_public().cursor() as cursor:
        cursor.execute(REFERENCED_TABLES, [names])
        tables = {table for (table,) in cursor.fetchall()} - set(MIGRATION_TABLES)
    models = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    case._kept_rows = {
        table: list(models[table]._base_manager.values_list("pk", flat=True)) for table in tables & models.keys()
    }
    django_set_up()
    if case.reset_sequences:
        # Django restarts sequences at 1, although some rows are kept: set them to the largest value in use.
        with _in_public().cursor() as cursor:
            cursor.execute(SEQUENCES, [[schema.name for schema in existing_schemas()]])
            cursor.execute(" UNION ALL ".join(RESET_SEQUENCE.format(*names) for names in cursor.fetchall()))


def _flush(keep: Rows) -> None:
    """Empty every schema, except for the migration tables and the rows to `keep`; drop all other tenants."""
    connection = _in_public()
    public = get_public_schema_name()
    known = set(keep[get_tenant_model()._meta.db_table])
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for tenant in get_tenant_model()._default_manager.exclude(pk__in=known).exclude(schema_name=public):
            cursor.execute(f"DROP SCHEMA IF EXISTS {quote_schema_name(tenant.schema_name)} CASCADE")
        tables = set().union(*tables_of(apps.app_configs).values()) - set(MIGRATION_TABLES)
        found = existing_tables([schema.name for schema in existing_schemas()], tables)
        names = [
            _qualified(schema, table)
            for schema, tables in found.items()
            for table in sorted(tables)
            if not (schema == public and table in keep)
        ]
        if names:
            # Truncating an empty table takes as long as truncating a full one.
            cursor.execute(" UNION ALL ".join(HAS_ROWS.format(number, name) for number, name in enumerate(names)))
            if non_empty := [names[number] for (number,) in cursor.fetchall()]:
                cursor.execute(f"TRUNCATE {', '.join(non_empty)} CASCADE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        models = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
        for table, keys in keep.items():
            others = models[table]._base_manager.exclude(pk__in=keys)
            others._raw_delete(using=others.db)


def _in_public() -> BaseDatabaseWrapper:
    connection = connections[get_tenant_database_alias()]
    tenant_connection(connection).set_schema_to_public()
    return connection


def _qualified(schema: str, table: str) -> str:
    return f"{quote_schema_name(schema)}.{quote_schema_name(table)}"
