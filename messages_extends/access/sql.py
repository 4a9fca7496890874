"""SQL that is written by hand. Values are named parameters."""

from typing import Final

from django.db.models import BooleanField, Func

# The users are selected once, because a random or sliced queryset returns others at each evaluation. They are compared
# as arrays, by their index: joins without an index take hours if the statistics of the table are old. They are ordered,
# so that concurrent sends to the same users wait and never deadlock. Locking is a separate statement, because Citus
# accepts no lock in INSERT ... SELECT.
LOCK_CHOSEN: Final = """
WITH messages_extends_chosen (key) AS MATERIALIZED ({query})
SELECT person.{key},
    (SELECT count(DISTINCT key) FROM messages_extends_chosen WHERE key IS DISTINCT FROM %(sender)s),
    (SELECT count(DISTINCT key) FROM ({reachable}) AS found (key) WHERE key IS DISTINCT FROM %(sender)s)
FROM {people} AS person WHERE person.{key} = ANY(ARRAY(SELECT key FROM messages_extends_chosen))
ORDER BY person.{key} FOR KEY SHARE OF person
"""

# Replaces a query that Django knows to be empty.
NO_PEOPLE: Final = "SELECT {key} FROM {people} WHERE false"

# A lock that all sends of the same sender hold until the end of their transaction.
LOCK_SENDER: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%(sender_key)s, 0))"

# Whether fewer records than the limit exist in a period: at most `others`.
FEWER_RECORDS: Final = """
NOT EXISTS (
    SELECT 1 FROM {records}
    WHERE actor_id = %(actor)s AND action IN ({actions}) AND recorded_at > %(since_{period})s OFFSET {others}
)
"""

SENDER_IS_ACTIVE: Final = "EXISTS (SELECT 1 FROM {people} AS sender WHERE sender.{key} = %(sender)s AND {is_active})"
# Whether the sender may write to `person`, a row of the outer statement. The joins list what would allow it: the
# permission on the person, or on one of their groups. Then it looks for a holder, on all or on that object: the sender
# or one of the sender's groups. Each lookup uses the whole key of an index, so that a sender may hold any number of
# grants.
MAY_WRITE_TO: Final = """
EXISTS (
    SELECT 1 FROM {people} AS sender WHERE sender.{key} = %(sender)s{sender_is_active} AND (
        sender.{key} = person.{key}{sender_is_superuser} OR EXISTS (
            SELECT 1 FROM {content_types} AS kind
            JOIN {permissions} AS permission ON permission.content_type_id = kind.id{groups}
            WHERE ({rights}) AND ({holdings})
        )
    )
)
"""
# A row of the joins above is a right on the person, or on one of their groups; Citus refuses a union here.
RIGHT: Final = "kind.app_label = '{app_label}' AND permission.codename = '{codename}'"
GROUPS_OF_PERSON: Final = """
            LEFT JOIN {memberships} AS joined
                ON joined.{member} = person.{key} AND permission.codename = '{codename}'"""
IN_A_GROUP: Final = "joined.{group} IS NOT NULL"
PERSON_KEY: Final = "CAST(person.{key} AS varchar)"
GROUP_OR_PERSON_KEY: Final = "coalesce(CAST(joined.{group} AS varchar), {person_key})"
HELD: Final = """EXISTS (SELECT 1 FROM {table} AS held
    WHERE held.{holder} = %(sender)s AND held.{permission} = permission.id{on_object})"""
HELD_BY_GROUP: Final = """EXISTS (SELECT 1 FROM {table} AS held JOIN {memberships} AS own ON own.{group} = held.{holder}
    WHERE own.{member} = %(sender)s AND held.{permission} = permission.id{on_object})"""
ON_OBJECT: Final = " AND held.object_pk = {object_key}"

# Whether the sender may write to one member.
MAY_MESSAGE: Final = """
SELECT true FROM {people} AS person WHERE person.{key} = %(recipient)s AND {member} AND {condition}
"""


class HasKey(Func):
    """Test whether a column has one of the values of a list, which is one parameter; `type` is the column's type."""

    template = "%(expressions)s AS %(type)s[]))"
    arg_joiner = " = ANY(CAST("
    output_field = BooleanField()


class IsChosen(Func):
    """Test whether a column has one of the keys that LOCK_CHOSEN has selected."""

    template = "%(expressions)s = ANY(ARRAY(SELECT key FROM messages_extends_chosen))"
    output_field = BooleanField()
