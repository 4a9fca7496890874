"""Map the users of the old shared table to the users of each tenant.

A mapping is a callable that takes a schema, is called inside it, and returns pairs of the old id and the new id of a
user. The pairs may be a list, a dictionary or the result of `values_list`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, NamedTuple

from django.contrib.auth import get_user_model
from django.db import DataError, connections, transaction

from messages_extends.conf import settings
from messages_extends.maintenance.import_database import (
    ImportRefused,
    column,
    execute,
    fetch,
    has_table,
    public,
    qualified,
)
from messages_extends.maintenance.import_table import OldTable
from messages_extends.tenancy.databases import write_database
from messages_extends.tenancy.schemas import in_schema, is_per_tenant

Pairs = Iterable[tuple[object, object]] | Mapping[Any, object]
PeopleMapping = Callable[[str], Pairs]

PAIRS: Final = "pg_temp.messages_extends_pairs"
SAME_IDS: Final = "pk"


INSERT: Final = f"INSERT INTO {PAIRS} (schema, old_id, new_id) VALUES (%s, %s, %s)"  # noqa: S608 - a constant
UNIQUE_VALUES: Final = """
    SELECT (array_agg({key}))[1] AS id, {value}::text AS value FROM {users}
    WHERE {value}::text <> '' GROUP BY 2 HAVING count(*) = 1
"""
SET_CHOSEN: Final = """
    UPDATE {pairs} pair SET chosen = (found.number = 1 OR pair.schema = %s)
    FROM (SELECT old_id, count(*) AS number FROM {pairs} GROUP BY 1) found
    WHERE found.old_id = pair.old_id
"""
OLD_USERS: Final = """
    SELECT users.relnamespace::regnamespace::name, users.relname, key.attname
    FROM pg_constraint c
    JOIN pg_attribute source ON source.attrelid = c.conrelid AND source.attnum = c.conkey[1]
    JOIN pg_class users ON users.oid = c.confrelid
    JOIN pg_attribute key ON key.attrelid = c.confrelid AND key.attnum = c.confkey[1]
    WHERE c.contype = 'f' AND source.attname = 'user_id' AND c.conrelid = %s::regclass
"""
COUNT_BY_TENANT: Final = """
    SELECT pair.schema, count(*) FROM {old} old JOIN {pairs} pair ON pair.old_id = old.user_id
    WHERE pair.chosen AND {is_left} GROUP BY 1 ORDER BY 1
"""
COUNT_REMAINING: Final = """
    SELECT count(*) FILTER (WHERE old.user_id IS NOT NULL AND who.old_id IS NULL),
           count(*) FILTER (WHERE old.user_id IS NULL),
           count(*) FILTER (WHERE NOT who.chosen),
           count(*) FILTER (WHERE who.chosen)
    FROM {old} old
    LEFT JOIN (SELECT old_id, bool_or(chosen) AS chosen FROM {pairs} GROUP BY 1) who ON who.old_id = old.user_id
    WHERE {is_left}
"""


class Remaining(NamedTuple):
    """The numbers of rows that remain in the old table, by reason."""

    nobody: int
    no_user: int
    several: int
    chosen: int

    @property
    def unmatched(self) -> int:
        return self.nobody + self.no_user + self.several


def mapping_by(field: str, table: OldTable) -> PeopleMapping:
    """Return a mapping by a field of the user model or by equal ids. Raises ImportRefused if that is impossible."""
    if is_per_tenant(get_user_model()._meta.app_label):
        return _mapping_by_value(field, table)
    if field != SAME_IDS:
        raise ImportRefused(
            f"--match {field}: users are shared by all tenants, so only --match {SAME_IDS} is possible."
        )
    members = settings.members
    if members is None:
        raise ImportRefused(
            'MESSAGES_EXTENDS["MEMBERS"] is not set. It defines the members of each tenant (docs/how-to/upgrading.md).'
        )
    return lambda _schema: [(pk, pk) for pk in members().values_list("pk", flat=True)]


def _mapping_by_value(field: str, table: OldTable) -> PeopleMapping:
    """Return a mapping of users with the same value, which must be non-empty and unique on both sides."""
    referenced = fetch(OLD_USERS, [str(table)])
    if not referenced:
        raise ImportRefused(f"{table} no longer has a foreign key to a table of users: pass a mapping with --mapping.")
    old_schema, old_users, old_key = referenced[0]
    model = get_user_model()
    names = {f.column: f.name for f in model._meta.concrete_fields if not f.primary_key}
    columns = fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
        [old_schema, old_users],
    )
    allowed = {names[name] for (name,) in columns if name in names}
    if field not in allowed:
        raise ImportRefused(
            f"--match {field}: users are per tenant, so name a field that both they and the old users have: "
            f"{', '.join(sorted(allowed))}."
        )
    old = _unique_values(qualified(old_schema, old_users), old_key, field)

    def pairs(schema: str) -> Pairs:
        if not has_table(schema, model._meta.db_table):
            raise ImportRefused(f"{schema} has no table of users: run migrate_schemas, then this command again.")
        new = _unique_values(qualified(schema, model._meta.db_table), model._meta.pk.column, field)
        rows = fetch("SELECT old.id, new.id FROM ({old}) old JOIN ({new}) new USING (value)", old=old, new=new)
        return [(old_id, new_id) for old_id, new_id in rows]

    return pairs


def _unique_values(users: str, key: str | None, field: str) -> str:
    value = getattr(get_user_model()._meta.get_field(field), "column", None)
    return UNIQUE_VALUES.format(key=column(key), value=column(value), users=users)


@contextmanager
def pairs_of(
    mapping: PeopleMapping, schemas: Sequence[str], table: OldTable, *, several_to: str | None = None
) -> Iterator[dict[str, int]]:
    """Store the pairs of all tenants in the temporary table PAIRS; yield the number of unknown new ids by tenant.

    The messages of a user of several tenants go to `several_to`, or to none, because the tenant of a message is unknown
    and it must not be shown in the wrong one.
    """
    ((old_type,),) = fetch(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attname = 'user_id'",
        [str(table)],
    )
    new_type = get_user_model()._meta.pk.rel_db_type(connections[write_database()])
    execute(
        f"CREATE TEMPORARY TABLE {PAIRS.removeprefix('pg_temp.')} (schema text, old_id {old_type}, "
        f"new_id {new_type} NOT NULL, chosen boolean NOT NULL DEFAULT false, PRIMARY KEY (schema, old_id))"
    )
    try:
        unknown = {schema: _load_pairs(mapping, schema) for schema in schemas}
        execute(SET_CHOSEN, [several_to or ""], pairs=PAIRS)
        execute("ANALYZE {pairs}", pairs=PAIRS)
        yield {schema: number for schema, number in unknown.items() if number}
    finally:
        execute("DROP TABLE {pairs}", pairs=PAIRS)


def _load_pairs(mapping: PeopleMapping, schema: str) -> int:
    """Store the pairs of a tenant whose new id exists there; return the number of the others."""
    with in_schema(schema):
        given = mapping(schema)
        # A list, because a queryset must be read in this schema.
        given = list(given.items() if isinstance(given, Mapping) else given)
    pairs: dict[Any, Any] = {}
    for pair in given:
        if not (isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2 and None not in pair):
            raise ImportRefused(f"The mapping of {schema} must return pairs (old id, new id), not {pair!r}.")
        old, new = pair
        if pairs.setdefault(old, new) != new:
            raise ImportRefused(f"The mapping of {schema} maps the old user {old} to two users: {pairs[old]}, {new}.")
    try:
        with transaction.atomic(using=write_database()):
            rows = ((schema, old, new) for old, new in pairs.items())
            with connections[write_database()].cursor() as cursor:
                while batch := list(islice(rows, 1000)):
                    cursor.executemany(INSERT, batch)
    except DataError as error:
        raise ImportRefused(f"The mapping of {schema} contains a value that is not a user id: {error}") from error
    # Delete the pairs whose new id does not exist in this tenant.
    model = get_user_model()
    users = qualified(schema if is_per_tenant(model._meta.app_label) else public(), model._meta.db_table)
    return execute(
        "DELETE FROM {pairs} pair WHERE schema = %s AND NOT EXISTS (SELECT 1 FROM {users} WHERE {key} = pair.new_id)",
        [schema],
        pairs=PAIRS,
        users=users,
        key=column(model._meta.pk.column),
    )


def count_by_tenant(table: OldTable) -> dict[str, int]:
    """Return the number of rows still to be imported by tenant."""
    return dict(fetch(COUNT_BY_TENANT, old=table.sql, pairs=PAIRS, is_left=table.is_left))


def count_remaining(table: OldTable) -> Remaining:
    """Return the numbers of rows that are not imported, by reason."""
    (counts,) = fetch(COUNT_REMAINING, old=table.sql, pairs=PAIRS, is_left=table.is_left)
    return Remaining(*counts)
