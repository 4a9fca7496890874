"""Levels 11, 21, 26, 31, 41 of the published code become 9, 19, 24, 29, 39, the numbers of its README."""

from django.db import migrations

from messages_extends.tenancy.own_tables import RequireOwnTable

# As SQL: before a function in Python Django makes all its models of that time anew.
RENUMBER = "UPDATE messages_extends_message SET level = level - 2 WHERE level IN (11, 21, 26, 31, 41)"
NUMBER_BACK = "UPDATE messages_extends_message SET level = level + 2 WHERE level IN (9, 19, 24, 29, 39)"


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
        migrations.RunSQL(RENUMBER, NUMBER_BACK),
    ]
