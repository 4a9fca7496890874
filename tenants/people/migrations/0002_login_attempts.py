"""Attempts to log in, counted so that guessing is slow."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("people", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="LoginAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("by", models.CharField(max_length=64)),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "attempt to log in",
                "verbose_name_plural": "attempts to log in",
                "default_permissions": (),
                "indexes": [models.Index(fields=["by", "at"], name="people_loginattempt_by")],
            },
        ),
    ]
