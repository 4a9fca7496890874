"""Who may message whom: everything that one person says to others passes here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Case, Count, Exists, Model, Q, QuerySet, Value, When
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from messages_extends.access import grants
from messages_extends.access.membership import (
    groups_of,
    is_active_member,
    keys_of_people_in,
    may_act,
    member,
    members,
)
from messages_extends.access.permissions import Right, send_group_message, send_message
from messages_extends.conf import settings
from messages_extends.models import Announcement
from messages_extends.tenancy.databases import for_write
from messages_extends.tenancy.origin import require_here, schema_of_origin
from messages_extends.tenancy.schemas import current_schema, user_model_has, users_are_shared


@dataclass(frozen=True)
class Reason:
    """One ground of an answer: whether it allows, and why in words."""

    allows: bool
    text: str | Promise

    def __str__(self) -> str:
        return str(self.text)


class Policy:
    """Answers from the grants of the current organisation; subclass it, and name your class as POLICY.

    Querysets are lazy and one statement each, so the number of queries does not grow with the people asked about.
    Where reads go to a replica, what tells yes or no asks the database that is written in.
    Each method raises WrongTenant for a user who was loaded in another organisation.
    """

    def may_message(self, sender: Any, recipient: Any) -> bool:
        """Tell whether `sender` may write to `recipient`."""
        require_here(recipient)
        return for_write(self.recipients_for(sender).filter(pk=recipient.pk)).exists()

    def recipients_for(self, sender: Any) -> QuerySet[Any]:
        """Return whom `sender` may write to, themselves included: active members, and none for an inactive sender."""
        people = members()
        if not may_act(sender):
            return people.none()
        allowed = (
            Q(pk=sender.pk)
            | _model_wide(sender, send_message())
            | grants.on_object(sender, send_message())
            | self._in_groups(sender)
        )
        return people.filter(allowed, Exists(member(sender)))

    def groups_for(self, sender: Any) -> QuerySet[Group]:
        """Return the groups whose members `sender` may write to; none where the user model has no groups."""
        if not (may_act(sender) and user_model_has("groups")):
            return Group.objects.none()
        allowed = grants.on_object(sender, send_group_message())
        return Group.objects.filter(
            allowed | _model_wide(sender, send_group_message(), send_message()), Exists(member(sender))
        )

    def _in_groups(self, sender: Any) -> Q:
        """Return the condition that picks the people in `groups_for` an active sender who may not write to everybody.

        By the grants' own keys where no subclass says otherwise: through the groups it takes twice as long.
        """
        if overrides(type(self), "groups_for"):
            return Q(pk__in=keys_of_people_in(self.groups_for(sender)))
        granted = keys_of_people_in(grants.keys_on_object(sender, send_group_message()))
        in_any = Q(pk__in=keys_of_people_in(None))
        return Q(pk__in=granted) | (_granted_on_all(sender, send_group_message()) & in_any)

    def may_announce(self, sender: Any, groups: QuerySet[Group] | None) -> bool:
        """Tell whether `sender` may announce to these groups, of which there has to be one; None: to everybody."""
        if _holds(sender, _on_announcements("add")):
            return groups is None or for_write(groups).exists()
        if groups is None:
            return False
        allowed = Count("pk", distinct=True, filter=Q(pk__in=self.groups_for(sender).values("pk")))
        counts = for_write(groups.order_by()).aggregate(all=Count("pk", distinct=True), allowed=allowed)
        return bool(counts["all"]) and counts["all"] == counts["allowed"]

    def audiences_for(self, sender: Any) -> QuerySet[Group]:
        """Return the groups that `sender` may announce to: a class whose `may_announce` is its own is asked of each.

        Override it too where there are many groups.
        """
        if not (may_act(sender) and user_model_has("groups")):
            return Group.objects.none()
        if overrides(type(self), "may_announce"):
            each = (
                (key, Group.objects.filter(pk=key)) for key in for_write(Group.objects.values_list("pk", flat=True))
            )
            return Group.objects.filter(pk__in=[key for key, group in each if self.may_announce(sender, group)])
        allowed = Q(pk__in=self.groups_for(sender).values("pk")) | _model_wide(sender, _on_announcements("add"))
        return Group.objects.filter(allowed, Exists(member(sender)))

    def may_change(self, sender: Any, announcement: Any) -> bool:
        """Tell whether `sender` may revise or retract it; their own too, while they may announce to its audience."""
        require_here(announcement)
        if _holds(sender, _on_announcements("change")):
            return True
        if announcement.sender_id is None or announcement.sender_id != sender.pk:
            return False
        groups = None if announcement.audience == "everyone" else announcement.groups.all()
        return self.may_announce(sender, groups)

    def may_broadcast(self, sender: Any, action: str = "add") -> bool:
        """Tell whether `sender` may add, change or delete messages to all organisations: the platform's staff only."""
        return _is_granted_by_platform(sender, f"{action}_broadcast")

    def may_see_broadcasts(self, person: Any) -> bool:
        """Tell whether `person` may see the console of broadcasts: who may add, change or only view them."""
        return any(self.may_broadcast(person, action) for action in ("view", "add", "change"))

    def may_see_broadcast_records(self, person: Any) -> bool:
        """Tell whether `person` may see who did what with broadcasts: the platform's staff with that permission."""
        return _is_granted_by_platform(person, "view_broadcastrecord")

    def honours_model_permissions(self, person: Any) -> bool:
        """Tell whether superusers' and model permissions of `person` count here, say in the admin: active members'.

        Nobody's do where organisations share their users: they would be those of every organisation at once.
        """
        return not users_are_shared() and is_active_member(person)

    def may_see_announcements(self, person: Any) -> bool:
        """Tell whether `person` may announce to somebody, or look into what others have announced."""
        rights = [_on_announcements(action) for action in ("view", "add", "change")]
        may = _model_wide(person, *rights) | Q(Exists(self.groups_for(person)))
        if may_act(person) and for_write(member(person).filter(may)).exists():
            return True
        return self._may_see_by_own_rules(person)

    def _may_see_by_own_rules(self, person: Any) -> bool:
        """Tell what a subclass answers that says itself who announces, or who sees whose announcements."""
        kind = type(self)
        if overrides(kind, "may_announce", "audiences_for") and (
            self.may_announce(person, None) or for_write(self.audiences_for(person)).exists()
        ):
            return True
        if not overrides(kind, "may_view_report", "announcements_for"):
            return False
        return for_write(self.announcements_for(person)).exists()

    def announcements_for(self, viewer: Any) -> QuerySet[Any]:
        """Return the announcements whose report `viewer` may see, as `may_view_report` tells of each: lazily.

        A class whose `may_view_report` is its own is asked of each: override this too where there are many.
        """
        announcements: QuerySet[Any] = Announcement.objects.all()
        if not may_act(viewer):
            return announcements.none()
        if overrides(type(self), "may_view_report"):
            return announcements.filter(
                pk__in=[each.pk for each in for_write(announcements) if self.may_view_report(viewer, each)]
            )
        rights = [_on_announcements(action) for action in ("view", "change")]
        return announcements.filter(Q(sender=viewer.pk) | _model_wide(viewer, *rights), Exists(member(viewer)))

    def may_compose(self, sender: Any) -> bool:
        """Tell whether `sender` may write to anybody besides themselves, or to a group."""
        others = self.recipients_for(sender).exclude(pk=sender.pk)
        return for_write(self.groups_for(sender)).exists() or for_write(others).exists()

    def may_grant(self, person: Any) -> bool:
        """Tell whether `person` may say who writes to whom: those who may change people."""
        return _holds(person, _on_users("change"))

    def may_give(self, person: Any, target: "Model | grants.All") -> bool:
        """Tell whether `person`, who may grant, may let others write to `target`: whom they may write to themselves."""
        of_groups = isinstance(target, Group) or target is grants.EVERY_GROUP
        if _holds(person, send_group_message() if of_groups else send_message()):
            return True
        if isinstance(target, grants.All):
            return False
        reached: QuerySet[Any] = self.groups_for(person) if of_groups else self.recipients_for(person)
        return for_write(reached.filter(pk=target.pk)).exists()

    def page_access(self, person: Any) -> QuerySet[Any]:
        """Return one row of what `person` may do: write to somebody, see announcements of theirs or others', grant.

        No row for who is no active member. For links: each page asks again.
        """
        groups = Q(Exists(self.groups_for(person)))
        others = Q(Exists(self.recipients_for(person).exclude(pk=person.pk)))
        announcements = [_on_announcements(action) for action in ("view", "add", "change")]
        # Groups first: the database then looks no further, and they are few.
        return member(person).values_list(
            _told(groups | others),
            _told(_model_wide(person, *announcements) | groups),
            _told(_model_wide(person, _on_users("change"))),
        )

    def visible_people(self, viewer: Any) -> QuerySet[Any]:
        """Return whom `viewer` may see named: all members with the permission to view users, else `recipients_for`."""
        if _holds(viewer, _on_users("view")):
            return members()
        return self.recipients_for(viewer)

    def may_view_report(self, viewer: Any, announcement: Any) -> bool:
        """Tell whether `viewer` may see who has read it: its sender, and who may view or change announcements."""
        if not is_active_member(viewer):
            return False
        if announcement.sender_id is not None and announcement.sender_id == viewer.pk:
            return True
        return any(_holds(viewer, _on_announcements(action)) for action in ("view", "change"))

    def reasons(self, sender: Any, recipient: Any) -> list[Reason]:
        """Return every ground on which `sender` may write to `recipient`, or all that stand in the way.

        Of a subclass that answers otherwise than what has been granted, they say that its rules decide.
        """
        require_here(sender)
        require_here(recipient)
        if obstacles := _obstacles(sender, recipient):
            return obstacles
        grounds = [Reason(True, text) for text in _grounds(sender, recipient)]
        if self.may_message(sender, recipient):
            return grounds or [Reason(True, _("This site's own policy allows it."))]
        if grounds:
            return [Reason(False, _("This site's own policy does not allow it."))]
        return [Reason(False, _("Nothing has been granted."))]


class AllowAll(Policy):
    """Everybody active may write to every active member, as with django-messages-extends; all else stays the same."""

    def recipients_for(self, sender: Any) -> QuerySet[Any]:
        """Return all active members, and none for a sender who is none."""
        people = members()
        return people.filter(Exists(member(sender))) if may_act(sender) else people.none()

    def reasons(self, sender: Any, recipient: Any) -> list[Reason]:
        """Return what stands in the way, or that everybody may write to everybody."""
        require_here(sender)
        require_here(recipient)
        everybody = Reason(True, _("The policy of this site lets everybody write to everybody."))
        return _obstacles(sender, recipient) or [everybody]


def policy() -> Policy:
    """Return an instance of the class that the setting POLICY names."""
    return settings.policy()  # type: ignore[no-any-return]


def overrides(kind: type[Policy], *names: str) -> bool:
    """Tell whether a host's class answers one of these questions itself."""
    return any(getattr(kind, name) is not getattr(Policy, name) for name in names)


# What the answers are made of ---------------------------------------------------------------------------------------


def _on_users(action: str) -> Right:
    options = get_user_model()._meta
    return Right(options.app_label, f"{action}_{options.model_name}")


def _on_announcements(action: str) -> Right:
    return Right("messages_extends", f"{action}_announcement")


def _told(condition: Q) -> Case:
    """Return a column that says whether `condition` holds."""
    return Case(When(condition, then=Value(True)), default=Value(False))


def _model_wide(sender: Any, *rights: Right) -> Q:
    """Return the condition that `sender` holds one of `rights` on all; nobody does where organisations share users.

    There, superusers and permissions without an object are those of every organisation at once.
    """
    return Q(pk__in=[]) if users_are_shared() else grants.model_wide(sender, *rights)


def _granted_on_all(sender: Any, *rights: Right) -> Q:
    """Return the same of a sender of whom it is known already whether they are a superuser."""
    return Q(pk__in=[]) if users_are_shared() else grants.granted_on_all(sender, *rights)


def _is_granted(sender: Any, right: Right) -> bool:
    """Tell, in one query, whether an active member is a superuser or holds a right that is about no object."""
    if not may_act(sender):
        return False
    if not grants.knows_superusers() and hasattr(sender, "has_perm"):
        # Its permissions lie elsewhere, as with django-tenant-users: only its backends know them.
        return for_write(member(sender)).exists() and bool(sender.has_perm(str(right)))
    return for_write(member(sender).filter(grants.model_wide(sender, right))).exists()


def _is_granted_by_platform(sender: Any, codename: str) -> bool:
    """Tell whether somebody of the platform holds this right of the app broadcasts; asked at the platform only."""
    here = current_schema()
    if here != settings.platform_schema or not (users_are_shared() or schema_of_origin(sender) == here):
        return False
    return _is_granted(sender, Right("broadcasts", codename))


def _holds(sender: Any, right: Right) -> bool:
    require_here(sender)
    return not users_are_shared() and _is_granted(sender, right)


# Refusals -----------------------------------------------------------------------------------------------------------


# Why ----------------------------------------------------------------------------------------------------------------


def _obstacles(sender: Any, recipient: Any) -> list[Reason]:
    found = {person.pk for person in for_write(members().filter(pk__in=[sender.pk, recipient.pk]))}
    texts = {
        sender.pk: _("The sender is inactive or not a member of this organisation."),
        recipient.pk: _("The recipient is inactive or not a member of this organisation."),
    }
    return [Reason(False, text) for key, text in texts.items() if key not in found]


def _grounds(sender: Any, recipient: Any) -> Iterator[str | Promise]:
    """Say every ground on which one active member may write to another."""
    if sender == recipient:
        yield _("Everybody may write to themselves.")
    if _holds(sender, send_message()):
        yield _("The sender is a superuser, or has permission to write to everybody.")
    yield from _grounds_on(recipient, _("the recipient"), sender, send_message())
    groups = list(for_write(groups_of(recipient)))
    for group in groups:
        yield from _grounds_on(group, _("the recipient's group “%s”") % group.name, sender, send_group_message())
    if groups and _holds(sender, send_group_message()):
        yield _("The sender may write to every group, and the recipient is in one.")


def _grounds_on(target: Any, name: Any, sender: Any, right: Right) -> Iterator[str]:
    """Say which grants on `target` the sender and their groups hold."""
    if _on(target, grants.by_user(sender, right)).exists():
        yield _("The sender has permission to write to %s.") % name
    for row in _on(target, grants.by_groups(sender, right).select_related("group")):
        yield _("The sender's group “%(holder)s” has permission to write to %(target)s.") % {
            "holder": row.group,
            "target": name,
        }


def _on(target: Any, rows: QuerySet[Any]) -> QuerySet[Any]:
    return for_write(rows.filter(object_pk=str(target.pk)))
