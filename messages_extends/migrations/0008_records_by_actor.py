"""Add an index on the recent records of an actor, for rate limits."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messages_extends", "0007_submissions")]

    operations = [
        migrations.AddIndex(
            model_name="auditrecord",
            index=models.Index(fields=["actor_id", "recorded_at"], name="auditrecord_by_actor"),
        ),
    ]
