"""Guards that the database itself keeps, for doors that no Python of ours stands at.

They protect from accidents. Whoever owns the tables can drop a trigger: a boundary against hostile code is a database
role without the right to write.
"""

from django.db.migrations import RunSQL
from django_tenants.utils import get_public_schema_name

APPEND_ONLY = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.actor_name = '' THEN
        OLD.actor_name := '';
        IF NEW IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'The records in % are kept: they can be neither changed nor deleted.', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', HINT = 'To erase a person, use the command erase_messages.';
END
$body$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
"""
NOT_APPEND_ONLY = "DROP TRIGGER append_only ON {table}; DROP FUNCTION {function}();"

# The schema is null while a dump is restored.
PUBLIC_ONLY = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF current_schema() IS NOT NULL AND current_schema() <> '{public}' THEN
        RAISE EXCEPTION 'Only the platform writes to %, and this is the schema %.', TG_TABLE_NAME, current_schema()
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$body$;
"""
PUBLIC_ONLY_TABLE = """
CREATE TRIGGER public_only BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {function}();
"""


def append_only(table: str) -> RunSQL:
    """Refuse to change or delete records; only their actor's name can be emptied."""
    names = {"table": table, "function": f"{table}_append_only"}
    return RunSQL(APPEND_ONLY.format(**names), NOT_APPEND_ONLY.format(**names))


def written_in_public_only(app_label: str, *tables: str) -> RunSQL:
    """Refuse every write to `tables` while the search path starts in another schema than public."""
    function = f"{app_label}_public_only"
    public = get_public_schema_name().replace("'", "''")
    make = "".join(PUBLIC_ONLY_TABLE.format(table=table, function=function) for table in tables)
    drop = "".join(f"DROP TRIGGER public_only ON {table};" for table in tables)
    return RunSQL(PUBLIC_ONLY.format(function=function, public=public) + make, f"{drop} DROP FUNCTION {function}();")
