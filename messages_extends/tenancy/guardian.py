"""Support for guardian where some schema has users but not guardian: the database deletes its rows.

List `messages_extends.tenancy.guardian.GuardianConfig` in TENANT_APPS in place of `guardian`.
"""

from collections.abc import Iterator, Sequence

from django.apps import apps
from django.db import connections, models
from django.db.models.signals import post_migrate
from guardian.apps import GuardianConfig as Config

from messages_extends.tenancy.foreign_keys import is_deleted_in_database, rule_statement
from messages_extends.tenancy.schemas import is_installed_without, tenant_connection
from messages_extends.tenancy.table_location import has_table


class GuardianConfig(Config):
    """Make the database delete guardian's rows together with their user, group or permission.

    Django would look for these rows in the current schema only. The public schema may not have their table, and a
    tenant's schema does not contain the rows of other tenants.
    """

    def ready(self) -> None:
        super().ready()  # type: ignore[no-untyped-call]
        for field in foreign_keys():
            use_database_cascade(field)
        post_migrate.connect(add_database_cascades, sender=self, dispatch_uid="messages_extends.guardian")


class DatabaseCascadeForeignKey(models.ForeignKey[models.Model, models.Model]):
    """A foreign key with DO_NOTHING that migrations see as CASCADE, so that guardian's migrations need no change."""

    def deconstruct(self) -> tuple[str, str, Sequence[object], dict[str, object]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, {**kwargs, "on_delete": models.CASCADE}


def foreign_keys() -> Iterator[models.ForeignKey[models.Model, models.Model]]:
    """Yield the foreign keys of object permissions to models that also exist in schemas without guardian."""
    from guardian.models import BaseObjectPermission

    for model in apps.get_models():
        if issubclass(model, BaseObjectPermission):
            for field in model._meta.concrete_fields:
                if isinstance(field, models.ForeignKey) and is_installed_without(
                    field.remote_field.model._meta.app_label, "guardian"
                ):
                    yield field


def use_database_cascade(field: models.ForeignKey[models.Model, models.Model]) -> None:
    """Make Django do nothing when the target of this foreign key is deleted."""
    field.__class__ = DatabaseCascadeForeignKey
    field.remote_field.on_delete = models.DO_NOTHING


def add_database_cascades(sender: object, using: str, **_signal: object) -> None:
    """Add ON DELETE CASCADE to the constraints of the migrated schema that do not have it."""
    connection = connections[using]
    schema = tenant_connection(connection).schema_name
    for field in foreign_keys():
        table = field.model._meta.db_table
        if has_table(connection, schema, table) and not is_deleted_in_database(connection, schema, table, field.column):
            with connection.schema_editor() as editor:
                editor.execute(rule_statement(editor, table, field.column, "CASCADE"), params=None)
