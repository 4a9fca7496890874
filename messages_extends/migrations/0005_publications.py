"""Add announcements, receipts and the audit log."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from messages_extends.tenancy.grouped_operations import GroupedOperations


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("messages_extends", "0004_messages"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        GroupedOperations(
            [
                migrations.CreateModel(
                    name="AuditRecord",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "recorded_at",
                            models.DateTimeField(auto_now_add=True, db_index=True, verbose_name="recorded at"),
                        ),
                        ("actor_id", models.CharField(blank=True, max_length=64, verbose_name="actor's id")),
                        ("actor_name", models.CharField(blank=True, max_length=200, verbose_name="actor")),
                        (
                            "action",
                            models.CharField(
                                choices=[
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
                                ],
                                max_length=20,
                                verbose_name="action",
                            ),
                        ),
                        ("subject", models.CharField(max_length=200, verbose_name="subject")),
                        ("audience", models.CharField(blank=True, max_length=500, verbose_name="audience")),
                        ("count", models.PositiveIntegerField(blank=True, null=True, verbose_name="count")),
                        ("text_hash", models.CharField(blank=True, max_length=64, verbose_name="SHA-256 of the text")),
                        (
                            "text",
                            models.TextField(
                                blank=True,
                                help_text="Of publications only, never of personal messages.",
                                verbose_name="text",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "audit record",
                        "verbose_name_plural": "audit records",
                        "ordering": ["-id"],
                        "default_permissions": ("view",),
                    },
                ),
                migrations.CreateModel(
                    name="Announcement",
                    fields=[
                        (
                            "level",
                            models.IntegerField(
                                choices=[(9, "debug"), (19, "info"), (24, "success"), (29, "warning"), (39, "error")],
                                verbose_name="level",
                            ),
                        ),
                        ("message", models.TextField(verbose_name="text")),
                        ("params", models.JSONField(blank=True, null=True, verbose_name="parameters")),
                        ("extra_tags", models.CharField(blank=True, max_length=128, verbose_name="extra tags")),
                        ("url", models.CharField(blank=True, max_length=2000, verbose_name="link")),
                        ("is_safe", models.BooleanField(default=False, verbose_name="safe HTML")),
                        ("key", models.CharField(blank=True, max_length=200, verbose_name="key")),
                        ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ("created", models.DateTimeField(auto_now_add=True, verbose_name="created")),
                        (
                            "publish_at",
                            models.DateTimeField(default=django.utils.timezone.now, verbose_name="published"),
                        ),
                        ("expires", models.DateTimeField(verbose_name="expires")),
                        ("retracted_at", models.DateTimeField(blank=True, null=True, verbose_name="retracted at")),
                        ("must_acknowledge", models.BooleanField(default=False, verbose_name="must be acknowledged")),
                        ("revision", models.PositiveIntegerField(default=1, verbose_name="revision")),
                        (
                            "audience_size",
                            models.PositiveIntegerField(
                                blank=True,
                                editable=False,
                                null=True,
                                verbose_name="audience size at publication",
                            ),
                        ),
                        (
                            "audience",
                            models.CharField(
                                choices=[("everyone", "everyone"), ("groups", "groups")],
                                max_length=10,
                                verbose_name="audience",
                            ),
                        ),
                        (
                            "sender",
                            models.ForeignKey(
                                blank=True,
                                help_text="Blank if sent by the application.",
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                                verbose_name="sender",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "announcement",
                        "verbose_name_plural": "announcements",
                        "abstract": False,
                    },
                ),
                migrations.CreateModel(
                    name="AnnouncementGroup",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "announcement",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="messages_extends.announcement",
                            ),
                        ),
                        (
                            "group",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="auth.group"
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "group of an announcement",
                        "verbose_name_plural": "groups of announcements",
                    },
                ),
                migrations.CreateModel(
                    name="Receipt",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("publication_id", models.UUIDField(db_index=True, verbose_name="publication")),
                        ("revision", models.PositiveIntegerField(verbose_name="revision")),
                        ("read_at", models.DateTimeField(verbose_name="read at")),
                        ("earlier_revision", models.PositiveIntegerField(blank=True, editable=False, null=True)),
                        ("earlier_read_at", models.DateTimeField(blank=True, editable=False, null=True)),
                        (
                            "user",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                                verbose_name="reader",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "receipt",
                        "verbose_name_plural": "receipts",
                    },
                ),
            ]
        ),
        GroupedOperations(
            [
                migrations.AddField(
                    model_name="announcement",
                    name="groups",
                    field=models.ManyToManyField(
                        blank=True,
                        related_name="+",
                        through="messages_extends.AnnouncementGroup",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="announcementgroup",
                    constraint=models.UniqueConstraint(
                        fields=("announcement", "group"), name="group_once_per_announcement"
                    ),
                ),
                migrations.AddIndex(
                    model_name="announcement",
                    index=models.Index(
                        condition=models.Q(("retracted_at__isnull", True)),
                        fields=["expires", "publish_at"],
                        name="announcement_not_retracted",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="announcement",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("key", ""), _negated=True), fields=("key",), name="one_announcement_per_key"
                    ),
                ),
                migrations.AddConstraint(
                    model_name="announcement",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("expires__gt", models.F("publish_at"))),
                        name="announcement_expires_after_it_is_published",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="receipt",
                    constraint=models.UniqueConstraint(
                        fields=("user", "publication_id"), name="one_receipt_per_reader"
                    ),
                ),
            ]
        ),
    ]
