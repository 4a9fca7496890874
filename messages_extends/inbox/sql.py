"""The SQL of the inbox that is written by hand."""

from typing import Final

# For each of the people with these keys, how many rows a query has in which `person.{key}` stands for the reader's.
COUNT_EACH: Final = """
SELECT person.{key}, (SELECT count(*) FROM ({query}) AS counted)
FROM {people} AS person WHERE person.{key} = ANY(CAST(%(keys)s AS {type}[]))
"""
