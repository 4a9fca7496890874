"""A publication of an organisation to its own people."""

from functools import partial
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Group
from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from messages_extends.constants import EVERYONE
from messages_extends.events.changes import notify_changed
from messages_extends.models.audit import Action, AuditRecord
from messages_extends.models.publication import CurrentAudience, Publication, PublicationQuerySet, as_list
from messages_extends.models.sender import FromSender
from messages_extends.tenancy.databases import using_primary
from messages_extends.tenancy.origin import TenantBound, check_tenant
from messages_extends.tenancy.schemas import current_schema, require_groups, require_messages, user_model_has


def keys_of_groups_of(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Any]:
    """Return the primary keys of the groups of `user`; none if the user model has no groups.

    They are read from the table of memberships only: joining the groups makes planning slower and finds the same rows.
    """
    if not user_model_has("groups"):
        return Group.objects.none().values("pk")
    groups: Any = user.groups  # type: ignore[union-attr]
    found: QuerySet[Any] = groups.through._base_manager.filter(**{groups.source_field_name: user.pk})
    return found.values(f"{groups.target_field_name}_id")


class AnnouncementQuerySet(PublicationQuerySet):
    """Announcements of the current schema."""

    def addressed_to(self, user: AbstractBaseUser) -> Self:
        """Filter by announcements to everyone, or to a current group of `user`."""
        chosen = AnnouncementGroup.objects.filter(announcement=OuterRef("pk"), group__in=keys_of_groups_of(user))
        return self.filter(Q(audience=Announcement.Audience.EVERYONE) | Q(Exists(chosen), audience="groups"))


class Announcement(FromSender, Publication):
    """A publication of an organisation to its own people.

    The audience is a field of its own: where the last chosen group is deleted, nobody is left, never everybody.
    """

    class Audience(models.TextChoices):
        EVERYONE = "everyone", _("everyone")
        GROUPS = "groups", _("groups")

    kind = "announcement"
    action = Action.ANNOUNCE
    records = AuditRecord
    for_everybody = Audience.EVERYONE
    for_chosen = Audience.GROUPS
    author: ClassVar = ""

    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        blank=True,
        null=True,
        related_name="+",
        verbose_name=_("sender"),
        help_text=_("Blank if sent by the application, or by somebody who has been deleted."),
    )
    audience = models.CharField(_("audience"), max_length=10, choices=Audience)
    groups = models.ManyToManyField(
        Group, through="AnnouncementGroup", blank=True, related_name="+", verbose_name=_("groups")
    )

    objects = AnnouncementQuerySet.as_manager()

    class Meta(Publication.Meta):
        verbose_name = _("announcement")
        verbose_name_plural = _("announcements")

    @classmethod
    def storage_schema(cls) -> str:
        schema = current_schema()
        require_messages(schema)
        return schema

    @classmethod
    def resolve_audience(cls, to: Any) -> QuerySet[Group] | None:
        if to is EVERYONE:
            return None
        named = as_list(to)
        for group in named:
            if not isinstance(group, Group):
                raise TypeError(f"to contains {group!r}: use EVERYONE, a group, or groups.")
            check_tenant(group)
        if not named:
            raise ValueError("to is empty, which would reach nobody: name groups, or EVERYONE.")
        require_groups()
        keys = {group.pk for group in named}
        groups = using_primary(Group.objects.filter(pk__in=keys))
        if len(groups) != len(keys):
            raise ValueError("to contains a group that is not saved, or has been deleted.")
        return groups

    def save_chosen(self, chosen: QuerySet[Group]) -> None:
        AnnouncementGroup.objects.bulk_create(AnnouncementGroup(announcement=self, group=group) for group in chosen)

    def current_audience(self) -> CurrentAudience:
        if self.is_for_everybody:
            return CurrentAudience("everyone", partial(notify_changed, everyone=True))
        groups = using_primary(self.groups.order_by("name"))
        label = ", ".join(f"group {group.pk} ({group.name})" for group in groups)
        return CurrentAudience(label, partial(notify_changed, groups=[group.pk for group in groups]))


class AnnouncementGroup(TenantBound):
    """A group in the audience of an announcement, in a table from which the database deletes it with the group."""

    announcement = models.ForeignKey(Announcement, models.CASCADE, related_name="+")
    group = models.ForeignKey(Group, models.DO_NOTHING, related_name="+")

    class Meta:
        verbose_name = _("group of an announcement")
        verbose_name_plural = _("groups of announcements")
        constraints = [
            models.UniqueConstraint(fields=["announcement", "group"], name="group_once_per_announcement"),
        ]

    def __str__(self) -> str:
        return str(self.group)
