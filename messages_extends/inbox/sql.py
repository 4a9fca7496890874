"""The SQL of the inbox that is written by hand."""

from typing import Final

# For each of the users with these keys, the number of rows of a query in which `person.{key}` replaces the reader's.
COUNT_EACH: Final = """
SELECT person.{key}, (SELECT count(*) FROM ({query}) AS counted)
FROM {people} AS person WHERE person.{key} = ANY(CAST(%(keys)s AS {type}[]))
"""
