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


class HasKey(Func):
    """Whether a column has one of the values of a list, which is one parameter; `type` is that of the column."""

    template = "%(expressions)s AS %(type)s[]))"
    arg_joiner = " = ANY(CAST("
    output_field = BooleanField()


class IsChosen(Func):
    """Whether a column has one of the keys that LOCK_CHOSEN has chosen."""

    template = "%(expressions)s = ANY(ARRAY(SELECT key FROM messages_extends_chosen))"
    output_field = BooleanField()
