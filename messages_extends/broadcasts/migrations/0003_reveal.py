"""Add the audit event for revealing a message, as in tenants."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("broadcasts", "0002_records_by_actor")]

    operations = [
        migrations.AlterField(
            model_name="broadcastrecord",
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
