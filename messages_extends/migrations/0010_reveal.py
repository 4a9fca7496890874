"""Add the audit event that a superuser has revealed a message."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messages_extends", "0009_unread_with_expires")]

    operations = [
        migrations.AlterField(
            model_name="auditrecord",
            name="action",
            field=models.CharField(
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
                    ("reveal", "revealed"),
                ],
                max_length=20,
                verbose_name="action",
            ),
        ),
    ]
