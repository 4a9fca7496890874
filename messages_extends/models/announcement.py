"""A publication of an organisation to its own people."""

from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from messages_extends.models.publication import Publication, PublicationQuerySet
from messages_extends.models.sender import FromSender
from messages_extends.tenancy.origin import TenantBound
from messages_extends.tenancy.schemas import user_model_has


def keys_of_groups_of(user: AbstractBaseUser) -> QuerySet[Any]:
    """Return the primary keys of the groups that `user` is in; none where the user model has no groups.

    From the table between the two alone: a join with the groups costs time to plan and finds nothing more.
    """
    if not user_model_has("groups"):
        return Group.objects.none().values("pk")
    groups: Any = user.groups  # type: ignore[attr-defined]
    found: QuerySet[Any] = groups.through._base_manager.filter(**{groups.source_field_name: user.pk})
    return found.values(f"{groups.target_field_name}_id")


class AnnouncementQuerySet(PublicationQuerySet):
    """Announcements of the current schema."""

    def addressed_to(self, user: AbstractBaseUser) -> Self:
        """Keep what is for everyone, or for a group that `user` is in now."""
        chosen = AnnouncementGroup.objects.filter(announcement=OuterRef("pk"), group__in=keys_of_groups_of(user))
        return self.filter(Q(audience=Announcement.Audience.EVERYONE) | Q(Exists(chosen), audience="groups"))


class Announcement(FromSender, Publication):
    """A publication of an organisation to its own people.

    The audience is a field of its own: where the last chosen group is deleted, nobody is left, never everybody.
    """

    class Audience(models.TextChoices):
        EVERYONE = "everyone", _("everyone")
        GROUPS = "groups", _("groups")

    kind: ClassVar = "announcement"
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


class AnnouncementGroup(TenantBound):
    """A group that an announcement is for; a table of its own, so that the database deletes it with the group."""

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
