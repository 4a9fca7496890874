"""Add broadcasts, the counts of their readers and their audit log, writable only in the public schema."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from messages_extends.tenancy.grouped_operations import GroupedOperations
from messages_extends.tenancy.triggers import append_only, public_only


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.TENANT_MODEL),
    ]

    operations = [
        GroupedOperations(
            [
                migrations.CreateModel(
                    name="Broadcast",
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
                        ("author", models.CharField(blank=True, max_length=200, verbose_name="author")),
                        (
                            "audience",
                            models.CharField(
                                choices=[("all", "all organisations"), ("selected", "chosen organisations")],
                                max_length=10,
                                verbose_name="audience",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "broadcast",
                        "verbose_name_plural": "broadcasts",
                        "abstract": False,
                    },
                ),
                migrations.CreateModel(
                    name="BroadcastRecord",
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
                    name="BroadcastTenant",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        (
                            "broadcast",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="broadcasts.broadcast"
                            ),
                        ),
                        (
                            "tenant",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.TENANT_MODEL
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "organisation of a broadcast",
                        "verbose_name_plural": "organisations of broadcasts",
                    },
                ),
                migrations.CreateModel(
                    name="BroadcastCount",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("schema_name", models.CharField(max_length=63, verbose_name="organisation")),
                        ("revision", models.PositiveIntegerField(verbose_name="revision")),
                        ("readers", models.PositiveIntegerField(null=True, verbose_name="have read")),
                        ("people", models.PositiveIntegerField(null=True, verbose_name="people")),
                        ("counted_at", models.DateTimeField(verbose_name="counted at")),
                        (
                            "broadcast",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="counts",
                                to="broadcasts.broadcast",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "count of readers",
                        "verbose_name_plural": "counts of readers",
                        "constraints": [
                            models.UniqueConstraint(
                                fields=("broadcast", "schema_name"), name="one_count_per_organisation"
                            )
                        ],
                    },
                ),
            ]
        ),
        GroupedOperations(
            [
                migrations.AddField(
                    model_name="broadcast",
                    name="tenants",
                    field=models.ManyToManyField(
                        blank=True,
                        related_name="+",
                        through="broadcasts.BroadcastTenant",
                        to=settings.TENANT_MODEL,
                        verbose_name="organisations",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="broadcasttenant",
                    constraint=models.UniqueConstraint(
                        fields=("broadcast", "tenant"), name="tenant_once_per_broadcast"
                    ),
                ),
                migrations.AddIndex(
                    model_name="broadcast",
                    index=models.Index(
                        condition=models.Q(("retracted_at__isnull", True)),
                        fields=["expires", "publish_at"],
                        name="broadcast_not_retracted",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="broadcast",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("key", ""), _negated=True), fields=("key",), name="one_broadcast_per_key"
                    ),
                ),
                migrations.AddConstraint(
                    model_name="broadcast",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("expires__gt", models.F("publish_at"))),
                        name="broadcast_expires_after_it_is_published",
                    ),
                ),
            ]
        ),
        append_only("broadcasts_broadcastrecord"),
        public_only(
            "broadcasts",
            "broadcasts_broadcast",
            "broadcasts_broadcasttenant",
            "broadcasts_broadcastcount",
            "broadcasts_broadcastrecord",
        ),
    ]
