"""The SQL of this room that is written by hand: its values are named parameters."""

from typing import Final

from django.db.models import BooleanField, Func

# The people are chosen once, as a random or sliced queryset finds others whenever it is evaluated. They are compared as
# arrays, by their index: joins of what has no index take hours where the statistics of the table are old. Ordered, so
# that two who send to the same people wait for each other and never deadlock. Locking is a statement of its own because
# Citus accepts no lock in INSERT ... SELECT.
LOCK_CHOSEN: Final = """
WITH messages_extends_chosen (key) AS MATERIALIZED ({query})
SELECT person.{key},
    (SELECT count(DISTINCT key) FROM messages_extends_chosen WHERE key IS DISTINCT FROM %(sender)s),
    (SELECT count(DISTINCT key) FROM ({reachable}) AS found (key) WHERE key IS DISTINCT FROM %(sender)s)
FROM {people} AS person WHERE person.{key} = ANY(ARRAY(SELECT key FROM messages_extends_chosen))
ORDER BY person.{key} FOR KEY SHARE OF person
"""

# In place of a query for people of whom Django knows that they are nobody.
NO_PEOPLE: Final = "SELECT {key} FROM {people} WHERE false"

# Held until the end of the transaction by everything that sends for the same sender.
LOCK_SENDER: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%(sender_key)s, 0))"

# Whether fewer have been written in a period than its limit: whether there are no more than `others`.
FEWER_RECORDS: Final = """
NOT EXISTS (
    SELECT FROM {records}
    WHERE actor_id = %(actor)s AND action IN ({actions}) AND recorded_at > %(since_{period})s OFFSET {others}
)
"""

# Whether the sender may write to `person`, a row of the statement around it. First what would allow it: the right on
# the person, or on a group they are in. Then who holds that right, on all or on that object: the sender or a group of
# theirs. Each look-up has the whole key of an index, so that a sender may hold any number of grants.
MAY_WRITE_TO: Final = """
EXISTS (
    SELECT FROM {people} AS sender WHERE sender.{key} = %(sender)s{sender_is_active} AND (
        sender.{key} = person.{key}{sender_is_superuser} OR EXISTS (
            SELECT FROM ({targets}) AS target (app_label, codename, object_pk)
            JOIN {content_types} AS kind ON kind.app_label = target.app_label
            JOIN {permissions} AS permission
                ON permission.content_type_id = kind.id AND permission.codename = target.codename
            WHERE {holdings}
        )
    )
)
"""

# Whether the sender may write to one member.
MAY_MESSAGE: Final = """
SELECT true FROM {people} AS person WHERE person.{key} = %(recipient)s AND {member} AND {condition}
"""
TARGET_PERSON: Final = "SELECT '{app_label}', '{codename}', CAST(person.{key} AS varchar)"
TARGET_GROUPS: Final = """SELECT '{app_label}', '{codename}', CAST(joined.{group} AS varchar)
    FROM {memberships} AS joined WHERE joined.{member} = person.{key}"""
HELD: Final = """EXISTS (SELECT FROM {table} AS held
    WHERE held.{holder} = %(sender)s AND held.{permission} = permission.id{on_object})"""
HELD_BY_GROUP: Final = """EXISTS (SELECT FROM {table} AS held JOIN {memberships} AS own ON own.{group} = held.{holder}
    WHERE own.{member} = %(sender)s AND held.{permission} = permission.id{on_object})"""
ON_OBJECT: Final = " AND held.object_pk = target.object_pk"


class HasKey(Func):
    """Whether a column has one of the values of a list, which is one parameter; `type` is that of the column."""

    template = "%(expressions)s AS %(type)s[]))"
    arg_joiner = " = ANY(CAST("
    output_field = BooleanField()


class IsChosen(Func):
    """Whether a column has one of the keys that LOCK_CHOSEN has chosen."""

    template = "%(expressions)s = ANY(ARRAY(SELECT key FROM messages_extends_chosen))"
    output_field = BooleanField()
