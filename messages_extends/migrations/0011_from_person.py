"""Add `from_person`, which tells texts of deleted users from texts of the application."""

from django.conf import settings
from django.db import migrations, models

from messages_extends.tenancy.grouped_operations import GroupedOperations

NOTE_PEOPLE = """
UPDATE messages_extends_message SET from_person = true WHERE sender_id IS NOT NULL;
UPDATE messages_extends_announcement SET from_person = true WHERE sender_id IS NOT NULL;
"""


def from_person() -> "models.BooleanField[bool, bool]":
    return models.BooleanField(default=False, db_default=False, editable=False, verbose_name="sent by a person")


def sender() -> "models.ForeignKey[models.Model | None, models.Model | None]":
    """Return the column as it is, with another help text: this runs no SQL."""
    return models.ForeignKey(
        blank=True,
        help_text="Blank if sent by the application, or by somebody who has been deleted.",
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
        verbose_name="sender",
    )


class Migration(migrations.Migration):
    dependencies = [("messages_extends", "0010_reveal")]

    operations = [
        GroupedOperations(
            [
                migrations.AddField("message", "from_person", from_person()),
                migrations.AddField("announcement", "from_person", from_person()),
                migrations.AlterField("message", "sender", sender()),
                migrations.AlterField("announcement", "sender", sender()),
                migrations.RunSQL(NOTE_PEOPLE, migrations.RunSQL.noop),
            ]
        )
    ]
