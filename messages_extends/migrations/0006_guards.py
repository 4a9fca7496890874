"""Add the deletion rules of foreign keys, and the triggers that protect audit records.

It is a separate migration, because Django creates foreign keys at the end of a migration.
"""

from django.db import migrations

from messages_extends.tenancy.foreign_keys import DeleteInDatabase
from messages_extends.tenancy.triggers import append_only


class Migration(migrations.Migration):
    dependencies = [("messages_extends", "0005_publications")]

    operations = [
        DeleteInDatabase("announcement", "sender", "SET NULL"),
        DeleteInDatabase("announcementgroup", "group", "CASCADE"),
        DeleteInDatabase("receipt", "user", "CASCADE"),
        append_only("messages_extends_auditrecord"),
    ]
