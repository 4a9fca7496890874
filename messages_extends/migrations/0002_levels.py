"""Levels 11, 21, 26, 31, 41 of the published code become 9, 19, 24, 29, 39, the numbers of its README."""

from django.db import migrations
from django.db.models import F

from messages_extends.tenancy.own_tables import RequireOwnTable

PUBLISHED_LEVELS = (11, 21, 26, 31, 41)
OURS = (9, 19, 24, 29, 39)


def renumber(apps, schema_editor):
    apps.get_model("messages_extends", "Message").objects.filter(level__in=PUBLISHED_LEVELS).update(
        level=F("level") - 2
    )


def number_back(apps, schema_editor):
    apps.get_model("messages_extends", "Message").objects.filter(level__in=OURS).update(level=F("level") + 2)


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
        migrations.RunPython(renumber, number_back),
    ]
