"""Add titles, labels of links, display, category and group, and the marks of triage: archived, snoozed and saved.

Only `shows_at` rewrites the table of messages. The indexes that it replaces are dropped before, so that they are not
built twice.
"""

from typing import Any

from django.db import migrations, models
from django.db.models.functions import Greatest

from messages_extends.tenancy.grouped_operations import GroupedOperations

NEWEST_FIRST = (models.F("user"), models.F("shows_at").desc(), models.F("id").desc())
DISPLAYS = [("banner", "On every page"), ("inbox", "In the inbox only")]
UNREAD = models.Q(("read_at__isnull", True))
UNREAD_BANNERS = models.Q(("display", "banner"), ("read_at__isnull", True))
SHOWN_LATER = models.Q(("publish_at__isnull", False), ("snoozed_until__isnull", False), _connector="OR")
ARCHIVED = models.Q(("archived_at__isnull", False))
ARCHIVED_WITH_KEY = ARCHIVED & ~models.Q(("key", ""))
SAVED = models.Q(("saved_at__isnull", False))
SNOOZED = models.Q(("snoozed_until__isnull", False))
# Backwards: what was snoozed or saved without being read has no place in the earlier table.
DELETE_UNREAD_RECEIPTS = "DELETE FROM messages_extends_receipt WHERE read_at IS NULL"


def text(length: int, name: str) -> "models.CharField[str, str]":
    return models.CharField(blank=True, db_default="", default="", max_length=length, verbose_name=name)


def content(model: str) -> list[migrations.AddField]:
    display: models.CharField[str, str] = models.CharField(
        choices=DISPLAYS, db_default="banner", default="banner", max_length=10, verbose_name="display"
    )
    return [
        migrations.AddField(model, "title", text(200, "title")),
        migrations.AddField(model, "url_label", text(100, "label of the link")),
        migrations.AddField(model, "display", display),
        migrations.AddField(model, "category", text(100, "category")),
        migrations.AddField(model, "group", text(200, "group")),
    ]


def marks(model: str) -> list[migrations.AddField]:
    names = {"archived_at": "archived at", "snoozed_until": "snoozed until", "saved_at": "saved at"}
    return [
        *(migrations.AddField(model, name, time(verbose_name)) for name, verbose_name in names.items()),
        *(
            migrations.AddField(model, name, models.DateTimeField(blank=True, editable=False, null=True))
            for name in ("marked_at", *(f"previous_{name}" for name in names))
        ),
    ]


def time(name: str) -> Any:
    return models.DateTimeField(blank=True, null=True, verbose_name=name)


class Migration(migrations.Migration):
    dependencies = [("messages_extends", "0011_from_person")]

    operations = [
        GroupedOperations(
            [
                migrations.RemoveIndex("message", "messages_of_user"),
                migrations.RemoveIndex("message", "messages_unread"),
                *content("message"),
                migrations.AddField("message", "publish_at", time("published")),
                *marks("message"),
                migrations.AddField(
                    "message",
                    "shows_at",
                    models.GeneratedField(
                        db_persist=True,
                        expression=Greatest("created", "publish_at", "snoozed_until"),
                        output_field=models.DateTimeField(),
                        verbose_name="shows at",
                    ),
                ),
                migrations.AddIndex(
                    "message",
                    models.Index(NEWEST_FIRST[0], models.F("archived_at"), *NEWEST_FIRST[1:], name="messages_of_user"),
                ),
                migrations.AddIndex(
                    "message",
                    models.Index(*NEWEST_FIRST, condition=UNREAD, include=["expires"], name="messages_unread"),
                ),
                migrations.AddIndex(
                    "message",
                    models.Index(*NEWEST_FIRST, condition=UNREAD_BANNERS, include=["expires"], name="messages_banners"),
                ),
                migrations.AddIndex(
                    "message",
                    models.Index(models.F("shows_at"), condition=SHOWN_LATER, name="messages_shown_later"),
                ),
                migrations.AddIndex(
                    "message", models.Index(*NEWEST_FIRST, condition=ARCHIVED, name="messages_archived")
                ),
                migrations.AddIndex("message", models.Index(*NEWEST_FIRST, condition=SAVED, name="messages_saved")),
                migrations.AddIndex(
                    "message", models.Index("user", "key", condition=ARCHIVED_WITH_KEY, name="archived_by_key")
                ),
                *content("announcement"),
                migrations.AlterField("receipt", "read_at", time("read at")),
                migrations.RunSQL(migrations.RunSQL.noop, DELETE_UNREAD_RECEIPTS),
                *marks("receipt"),
                migrations.AddIndex(
                    "receipt",
                    models.Index(models.F("snoozed_until"), condition=SNOOZED, name="receipts_snoozed"),
                ),
            ]
        )
    ]
