"""The policy: who may message whom. All rules about what one user may send to others are here."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, final

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db import connections
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
from messages_extends.access.policy_queries import condition_to_write, member_condition
from messages_extends.access.sql import MAY_MESSAGE
from messages_extends.conf import settings
from messages_extends.models import Announcement
from messages_extends.queries.compiled import condition
from messages_extends.queries.sql import names_of_people
from messages_extends.tenancy.databases import using_primary, write_database
from messages_extends.tenancy.origin import check_tenant, schema_of_origin
from messages_extends.tenancy.schemas import current_schema, user_model_has, users_are_shared


class Policy:
    """The default policy, which uses the grants of the current organisation; name a subclass in the setting POLICY.

    A subclass overrides questions. Final methods are derived from the answers.

    Querysets are lazy and one statement each, so that the number of queries does not depend on the number of people. If
    a router sends reads to a replica, methods that return a boolean read from the primary database. Each method raises
    WrongTenant for a user who was loaded in another tenant.
    """

    # Questions ------------------------------------------------------------------------------------------------------

    def reachable_people(self, sender: Person) -> QuerySet[AbstractBaseUser]:
        """Return the active members to whom `sender` may write, including `sender`; none for an inactive sender."""
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
        """Return the groups to whose members `sender` may write; none if the user model has no groups."""
        if not (may_act(sender) and user_model_has("groups")):
            return Group.objects.none()
        return Group.objects.filter(_compiled(reaches_group, sender, Group), Exists(member(sender)))

    def announceable_groups(self, sender: Person) -> QuerySet[Group]:
        """Return the groups to which `sender` may announce."""
        if not (may_act(sender) and user_model_has("groups")):
            return Group.objects.none()
        reachable = Q(pk__in=self.reachable_groups(sender).values("pk"))
        return Group.objects.filter(reachable | _model_wide(sender, _on_announcements("add")), Exists(member(sender)))

    def may_announce_to_everyone(self, sender: Person) -> bool:
        """Tell whether `sender` may announce to everybody in the organisation."""
        return holds(sender, _on_announcements("add"))

    def may_change(self, sender: Person, announcement: Announcement) -> bool:
        """Tell whether `sender` may revise or retract it: also their own, while they may announce to its audience."""
        check_tenant(announcement)
        if holds(sender, _on_announcements("change")):
            return True
        if announcement.sender_id is None or announcement.sender_id != sender.pk:
            return False
        groups = None if announcement.is_for_everybody else announcement.groups.all()
        return self.may_announce(sender, groups)

    def reports_visible_to(self, viewer: Person) -> QuerySet[Announcement]:
        """Return the announcements whose readers `viewer` may see: their own, or all with a permission."""
        announcements = Announcement.objects.all()
        if not may_act(viewer):
            return announcements.none()
        return announcements.filter(Q(sender=viewer.pk) | _sees_all_reports(viewer), Exists(member(viewer)))

    def visible_people(self, viewer: Person) -> QuerySet[AbstractBaseUser]:
        """Return the users whose names `viewer` may see: all with a permission, otherwise those they can write to."""
        if holds(viewer, _on_users("view")):
            return members()
        return self.reachable_people(viewer)

    def may_grant(self, person: Person) -> bool:
        """Tell whether `person` may manage messaging permissions: those who may change users."""
        return holds(person, _on_users("change"))

    def may_give(self, person: Person, target: "Model | grants.All") -> bool:
        """Tell whether `person`, who may grant, may let others write to `target`.

        By default, these are the targets to whom they may write themselves.
        """
        of_groups = isinstance(target, Group) or target is grants.EVERY_GROUP
        if holds(person, send_group_message() if of_groups else send_message()):
            return True
        if isinstance(target, grants.All):
            return False
        reached = self.reachable_groups(person) if of_groups else self.reachable_people(person)
        return using_primary(reached.filter(pk=target.pk)).exists()

    def allows_broadcast(self, sender: Person, action: str) -> bool:
        """Tell whether `sender`, who is staff of the platform and has the permission, may broadcast.

        By default, all of them may. A subclass can only narrow this.
        """
        return True

    def honours_model_permissions(self, person: Person) -> bool:
        """Tell whether `person` being a superuser and their model permissions count here, for example in the admin.

        It is true for active members. It is false if tenants share their users, because these rights would apply in
        every tenant.
        """
        return not users_are_shared() and is_active_member(person)

    def own_reasons(self, sender: Person, recipient: Person, allowed: bool) -> list[str | Promise]:
        """Return in words why the rules of this class allow `sender` to write to `recipient`, or do not allow it."""
        return []

    # Derived --------------------------------------------------------------------------------------------------------

    @final
    def may_message(self, sender: Person, recipient: Person) -> bool:
        """Tell whether `sender` may write to `recipient`."""
        check_tenant(recipient)
        using = write_database()
        pair = pair_condition(type(self), using)
        if pair is None:
            return using_primary(self.reachable_people(sender).filter(pk=recipient.pk)).exists()
        return may_act(sender) and _holds_of_pair(pair, sender, recipient, using)

    @final
    def may_compose(self, sender: Person) -> bool:
        """Tell whether `sender` may write to anybody except themselves, or to a group."""
        others = self.reachable_people(sender).exclude(pk=sender.pk)
        return using_primary(self.reachable_groups(sender)).exists() or using_primary(others).exists()

    @final
    def may_announce(self, sender: Person, groups: QuerySet[Group] | None) -> bool:
        """Tell whether `sender` may announce to all of these groups, at least one, or to everybody if it is None."""
        if groups is None:
            return self.may_announce_to_everyone(sender)
        allowed = Count("pk", distinct=True, filter=Q(pk__in=self.announceable_groups(sender).values("pk")))
        counts = using_primary(groups.order_by()).aggregate(all=Count("pk", distinct=True), allowed=allowed)
        return bool(counts["all"]) and counts["all"] == counts["allowed"]

    @final
    def may_see_announcements(self, person: Person) -> bool:
        """Tell whether `person` may announce to any audience, or view announcements of others."""
        if not may_act(person):
            return False
        found = using_primary(member(person).filter(self._sees_announcements(person)))
        return found.exists() or self.may_announce_to_everyone(person)

    @final
    def may_see_report(self, viewer: Person, announcement: Announcement) -> bool:
        """Tell whether `viewer` may see who has read the announcement."""
        check_tenant(announcement)
        return using_primary(self.reports_visible_to(viewer).filter(pk=announcement.pk)).exists()

    @final
    def may_broadcast(self, sender: Person, action: str = "add") -> bool:
        """Tell whether `sender` may add, change or delete broadcasts: only staff of the platform."""
        return _is_granted_by_platform(sender, f"{action}_broadcast") and self.allows_broadcast(sender, action)

    @final
    def may_see_broadcasts(self, person: Person) -> bool:
        """Tell whether `person` may open the pages of broadcasts: those who may add, change or view them."""
        return any(self.may_broadcast(person, action) for action in ("view", "add", "change"))

    @final
    def may_see_broadcast_records(self, person: Person) -> bool:
        """Tell whether `person` may view the audit log of broadcasts: staff of the platform with that permission."""
        return _is_granted_by_platform(person, "view_broadcastrecord")

    @final
    def page_access(self, person: Person) -> QuerySet[AbstractBaseUser, tuple[bool, ...]]:
        """Return one row: may `person` write to somebody, may they see announcements, and which of `page_rights`.

        There is no row for users who are not active members. It is for links: each page checks access itself.
        """
        others = Q(Exists(self.reachable_people(person).exclude(pk=person.pk)))
        # Groups first, because they are few and the database then stops searching.
        return member(person).values_list(
            _told(Q(Exists(self.reachable_groups(person))) | others),
            _told(self._sees_announcements(person)),
            # The row is that of `person`, so it contains whether they are a superuser.
            *(_told(Q(is_superuser=True) | grants.granted_on_all(person, right)) for right in page_rights()),
        )

    def _sees_announcements(self, person: Person) -> Q:
        """Return the condition that `person` may announce to a group, or view announcements of others."""
        if type(self) in BUILT_IN:
            return Q(Exists(self.reachable_groups(person))) | _sees_all_reports(person)
        reports = self.reports_visible_to(person).exclude(sender=person.pk)
        return Q(Exists(self.announceable_groups(person))) | _sees_all_reports(person) | Q(Exists(reports))


class AllowAll(Policy):
    """Let active users write to every active member, as in django-messages-extends; all other rules are the same."""

    def reachable_people(self, sender: Person) -> QuerySet[AbstractBaseUser]:
        """Return all active members; none for a sender who is not one."""
        people = members()
        return people.filter(Exists(member(sender))) if may_act(sender) else people.none()

    def own_reasons(self, sender: Person, recipient: Person, allowed: bool) -> list[str | Promise]:
        """Return a sentence that says that everybody may write to everybody."""
        return [_("The policy of this site lets everybody write to everybody.")]


BUILT_IN: Final = (Policy, AllowAll)
"""The classes of which it is known what they answer: it is asked in shorter forms. A host's may look at anything."""


def policy() -> Policy:
    """Return an instance of the class named by the setting POLICY."""
    return settings.policy()  # type: ignore[no-any-return]


def holds_for_everybody(kind: type[Policy]) -> bool:
    """Tell whether the policy is one of this package's classes; a host's class may use anything about a user."""
    return kind in BUILT_IN and has_plain_managers()


def pair_condition(kind: type[Policy], using: str) -> str | None:
    """Return the SQL condition that the user %(sender)s may write to the member `person`, like `reachable_people`.

    Return None if only the queryset can tell: with a host's own policy, and if `member_condition` is None.
    """
    if kind not in BUILT_IN or member_condition(using) is None:
        return None
    return condition_to_write(get_user_model(), using, to_everybody=kind is AllowAll)


def _holds_of_pair(condition: str, sender: Person, recipient: Person, using: str) -> bool:
    connection, key = connections[using], get_user_model()._meta.pk
    pair = {"sender": sender.pk, "recipient": recipient.pk}
    statement = MAY_MESSAGE.format(member=member_condition(using), condition=condition, **names_of_people(using))
    with connection.cursor() as cursor:
        cursor.execute(statement, {name: key.get_db_prep_value(one, connection) for name, one in pair.items()})
        return cursor.fetchone() is not None


# Conditions of the answers ------------------------------------------------------------------------------------------


def _on_users(action: str) -> Right:
    options = get_user_model()._meta
    return Right(options.app_label, f"{action}_{options.model_name}")


def _on_announcements(action: str) -> Right:
    return Right("messages_extends", f"{action}_announcement")


def _compiled(build: Callable[[Person], Q], sender: Person, model: type[Model]) -> Q:
    """Return `build(sender)`, a condition on the primary keys of `model`, compiled once if possible."""
    if not has_plain_managers():
        return build(sender)
    return condition(build, {"sender": sender}, write_database(), model=model)


def holds_on_person(sender: Person) -> Q:
    """Return the condition for `sender` and the users on whom they hold the permission to send."""
    return Q(pk=sender.pk) | _model_wide(sender, send_message()) | grants.on_object(sender, send_message())


def reaches_person(sender: Person) -> Q:
    """Return the condition for the users to whom `sender`, an active member, may write."""
    # By the keys in the grants: joining the groups takes twice as long.
    granted = keys_of_people_in(grants.keys_on_object(sender, send_group_message()))
    in_any = Q(pk__in=keys_of_people_in(None))
    # Like `_model_wide`, but it is known already whether this sender is a superuser.
    on_all = Q(pk__in=[]) if users_are_shared() else grants.granted_on_all(sender, send_group_message())
    return holds_on_person(sender) | Q(pk__in=granted) | (on_all & in_any)


def reaches_group(sender: Person) -> Q:
    """Return the condition for the groups to whose members `sender` may write."""
    on_all = _model_wide(sender, send_group_message(), send_message())
    return grants.on_object(sender, send_group_message()) | on_all


def _told(holds: Q) -> Case:
    """Return a column with the value of a condition."""
    return Case(When(holds, then=Value(True)), default=Value(False))


def _sees_all_reports(viewer: Person) -> Q:
    return _model_wide(viewer, _on_announcements("view"), _on_announcements("change"))


def _model_wide(sender: Person, *rights: Right) -> Q:
    """Return the condition that `sender` holds one of `rights` on all; false if tenants share their users.

    With shared users, superusers and permissions without an object would apply in every tenant.
    """
    return Q(pk__in=[]) if users_are_shared() else grants.model_wide(sender, *rights)


def holds(sender: Person, right: Right) -> bool:
    """Tell whether an active member is a superuser or holds a right on all; False if tenants share their users."""
    check_tenant(sender)
    if users_are_shared():
        return False
    known = _known_rights.get().get((current_schema(), sender.pk, right))
    return _is_granted(sender, right) if known is None else known


def _is_granted(sender: Person, right: Right) -> bool:
    """Tell whether an active member is a superuser or holds a permission without an object, with one query."""
    if not may_act(sender):
        return False
    if not grants.knows_superusers() and hasattr(sender, "has_perm"):
        # The permissions are elsewhere, as with django-tenant-users: only its backends know them.
        return using_primary(member(sender)).exists() and bool(sender.has_perm(str(right)))
    return using_primary(member(sender).filter(grants.model_wide(sender, right))).exists()


def _is_granted_by_platform(sender: Person, codename: str) -> bool:
    """Tell whether a user of the platform holds this permission of the app broadcasts; called on the platform only."""
    here = current_schema()
    if here != settings.platform_schema or not (users_are_shared() or schema_of_origin(sender) == here):
        return False
    return _is_granted(sender, Right("broadcasts", codename))


# Reuse of the answers of the query for links ------------------------------------------------------------------------

_known_rights: ContextVar[Mapping[tuple[str, Any, Right], bool]] = ContextVar(
    "messages_extends.access.policy.known_rights", default=MappingProxyType({})
)


def page_rights() -> tuple[Right, ...]:
    """Return the permissions in the row of `page_access`; none if nobody holds any, or only a host's backends know."""
    if users_are_shared() or not grants.knows_superusers():
        return ()
    return _on_announcements("add"), _on_users("change")


@contextmanager
def rights_known(person: Person, held: Iterable[bool]) -> Iterator[None]:
    """Let questions about `person` use the answers of `page_access` in a block: which `page_rights` they hold."""
    here = current_schema()
    known = {(here, person.pk, right): holds for right, holds in zip(page_rights(), held, strict=True)}
    token = _known_rights.set(known)
    try:
        yield
    finally:
        _known_rights.reset(token)
