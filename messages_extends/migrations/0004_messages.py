"""Add the sender, the params, the link and the key of messages, and the indexes for reading."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from messages_extends.tenancy.foreign_keys import DeleteInDatabase
from messages_extends.tenancy.grouped_operations import GroupedOperations

LEVELS = [(9, "debug"), (19, "info"), (24, "success"), (29, "warning"), (39, "error")]
NEWEST_FIRST = (models.F("user"), models.F("created").desc(), models.F("id").desc())


def user_field(**options):
    return models.ForeignKey(
        blank=True,
        null=True,
        on_delete=django.db.models.deletion.DO_NOTHING,
        to=settings.AUTH_USER_MODEL,
        **options,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("messages_extends", "0003_read_at"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        GroupedOperations(
            [
                migrations.AlterModelOptions("message", {"verbose_name": "message", "verbose_name_plural": "messages"}),
                migrations.AlterField(
                    "message",
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                migrations.AlterField("message", "level", models.IntegerField(choices=LEVELS, verbose_name="level")),
                migrations.AlterField("message", "message", models.TextField(verbose_name="text")),
                migrations.AlterField(
                    "message", "extra_tags", models.CharField(blank=True, max_length=128, verbose_name="extra tags")
                ),
                migrations.AlterField(
                    "message", "created", models.DateTimeField(auto_now_add=True, verbose_name="created")
                ),
                migrations.AlterField(
                    "message", "modified", models.DateTimeField(auto_now=True, verbose_name="modified")
                ),
                migrations.AlterField(
                    "message", "expires", models.DateTimeField(blank=True, null=True, verbose_name="expires")
                ),
                migrations.AddField(
                    "message", "params", models.JSONField(blank=True, null=True, verbose_name="parameters")
                ),
                migrations.AddField(
                    "message", "url", models.CharField(blank=True, max_length=2000, verbose_name="link")
                ),
                migrations.AddField("message", "is_safe", models.BooleanField(default=False, verbose_name="safe HTML")),
                migrations.AddField("message", "key", models.CharField(blank=True, max_length=200, verbose_name="key")),
                migrations.AddField(
                    "message",
                    "sender",
                    user_field(related_name="+", verbose_name="sender", help_text="Blank if sent by the application."),
                ),
                migrations.AlterField("message", "user", user_field(db_index=False, verbose_name="recipient")),
                DeleteInDatabase("message", "sender", "SET NULL"),
                DeleteInDatabase("message", "user", "CASCADE"),
                migrations.AddIndex("message", models.Index(*NEWEST_FIRST, name="messages_of_user")),
                migrations.AddIndex(
                    "message",
                    models.Index(*NEWEST_FIRST, condition=models.Q(("read_at__isnull", True)), name="messages_unread"),
                ),
                migrations.AddConstraint(
                    "message",
                    models.UniqueConstraint(
                        condition=models.Q(("read_at__isnull", True), models.Q(("key", ""), _negated=True)),
                        fields=("user", "key"),
                        name="one_unread_message_per_key",
                    ),
                ),
            ]
        )
    ]
