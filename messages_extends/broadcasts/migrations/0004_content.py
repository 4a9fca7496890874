"""Add titles, labels of links, display, category and group."""

from django.db import migrations, models
from django.utils import timezone

from messages_extends.tenancy.grouped_operations import GroupedOperations


def text(length: int, name: str) -> "models.CharField[str, str]":
    return models.CharField(blank=True, db_default="", default="", max_length=length, verbose_name=name)


def display() -> "models.CharField[str, str]":
    return models.CharField(
        choices=[("banner", "On every page"), ("inbox", "In the inbox only")],
        db_default="banner",
        default="banner",
        max_length=10,
        verbose_name="display",
    )


ACTIONS = [
    ("send", "sent"),
    ("announce", "announced"),
    ("broadcast", "broadcast"),
    ("revise", "revised"),
    ("retract", "retracted"),
    ("cancel", "cancelled"),
    ("grant", "granted"),
    ("revoke", "revoked"),
    ("purge", "purged"),
    ("export", "exported"),
    ("erase", "erased"),
    ("reveal", "revealed"),
    ("recall", "recalled"),
]


class Migration(migrations.Migration):
    dependencies = [("broadcasts", "0003_reveal")]

    operations = [
        GroupedOperations(
            [
                migrations.AddField("broadcast", "title", text(200, "title")),
                migrations.AddField("broadcast", "url_label", text(100, "label of the link")),
                migrations.AddField("broadcast", "display", display()),
                migrations.AddField("broadcast", "category", text(100, "category")),
                migrations.AddField("broadcast", "group", text(200, "group")),
                migrations.AlterField(
                    "broadcastrecord",
                    "action",
                    models.CharField(choices=ACTIONS, max_length=20, verbose_name="action"),
                ),
                migrations.AlterField(
                    "broadcastrecord",
                    "recorded_at",
                    models.DateTimeField(
                        db_index=True, default=timezone.now, editable=False, verbose_name="recorded at"
                    ),
                ),
            ]
        )
    ]
