"""Add submissions, which prevent that a form sends twice."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messages_extends", "0006_guards")]

    operations = [
        migrations.CreateModel(
            name="Submission",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("sent_at", models.DateTimeField(auto_now_add=True, db_index=True, verbose_name="sent")),
                ("count", models.PositiveIntegerField(default=0, verbose_name="count")),
            ],
            options={"verbose_name": "submission", "verbose_name_plural": "submissions"},
        ),
    ]
