"""The SQL of the inbox that is written by hand."""

from typing import Final

# The first rows of `newest`, each with the number of all `unread` messages and of the banners among them; without a
# banner one row that has these numbers alone. To plan the statement takes longer than to run it, and grows with the
# tables that it names and with the branches of the union.
BANNERS: Final = """
(WITH newest AS ({newest})
 SELECT newest.*, counted.total, (SELECT count(*) FROM newest) AS banners
 FROM (SELECT count(*) AS total FROM ({unread}) AS unread) AS counted
 LEFT JOIN (SELECT * FROM newest LIMIT %(limit)s) AS newest ON true)
"""
WITH_PUBLICATIONS: Final = f"{BANNERS} UNION ALL {{publications}}"

# For each of the people with these keys, how many rows a query has in which `person.{key}` stands for the reader's.
COUNT_EACH: Final = """
SELECT person.{key}, (SELECT count(*) FROM ({query}) AS counted)
FROM {people} AS person WHERE person.{key} = ANY(CAST(%(keys)s AS {type}[]))
"""
