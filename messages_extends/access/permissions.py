"""The permissions that grants use, and their rows in every schema with permissions."""

from typing import Final, NamedTuple

from django.apps import AppConfig, apps
from django.apps.registry import Apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import models, router
from django.db.models import Q
from django.db.models.signals import post_migrate

SEND_MESSAGE: Final = "send_message"
SEND_GROUP_MESSAGE: Final = "send_group_message"
NAMES: Final = {SEND_MESSAGE: "Can send messages to", SEND_GROUP_MESSAGE: "Can send messages to members of"}


class Right(NamedTuple):
    """A permission by its names, which are the same in every schema; its primary key differs."""

    app_label: str
    codename: str

    def __str__(self) -> str:
        return f"{self.app_label}.{self.codename}"

    @property
    def rows(self) -> Q:
        """The condition for its row in a table of permissions."""
        return Q(content_type__app_label=self.app_label, codename=self.codename)


def send_message() -> Right:
    return Right(get_user_model()._meta.app_label, SEND_MESSAGE)


def send_group_message() -> Right:
    return Right(Group._meta.app_label, SEND_GROUP_MESSAGE)


def connect() -> None:
    """Create the rows after each migration of a schema."""
    post_migrate.connect(
        make_permissions,
        sender=apps.get_app_config("messages_extends"),
        dispatch_uid="messages_extends.access.permissions",
    )


def make_permissions(sender: AppConfig, using: str, apps: Apps = apps, **_signal: object) -> None:
    """Create `send_message` on the user model and `send_group_message` on Group, if this schema has permissions."""
    try:
        # Use the models of the migrated state, as Django does: there may be no table yet.
        apps.get_model("auth", "Permission")
    except LookupError:
        return
    if router.allow_migrate_model(using, Permission):
        _make(using, SEND_MESSAGE, get_user_model())
        _make(using, SEND_GROUP_MESSAGE, Group)


def _make(using: str, codename: str, model: type[models.Model]) -> None:
    Permission.objects.using(using).get_or_create(
        content_type=ContentType.objects.db_manager(using).get_for_model(model),
        codename=codename,
        defaults={"name": f"{NAMES[codename]} {model._meta.verbose_name_raw}"},
    )
