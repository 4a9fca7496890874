"""Record the organisation of an object, because primary keys repeat in other organisations.

It is stored by value, because the connection of an event loop is always in the public schema.
"""

from collections.abc import Collection
from typing import Any, Self

from django.db import connections, models
from django.db.models.signals import m2m_changed, post_init, post_save, pre_delete, pre_save


class WrongOrganisation(ValueError):
    """This object was loaded in another organisation, where its primary key identifies another row."""


def schema_at(using: str | None) -> str:
    """Return the schema in which the connection's next query runs."""
    return str(connections[using or "default"].schema_name)  # type: ignore[attr-defined]


def check_tenant(instance: Any, using: str | None = None) -> None:
    """Raise WrongOrganisation if `instance` was loaded in a schema other than the current one."""
    here = schema_at(using)
    if (schema := getattr(instance, "schema", "")) and schema != here:
        raise WrongOrganisation(
            f"This {instance._meta.verbose_name} was loaded in the schema {schema!r}, but the current one is "
            f"{here!r}, where the same primary key is another row's. Load it again here."
        )


class OfOneOrganisation(models.Model):
    """Base class of models whose rows can be saved, refreshed and deleted only in their own schema.

    `schema` is the schema from which the object was loaded or into which it was inserted, and empty before. An update
    never changes it.
    """

    schema = ""

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **kwargs: Any) -> Self:
        instance = super().from_db(db, field_names, values, **kwargs)
        instance.schema = schema_at(db)
        return instance

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        # A copy without a primary key is inserted, and belongs to the current schema.
        is_copy, using = self.pk is None, kwargs.get("using")
        if not is_copy:
            check_tenant(self, using)
        super().save_base(*args, **kwargs)
        if is_copy or not self.schema:
            self.schema = schema_at(using)

    def refresh_from_db(self, using: str | None = None, *args: Any, **kwargs: Any) -> None:
        check_tenant(self, using)
        super().refresh_from_db(using, *args, **kwargs)

    def delete(self, using: Any = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        check_tenant(self, using)
        return super().delete(using, keep_parents)


def bind(model: type[models.Model]) -> None:
    """Apply the same rule to a model of another app, such as Django's groups."""
    post_init.connect(_note, sender=model, dispatch_uid="tenants.people.origin")
    pre_save.connect(_require_instance, sender=model, dispatch_uid="tenants.people.origin")
    post_save.connect(_note_insert, sender=model, dispatch_uid="tenants.people.origin")
    pre_delete.connect(_require_instance, sender=model, dispatch_uid="tenants.people.origin")


def bind_relation(through: type[models.Model]) -> None:
    """Forbid changing relations of another organisation's objects, such as the members of a group."""
    m2m_changed.connect(_require_instance, sender=through, dispatch_uid="tenants.people.origin")


def _note(instance: Any, **_signal: Any) -> None:
    instance.schema = "" if instance._state.adding and instance.pk is None else schema_at(instance._state.db)


def _note_insert(instance: Any, created: bool, using: str, **_signal: Any) -> None:
    if created:
        instance.schema = schema_at(using)


def _require_instance(instance: Any, using: str, **_signal: Any) -> None:
    if instance.pk is not None:
        check_tenant(instance, using)
