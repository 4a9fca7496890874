"""Add an index on the recent records of an actor, for rate limits."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("broadcasts", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="broadcastrecord",
            index=models.Index(fields=["actor_id", "recorded_at"], name="broadcastrecord_by_actor"),
        ),
    ]
