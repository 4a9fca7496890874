"""An index for what somebody has done of late: how often they may speak is counted there."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("broadcasts", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="broadcastrecord",
            index=models.Index(fields=["actor_id", "recorded_at"], name="broadcastrecord_by_actor"),
        ),
    ]
