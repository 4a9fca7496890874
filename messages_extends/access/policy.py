"""Who may message whom: everything that one person says to others passes here."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, final

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db.models import Case, Count, Exists, Model, Q, QuerySet, Value, When
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from messages_extends.access import grants
from messages_extends.access.membership import (
    Person,
    has_plain_managers,
    is_active_member,
    keys_of_people_in,
    may_act,
    member,
    members,
)
from messages_extends.access.permissions import Right, send_group_message, send_message
from messages_extends.conf import settings
from messages_extends.models import Announcement, Message
from messages_extends.queries.compiled import condition
from messages_extends.tenancy.databases import using_primary, write_database
from messages_extends.tenancy.origin import check_tenant, schema_of_origin
from messages_extends.tenancy.schemas import current_schema, user_model_has, users_are_shared


class Policy:
    """Answers from the grants of the current organisation; subclass it, and name your class as POLICY.

    A subclass overrides questions. What is final is derived from their answers.

    Querysets are lazy and one statement each, so the number of queries does not grow with the people asked about.
    Where reads go to a replica, what tells yes or no asks the database that is written in.
    Each method raises WrongTenant for a user who was loaded in another organisation.
    """

    # Questions ------------------------------------------------------------------------------------------------------

    def reachable_people(self, sender: Person) -> QuerySet[AbstractBaseUser]:
        """Return whom `sender` may write to, themselves included: active members, and none for an inactive sender."""
        people = members()
        if not may_act(sender):
            return people.none()
        if type(self) in BUILT_IN:
            allowed = _compiled(reaches_person, sender, get_user_model())
        else:
            in_groups = Q(pk__in=keys_of_people_in(self.reachable_groups(sender)))
            allowed = _compiled(holds_on_person, sender, get_user_model()) | in_groups
        return people.filter(allowed, Exists(member(sender)))

    def reachable_groups(self, sender: Person) -> QuerySet[Group]:
        """Return the groups whose members `sender` may write to; none where the user model has no groups."""
        if not (may_act(sender) and user_model_has("groups")):
            return Group.objects.none()
        return Group.objects.filter(_compiled(reaches_group, sender, Group), Exists(member(sender)))

    def announceable_groups(self, sender: Person) -> QuerySet[Group]:
        """Return the groups that `sender` may announce to."""
        if not (may_act(sender) and user_model_has("groups")):
            return Group.objects.none()
        reachable = Q(pk__in=self.reachable_groups(sender).values("pk"))
        return Group.objects.filter(reachable | _model_wide(sender, _on_announcements("add")), Exists(member(sender)))

    def may_announce_to_everyone(self, sender: Person) -> bool:
        """Tell whether `sender` may announce to everybody in the organisation."""
        return holds(sender, _on_announcements("add"))

    def may_change(self, sender: Person, announcement: Announcement) -> bool:
        """Tell whether `sender` may revise or retract it; their own too, while they may announce to its audience."""
        check_tenant(announcement)
        if holds(sender, _on_announcements("change")):
            return True
        if announcement.sender_id is None or announcement.sender_id != sender.pk:
            return False
        groups = None if announcement.is_for_everybody else announcement.groups.all()
        return self.may_announce(sender, groups)

    def reports_visible_to(self, viewer: Person) -> QuerySet[Announcement]:
        """Return the announcements of which `viewer` may see who has read them: their own, or all by a permission."""
        announcements = Announcement.objects.all()
        if not may_act(viewer):
            return announcements.none()
        return announcements.filter(Q(sender=viewer.pk) | _sees_all_reports(viewer), Exists(member(viewer)))

    def visible_people(self, viewer: Person) -> QuerySet[AbstractBaseUser]:
        """Return whom `viewer` may see named: all members with the permission to view users, else whom they reach."""
        if holds(viewer, _on_users("view")):
            return members()
        return self.reachable_people(viewer)

    def may_grant(self, person: Person) -> bool:
        """Tell whether `person` may say who writes to whom: those who may change people."""
        return holds(person, _on_users("change"))

    def may_give(self, person: Person, target: "Model | grants.All") -> bool:
        """Tell whether `person`, who may grant, may let others write to `target`: whom they may write to themselves."""
        of_groups = isinstance(target, Group) or target is grants.EVERY_GROUP
        if holds(person, send_group_message() if of_groups else send_message()):
            return True
        if isinstance(target, grants.All):
            return False
        reached = self.reachable_groups(person) if of_groups else self.reachable_people(person)
        return using_primary(reached.filter(pk=target.pk)).exists()

    def allows_broadcast(self, sender: Person, action: str) -> bool:
        """Tell whether `sender`, of the platform's staff with the permission to do so, may still: everybody may."""
        return True

    def honours_model_permissions(self, person: Person) -> bool:
        """Tell whether superusers' and model permissions of `person` count here, say in the admin: active members'.

        Nobody's do where organisations share their users: they would be those of every organisation at once.
        """
        return not users_are_shared() and is_active_member(person)

    def own_reasons(self, sender: Person, recipient: Person, allowed: bool) -> list[str | Promise]:
        """Return in words why the rules of this class allow `sender` to write to `recipient`, or do not."""
        return []

    # Derived --------------------------------------------------------------------------------------------------------

    @final
    def may_message(self, sender: Person, recipient: Person) -> bool:
        """Tell whether `sender` may write to `recipient`."""
        check_tenant(recipient)
        return using_primary(self.reachable_people(sender).filter(pk=recipient.pk)).exists()

    @final
    def may_compose(self, sender: Person) -> bool:
        """Tell whether `sender` may write to anybody besides themselves, or to a group."""
        others = self.reachable_people(sender).exclude(pk=sender.pk)
        return using_primary(self.reachable_groups(sender)).exists() or using_primary(others).exists()

    @final
    def may_announce(self, sender: Person, groups: QuerySet[Group] | None) -> bool:
        """Tell whether `sender` may announce to these groups, of which there has to be one; None: to everybody."""
        if groups is None:
            return self.may_announce_to_everyone(sender)
        allowed = Count("pk", distinct=True, filter=Q(pk__in=self.announceable_groups(sender).values("pk")))
        counts = using_primary(groups.order_by()).aggregate(all=Count("pk", distinct=True), allowed=allowed)
        return bool(counts["all"]) and counts["all"] == counts["allowed"]

    @final
    def may_see_announcements(self, person: Person) -> bool:
        """Tell whether `person` may announce to somebody, or look into what others have announced."""
        if not may_act(person):
            return False
        found = using_primary(member(person).filter(self._sees_announcements(person)))
        return found.exists() or self.may_announce_to_everyone(person)

    @final
    def may_see_report(self, viewer: Person, announcement: Announcement) -> bool:
        """Tell whether `viewer` may see who has read it."""
        check_tenant(announcement)
        return using_primary(self.reports_visible_to(viewer).filter(pk=announcement.pk)).exists()

    @final
    def may_broadcast(self, sender: Person, action: str = "add") -> bool:
        """Tell whether `sender` may add, change or delete messages to all organisations: the platform's staff only."""
        return _is_granted_by_platform(sender, f"{action}_broadcast") and self.allows_broadcast(sender, action)

    @final
    def may_see_broadcasts(self, person: Person) -> bool:
        """Tell whether `person` may see the console of broadcasts: who may add, change or only view them."""
        return any(self.may_broadcast(person, action) for action in ("view", "add", "change"))

    @final
    def may_see_broadcast_records(self, person: Person) -> bool:
        """Tell whether `person` may see who did what with broadcasts: the platform's staff with that permission."""
        return _is_granted_by_platform(person, "view_broadcastrecord")

    @final
    def page_access(self, person: Person) -> QuerySet[AbstractBaseUser, tuple[bool, ...]]:
        """Return one row for links to pages: what `person` may do, and what they have done.

        It says whether they may write to somebody, see announcements, have sent or announced anything, and hold each
        of `page_rights`.

        No row for who is no active member. For links: each page asks again.
        """
        others = Q(Exists(self.reachable_people(person).exclude(pk=person.pk)))
        # Groups first: the database then looks no further, and they are few.
        return member(person).values_list(
            _told(Q(Exists(self.reachable_groups(person))) | others),
            _told(self._sees_announcements(person)),
            _told(
                Q(Exists(Message.objects.filter(sender=person.pk)))
                | Q(Exists(Announcement.objects.filter(sender=person.pk)))
            ),
            # The row is that of `person`, so whether they are a superuser stands in it.
            *(_told(Q(is_superuser=True) | grants.granted_on_all(person, right)) for right in page_rights()),
        )

    def _sees_announcements(self, person: Person) -> Q:
        """Return the condition that `person` may announce to a group, or look into what others have announced."""
        if type(self) in BUILT_IN:
            return Q(Exists(self.reachable_groups(person))) | _sees_all_reports(person)
        reports = self.reports_visible_to(person).exclude(sender=person.pk)
        return Q(Exists(self.announceable_groups(person))) | _sees_all_reports(person) | Q(Exists(reports))


class AllowAll(Policy):
    """Everybody active may write to every active member, as with django-messages-extends; all else stays the same."""

    def reachable_people(self, sender: Person) -> QuerySet[AbstractBaseUser]:
        """Return all active members, and none for a sender who is none."""
        people = members()
        return people.filter(Exists(member(sender))) if may_act(sender) else people.none()

    def own_reasons(self, sender: Person, recipient: Person, allowed: bool) -> list[str | Promise]:
        """Return that everybody may write to everybody."""
        return [_("The policy of this site lets everybody write to everybody.")]


BUILT_IN: Final = (Policy, AllowAll)
"""The classes of which it is known what they answer: it is asked in shorter forms. A host's may look at anything."""


def policy() -> Policy:
    """Return an instance of the class that the setting POLICY names."""
    return settings.policy()  # type: ignore[no-any-return]


# What the answers are made of ---------------------------------------------------------------------------------------


def _on_users(action: str) -> Right:
    options = get_user_model()._meta
    return Right(options.app_label, f"{action}_{options.model_name}")


def _on_announcements(action: str) -> Right:
    return Right("messages_extends", f"{action}_announcement")


def _compiled(build: Callable[[Person], Q], sender: Person, model: type[Model]) -> Q:
    """Return `build(sender)`, a condition on the primary keys of `model`, compiled once where it may be."""
    if not has_plain_managers():
        return build(sender)
    return condition(build, {"sender": sender}, write_database(), model=model)


def holds_on_person(sender: Person) -> Q:
    """Return the condition that picks `sender` and the people on whom they hold the right to send."""
    return Q(pk=sender.pk) | _model_wide(sender, send_message()) | grants.on_object(sender, send_message())


def reaches_person(sender: Person) -> Q:
    """Return the condition that picks the people whom `sender`, an active member, may write to."""
    # By the grants' own keys: through the groups it takes twice as long.
    granted = keys_of_people_in(grants.keys_on_object(sender, send_group_message()))
    in_any = Q(pk__in=keys_of_people_in(None))
    # As in `_model_wide`, but it is known already whether this sender is a superuser.
    on_all = Q(pk__in=[]) if users_are_shared() else grants.granted_on_all(sender, send_group_message())
    return holds_on_person(sender) | Q(pk__in=granted) | (on_all & in_any)


def reaches_group(sender: Person) -> Q:
    """Return the condition that picks the groups whose members `sender` may write to."""
    on_all = _model_wide(sender, send_group_message(), send_message())
    return grants.on_object(sender, send_group_message()) | on_all


def _told(holds: Q) -> Case:
    """Return a column that says whether a condition holds."""
    return Case(When(holds, then=Value(True)), default=Value(False))


def _sees_all_reports(viewer: Person) -> Q:
    return _model_wide(viewer, _on_announcements("view"), _on_announcements("change"))


def _model_wide(sender: Person, *rights: Right) -> Q:
    """Return the condition that `sender` holds one of `rights` on all; nobody does where organisations share users.

    There, superusers and permissions without an object are those of every organisation at once.
    """
    return Q(pk__in=[]) if users_are_shared() else grants.model_wide(sender, *rights)


def holds(sender: Person, right: Right) -> bool:
    """Tell whether an active member is a superuser or holds a right on all; nobody does where users are shared."""
    check_tenant(sender)
    if users_are_shared():
        return False
    known = _known_rights.get().get((current_schema(), sender.pk, right))
    return _is_granted(sender, right) if known is None else known


def _is_granted(sender: Person, right: Right) -> bool:
    """Tell, in one query, whether an active member is a superuser or holds a right that is about no object."""
    if not may_act(sender):
        return False
    if not grants.knows_superusers() and hasattr(sender, "has_perm"):
        # Its permissions lie elsewhere, as with django-tenant-users: only its backends know them.
        return using_primary(member(sender)).exists() and bool(sender.has_perm(str(right)))
    return using_primary(member(sender).filter(grants.model_wide(sender, right))).exists()


def _is_granted_by_platform(sender: Person, codename: str) -> bool:
    """Tell whether somebody of the platform holds this right of the app broadcasts; asked at the platform only."""
    here = current_schema()
    if here != settings.platform_schema or not (users_are_shared() or schema_of_origin(sender) == here):
        return False
    return _is_granted(sender, Right("broadcasts", codename))


# What the statement for links has found out already ------------------------------------------------------------------

_known_rights: ContextVar[Mapping[tuple[str, Any, Right], bool]] = ContextVar(
    "messages_extends.access.policy.known_rights", default=MappingProxyType({})
)


def page_rights() -> tuple[Right, ...]:
    """Return the rights that `page_access` tells of; none where nobody holds them, or a host's backends alone know."""
    if users_are_shared() or not grants.knows_superusers():
        return ()
    return _on_announcements("add"), _on_users("change")


@contextmanager
def rights_known(person: Person, held: Iterable[bool]) -> Iterator[None]:
    """Have questions about `person` use, in a block, what `page_access` has told: whether they hold `page_rights`."""
    here = current_schema()
    known = {(here, person.pk, right): holds for right, holds in zip(page_rights(), held, strict=True)}
    token = _known_rights.set(known)
    try:
        yield
    finally:
        _known_rights.reset(token)
