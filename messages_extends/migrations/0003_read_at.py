"""`read`, a flag, becomes `read_at`, a time: that of the last change. `read` stays, computed by the database."""

from django.db import migrations, models
from django.db.models import F


def date_reading(apps, schema_editor):
    apps.get_model("messages_extends", "Message").objects.filter(read=True).update(read_at=F("modified"))


def flag_reading(apps, schema_editor):
    apps.get_model("messages_extends", "Message").objects.exclude(read_at=None).update(read=True)


class RemoveFieldAlone(migrations.RemoveField):
    """Refuse to drop the views of the host project that use the column, which Django's own operation does silently."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        schema_editor.sql_delete_column = schema_editor.sql_delete_column.removesuffix(" CASCADE")
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        del schema_editor.sql_delete_column


class Migration(migrations.Migration):
    dependencies = [("messages_extends", "0002_levels")]

    operations = [
        migrations.AddField("message", "read_at", models.DateTimeField(blank=True, null=True, verbose_name="read at")),
        migrations.RunPython(date_reading, flag_reading),
        RemoveFieldAlone("message", "read"),
        migrations.AddField(
            "message",
            "read",
            models.GeneratedField(
                db_persist=True,
                expression=models.Q(("read_at__isnull", False)),  # type: ignore[arg-type]
                output_field=models.BooleanField(),
                verbose_name="read",
            ),
        ),
    ]
