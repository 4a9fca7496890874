"""The SQL of the inbox that is written by hand."""

from typing import Final

# The first rows of `newest`, each with the number of all `unread` messages and of the banners among them; without a
# banner, one row with these numbers only. Planning the statement takes longer than running it, and grows with the
# number of tables that it names and with the branches of the union.
BANNERS: Final = """
(WITH newest AS ({newest})
 SELECT newest.*, counted.total, (SELECT count(*) FROM newest) AS banners
 FROM (SELECT count(*) AS total FROM ({unread}) AS unread) AS counted
 LEFT JOIN (SELECT * FROM newest LIMIT %(limit)s) AS newest ON true)
"""
WITH_PUBLICATIONS: Final = f"{BANNERS} UNION ALL {{publications}}"

# For each of the users with these keys, the number of rows of a query in which `person.{key}` replaces the reader's.
COUNT_EACH: Final = """
SELECT person.{key}, (SELECT count(*) FROM ({query}) AS counted)
FROM {people} AS person WHERE person.{key} = ANY(CAST(%(keys)s AS {type}[]))
"""
