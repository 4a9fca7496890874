"""What PostgreSQL says a table is: columns, constraints, indexes and the sequence of its primary key."""

from typing import Any

from tests.upgrade.hosts import Host

TABLE = "messages_extends_message"

COLUMNS = """
    SELECT column_name, data_type, character_maximum_length, is_nullable, column_default, is_identity,
           identity_generation, is_generated, generation_expression, collation_name
    FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY {order}
"""
CONSTRAINTS = """
    SELECT conname, contype, replace(pg_get_constraintdef(oid), quote_ident(connamespace::regnamespace::text) ||
    '.', '')
           AS definition, condeferrable, condeferred, convalidated,
           confdeltype
    FROM pg_constraint WHERE conrelid = format('%%I.%%I', %s::text, %s::text)::regclass ORDER BY conname
"""
INDEXES = """
    SELECT indexname, replace(indexdef, quote_ident(schemaname) || '.', '') AS definition
    FROM pg_indexes WHERE schemaname = %s AND tablename = %s ORDER BY indexname
"""
SEQUENCES = """
    SELECT sequencename, data_type::text, start_value, min_value, max_value, increment_by, cycle, cache_size
    FROM pg_sequences WHERE schemaname = %s AND sequencename LIKE %s || '%%' ORDER BY sequencename
"""


def table_definition(host: Host, schema: str, *, in_order: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Describe the table of messages in `schema`; with `in_order` the order of its columns counts."""
    where = (schema, TABLE)
    return {
        "columns": host.rows(COLUMNS.format(order="ordinal_position" if in_order else "column_name"), *where),
        "constraints": host.rows(CONSTRAINTS, *where),
        "indexes": host.rows(INDEXES, *where),
        "sequences": host.rows(SEQUENCES, *where),
    }
