"""Record on each object the schema it was loaded from.

Primary keys repeat across schemas, so an object of one tenant would identify a different row in another.
"""

from collections.abc import Collection, Iterable
from typing import Any, Self, cast

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import models
from django.db.models.signals import class_prepared, post_init, post_save

from messages_extends.exceptions import WrongTenant
from messages_extends.tenancy.databases import database_of_own_writes
from messages_extends.tenancy.schemas import current_schema, is_per_tenant

ATTRIBUTE = "_messages_extends_schema"


def stamp(instance: models.Model, *, created: bool = True, **_signal: object) -> None:
    """Record the current schema on `instance`, which was just loaded or inserted."""
    # Not after an update: an object of another tenant that was saved here by mistake must not change its origin.
    if created:
        setattr(instance, ATTRIBUTE, current_schema())


def connect_stamps() -> None:
    """Stamp users and groups that are per tenant, including those of proxy and child models."""
    for model in apps.get_models():
        _stamp_objects_of(model)
    class_prepared.connect(_stamp_objects_of, dispatch_uid="messages_extends.stamp")


def _stamp_objects_of(sender: type[models.Model], **_signal: object) -> None:
    if any(issubclass(sender, kind) and is_per_tenant(kind._meta.app_label) for kind in (get_user_model(), Group)):
        post_init.connect(stamp, sender=sender, dispatch_uid="messages_extends.stamp")
        # An object created on the event loop is stamped "public" first; it is saved in the request's thread.
        post_save.connect(stamp, sender=sender, dispatch_uid="messages_extends.stamp")


def schema_of_origin(instance: object) -> str | None:
    """Return the schema that `instance` was loaded from; None if it has no stamp."""
    return getattr(instance, ATTRIBUTE, None)


def check_tenant(instance: object) -> None:
    """Raise WrongTenant if `instance` was loaded in a schema other than the current one."""
    schema = schema_of_origin(instance)
    if schema is not None and schema != current_schema():
        raise WrongTenant(
            f"This {cast(models.Model, instance)._meta.verbose_name} was loaded in the schema {schema!r}, but the "
            f"current one is {current_schema()!r}, where the same primary key identifies a different row. Load it "
            "again here."
        )


def check_tenant_with_relations(instance: models.Model) -> None:
    """Raise WrongTenant if `instance`, or an object assigned to one of its relations, is from another schema."""
    check_tenant(instance)
    for related in instance._state.fields_cache.values():
        check_tenant(related)


class TenantBound(models.Model):
    """Base class of models whose rows can be saved, refreshed and deleted only in the schema they come from."""

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[object], **options: Any) -> Self:
        # The options depend on Django's version: 6.1 has `fetch_mode`.
        instance = super().from_db(db, field_names, values, **options)
        stamp(instance)
        return instance

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        # Its parameters depend on Django's version.
        check_tenant_with_relations(self)
        super().save_base(*args, **kwargs)
        stamp(self)

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: "models.QuerySet[Self] | None" = None,
    ) -> None:
        check_tenant(self)
        super().refresh_from_db(using or database_of_own_writes(), fields, from_queryset)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        check_tenant(self)
        return super().delete(using, keep_parents)
