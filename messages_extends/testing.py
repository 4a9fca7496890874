"""For the tests of a host project: what was sent, to whom, in the current organisation; and tests that commit.

With pytest, ask for the fixtures `sent_messages` and `keep_tenants`: they are installed with this package.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Final, Protocol, cast

from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management import call_command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django_tenants.utils import (
    get_public_schema_name,
    get_tenant_database_alias,
    get_tenant_domain_model,
    get_tenant_model,
    quote_schema_name,
)

from messages_extends.api import Inbox
from messages_extends.constants import base_level, name_of_level
from messages_extends.inbox.items import FeedItem, Kind
from messages_extends.models import Announcement, Message
from messages_extends.tenancy.databases import reading_what_is_written
from messages_extends.tenancy.schemas import tenant_connection
from messages_extends.tenancy.tenant_tables import existing_tables, schemas_here, tables_of

SHOWN = 5
# What migrations write, and post_migrate.
MIGRATED: Final = ("django_migrations", "django_content_type", "auth_permission", "django_site")
# Tables that tenants refer to, their owners' perhaps.
REFERRED_TO: Final = """
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
RESET: Final = "SELECT setval('{0}', COALESCE(max({2}), 0) + 1, false) FROM {1}"
FILLED: Final = "SELECT {} WHERE EXISTS (SELECT FROM {})"

Rows = Mapping[str, list[object]]


def sent_to(user: AbstractBaseUser) -> list[Message | FeedItem]:
    """Return all that `user` can read in the current organisation, oldest first; WrongTenant if from another."""
    return list(reversed(list(_entries(user))))


def assert_sent_to(
    user: AbstractBaseUser,
    text: str | None = None,
    *,
    level: int | None = None,
    kind: Kind | None = None,
    count: int | None = None,
) -> list[Message | FeedItem]:
    """Return what `user` can read of this text (as it is rendered), level and kind; AssertionError if there is none.

    `level` stands for its family: INFO finds what was sent as INFO_PERSISTENT. With `count` there have to be exactly
    so many.
    """
    entries = sent_to(user)
    found = [entry for entry in entries if _fits(entry, text, level, kind)]
    if not found if count is None else len(found) != count:
        wanted = "a message" if count is None else f"{count} messages"
        raise AssertionError(f"{user} was to be sent {wanted}{_described(text, level, kind)}, but {_told(entries)}.")
    return found


def assert_nothing_sent(user: AbstractBaseUser | None = None) -> None:
    """Raise AssertionError if `user` can read anything; without one, if anything was sent or announced here at all."""
    if user is not None:
        assert_sent_to(user, count=0)
        return
    with reading_what_is_written():
        written = [*Message.objects.newest_first()[: SHOWN + 1], *Announcement.objects.newest_first()[: SHOWN + 1]]
    if written:
        raise AssertionError(f"Nothing was to be sent, but {_told(written)}.")


def _entries(user: AbstractBaseUser) -> Iterator[Message | FeedItem]:
    inbox, after = Inbox(user), ""
    while True:
        # What the code under test has written, which it may have done in a request of its own.
        with reading_what_is_written():
            page = inbox.page(after, size=100)
        yield from page.entries
        after = page.next
        if not after:
            return


def _fits(entry: Message | FeedItem, text: str | None, level: int | None, kind: Kind | None) -> bool:
    return (
        text in {None, str(entry)}
        and (level is None or base_level(level) == base_level(entry.level))
        and kind in {None, entry.kind}
    )


def _described(text: str | None, level: int | None, kind: Kind | None) -> str:
    conditions = (
        ("text", None if text is None else repr(text)),
        ("level", None if level is None else name_of_level(level)),
        ("kind", None if kind is None else repr(kind)),
    )
    given = [f"{name} {said}" for name, said in conditions if said is not None]
    return f" with {' and '.join(given)}" if given else ""


def _told(entries: Sequence[object]) -> str:
    if not entries:
        return "there is none"
    texts = ", ".join(repr(str(entry)) for entry in entries[:SHOWN])
    return f"there is {texts}{' and more' if len(entries) > SHOWN else ''}"


# Tests that commit --------------------------------------------------------------------------------------------------


class CommittingTestCase(Protocol):
    """What is used of Django's classes of tests that commit; its stubs leave some of it out."""

    reset_sequences: bool
    _kept_rows: ClassVar[Rows]

    @classmethod
    def _databases_names(cls, include_mirrors: bool = True) -> list[str]: ...


class KeepTenants:
    """A mixin, in front of TransactionTestCase or LiveServerTestCase: the tenants outlive its tests.

    Django flushes the current schema after each test. In public PostgreSQL refuses that, because tenants refer to its
    tables. With this mixin every schema is emptied, but for what migrations write, and the tenants and their domains
    stay, with what they refer to, such as their owners. Tenants that the test has made are removed.
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
    """Note on a class of tests what is there before the next one, and have Django set that up."""
    uses_tenants = get_tenant_database_alias() in case._databases_names(include_mirrors=False)
    if uses_tenants:
        case._kept_rows = _rows_to_keep()
    django_set_up()
    if uses_tenants and case.reset_sequences:
        _reset_sequences()


def _rows_to_keep() -> Rows:
    """Return the primary keys of the tenants, of their domains, and of all that they refer to, by table."""
    connection = _in_public()
    tenants = [model._meta.db_table for model in (get_tenant_model(), get_tenant_domain_model())]
    names = [_qualified(get_public_schema_name(), table) for table in tenants]
    with connection.cursor() as cursor:
        cursor.execute(REFERRED_TO, [names])
        tables = {table for (table,) in cursor.fetchall()} - set(MIGRATED)
    models = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    return {table: list(models[table]._base_manager.values_list("pk", flat=True)) for table in tables & models.keys()}


def _flush(keep: Rows) -> None:
    """Empty every schema, but for what migrations write and the rows of public to `keep`; drop other tenants."""
    connection = _in_public()
    public = get_public_schema_name()
    known = set(keep[get_tenant_model()._meta.db_table])
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for tenant in get_tenant_model()._default_manager.exclude(pk__in=known).exclude(schema_name=public):
            cursor.execute(f"DROP SCHEMA IF EXISTS {quote_schema_name(tenant.schema_name)} CASCADE")
        tables = set().union(*tables_of(apps.app_configs).values()) - set(MIGRATED)
        found = existing_tables([schema.name for schema in schemas_here()], tables)
        names = [
            _qualified(schema, table)
            for schema, tables in found.items()
            for table in sorted(tables)
            if not (schema == public and table in keep)
        ]
        if filled := _filled(cursor, names):
            cursor.execute(f"TRUNCATE {', '.join(filled)} CASCADE")
        _delete_others(cursor, keep)


def _reset_sequences() -> None:
    """Let each sequence go on after the largest number in use: Django begins at 1, beside rows that stay."""
    with _in_public().cursor() as cursor:
        cursor.execute(SEQUENCES, [[schema.name for schema in schemas_here()]])
        cursor.execute(" UNION ALL ".join(RESET.format(*names) for names in cursor.fetchall()))


def _in_public() -> BaseDatabaseWrapper:
    connection = connections[get_tenant_database_alias()]
    tenant_connection(connection).set_schema_to_public()
    return connection


def _qualified(schema: str, table: str) -> str:
    return f"{quote_schema_name(schema)}.{quote_schema_name(table)}"


def _filled(cursor: CursorWrapper, names: list[str]) -> list[str]:
    """Return those tables that have rows: emptying an empty one takes as long as another."""
    if not names:
        return []
    cursor.execute(" UNION ALL ".join(FILLED.format(number, name) for number, name in enumerate(names)))
    return [names[number] for (number,) in cursor.fetchall()]


def _delete_others(cursor: CursorWrapper, keep: Rows) -> None:
    cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    models = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    for table, keys in keep.items():
        others = models[table]._base_manager.exclude(pk__in=keys)
        others._raw_delete(using=others.db)
