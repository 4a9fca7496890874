"""guardian where a schema has users and not guardian: deletes are left to the database.

List `messages_extends.tenancy.guardian.GuardianConfig` in TENANT_APPS in place of `guardian`.
"""

from collections.abc import Iterator, Sequence

from django.apps import apps
from django.db import connections, models
from django.db.models.signals import post_migrate
from guardian.apps import GuardianConfig as Config

from messages_extends.tenancy.foreign_keys import is_deleted_in_database, rule_statement
from messages_extends.tenancy.schemas import exists_without, tenant_connection
from messages_extends.tenancy.table_location import has_table


class GuardianConfig(Config):
    """guardian, whose rows the database deletes with the user, group or permission that they name.

    Django itself would look for them in the current schema alone: in public it finds no such table, and in one
    organisation not the rows of another.
    """

    def ready(self) -> None:
        super().ready()  # type: ignore[no-untyped-call]
        for field in foreign_keys():
            leave_to_database(field)
        post_migrate.connect(have_database_delete, sender=self, dispatch_uid="messages_extends.guardian")


class LeftToDatabase(models.ForeignKey[models.Model, models.Model]):
    """A foreign key that Python does nothing about on deletion; migrations, which are guardian's, see no difference."""

    def deconstruct(self) -> tuple[str, str, Sequence[object], dict[str, object]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, {**kwargs, "on_delete": models.CASCADE}


def foreign_keys() -> Iterator[models.ForeignKey[models.Model, models.Model]]:
    """Yield guardian's foreign keys, those of models in its place too, to what is also where guardian is not."""
    from guardian.models import BaseObjectPermission

    for model in apps.get_models():
        if issubclass(model, BaseObjectPermission):
            for field in model._meta.concrete_fields:
                if isinstance(field, models.ForeignKey) and exists_without(
                    field.remote_field.model._meta.app_label, "guardian"
                ):
                    yield field


def leave_to_database(field: models.ForeignKey[models.Model, models.Model]) -> None:
    """Have Python do nothing when the target of this foreign key is deleted."""
    field.__class__ = LeftToDatabase
    field.remote_field.on_delete = models.DO_NOTHING


def have_database_delete(sender: object, using: str, **_signal: object) -> None:
    """Give the constraints of the schema that was migrated ON DELETE CASCADE, where they have it not yet."""
    connection = connections[using]
    schema = tenant_connection(connection).schema_name
    for field in foreign_keys():
        table = field.model._meta.db_table
        if has_table(connection, schema, table) and not is_deleted_in_database(connection, schema, table, field.column):
            with connection.schema_editor() as editor:
                editor.execute(rule_statement(editor, table, field.column, "CASCADE"), params=None)
