"""SQL that is written by hand. Values are named parameters."""

from typing import Final

# In the order of the users' keys, so that concurrent sends with one key wait and never deadlock.
INSERT_MESSAGES: Final = """
INSERT INTO {table} ({user}, {columns})
SELECT person.{key}, {values} FROM {people} AS person WHERE person.{key} = ANY(CAST(%(keys)s AS {type}[]))
ORDER BY person.{key}
ON CONFLICT DO NOTHING
RETURNING {user}
"""

# A message to one user if the conditions are true. The foreign key, which is checked with the statement, prevents the
# user from being deleted until the transaction ends: the SELECT locks no row, which Citus would refuse.
INSERT_MESSAGE: Final = """
INSERT INTO {table} ({user}, {columns})
SELECT person.{key}, {values} FROM {people} AS person WHERE person.{key} = %(message_user)s AND {conditions}
ON CONFLICT DO NOTHING
RETURNING {user}
"""

NOTHING_ARCHIVED: Final = """NOT EXISTS (
    SELECT 1 FROM {table} AS archived WHERE archived.user_id = %(message_user)s AND archived.key = %(message_key)s
    AND archived.key <> '' AND archived.archived_at IS NOT NULL
)"""

# The audit record of a message, if it was written.
WITH_RECORD: Final = """
WITH written AS ({insert})
INSERT INTO {table} ({columns}) SELECT {values} FROM written
RETURNING true
"""
