"""Replace `read` by `read_at`, the time of the last change, and keep `read` as a generated column."""

from django.db import migrations, models

from messages_extends.tenancy.grouped_operations import GroupedOperations

DATE_READING = "UPDATE messages_extends_message SET read_at = modified WHERE read"
FLAG_READING = "UPDATE messages_extends_message SET read = true WHERE read_at IS NOT NULL"


class RemoveFieldAlone(migrations.RemoveField):
    """Refuse to drop the views of the host project that use the column, which Django's own operation does silently."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        schema_editor.sql_delete_column = schema_editor.sql_delete_column.removesuffix(" CASCADE")
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        del schema_editor.sql_delete_column


class Migration(migrations.Migration):
    dependencies = [("messages_extends", "0002_levels")]

    operations = [
        GroupedOperations(
            [
                migrations.AddField(
                    "message", "read_at", models.DateTimeField(blank=True, null=True, verbose_name="read at")
                ),
                migrations.RunSQL(DATE_READING, FLAG_READING),
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
        )
    ]
