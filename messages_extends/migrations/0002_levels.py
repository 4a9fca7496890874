"""Change the levels 11, 21, 26, 31, 41 of the released code to 9, 19, 24, 29, 39, as in its README."""

from django.db import migrations

from messages_extends.tenancy.table_location import RequireOwnTable

# As SQL: before a function in Python Django makes all its models of that time anew.
#
# Rows that have one of our numbers already are noted, so that the way back can tell them from those that got it here.
# In the current schema and in no other: a table of that name may lie in public. Hardly anybody has such rows, and then
# there is no table either.
NOTE = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM messages_extends_message WHERE level IN (9, 19, 24, 29, 39)) THEN
        EXECUTE format(
            'CREATE TABLE %I.messages_extends_level_before AS
             SELECT id, level FROM messages_extends_message WHERE level IN (9, 19, 24, 29, 39)',
            current_schema()
        );
    END IF;
END $$
"""
RENUMBER = "UPDATE messages_extends_message SET level = level - 2 WHERE level IN (11, 21, 26, 31, 41)"
NUMBER_BACK = "UPDATE messages_extends_message SET level = level + 2 WHERE level IN (9, 19, 24, 29, 39)"
GIVE_BACK = """
DO $$ BEGIN
    IF to_regclass(format('%I.messages_extends_level_before', current_schema())) IS NOT NULL THEN
        UPDATE messages_extends_message SET level = before.level
        FROM messages_extends_level_before AS before
        WHERE before.id = messages_extends_message.id AND before.level + 2 = messages_extends_message.level;
        DROP TABLE messages_extends_level_before;
    END IF;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("messages_extends", "0001_initial")]

    operations = [
        RequireOwnTable(
            "message",
            remedy=(
                "So far all tenants shared the one in the public schema: run "
                "`manage.py import_messages_extends --prepare`, then migrate_schemas again (docs/how-to/upgrading.md)."
            ),
        ),
        # Backwards they run in the opposite order.
        migrations.RunSQL(NOTE, GIVE_BACK),
        migrations.RunSQL(RENUMBER, NUMBER_BACK),
    ]
