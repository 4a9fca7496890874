"""Explain why one person may write to another, or may not."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from messages_extends.access import grants
from messages_extends.access.membership import groups_of, members
from messages_extends.access.permissions import Right, send_group_message, send_message
from messages_extends.access.policy import holds, policy
from messages_extends.tenancy.databases import using_primary
from messages_extends.tenancy.origin import check_tenant


class Reason(NamedTuple):
    """A reason why somebody may or may not write, with its text."""

    allows: bool
    text: str | Promise

    def __str__(self) -> str:
        return str(self.text)


def explain(sender: AbstractBaseUser, recipient: AbstractBaseUser) -> list[Reason]:
    """Return all reasons why `sender` may write to `recipient`, or all that prevent it.

    If the site's policy decides differently from the grants, the reasons are its `own_reasons`, or that it decides.
    """
    check_tenant(sender)
    check_tenant(recipient)
    found = set(using_primary(members().filter(pk__in=[sender.pk, recipient.pk])).values_list("pk", flat=True))
    obstacles = []
    if sender.pk not in found:
        obstacles.append(_("The sender is inactive or not a member of this organisation."))
    if recipient.pk not in found and recipient.pk != sender.pk:
        obstacles.append(_("The recipient is inactive or not a member of this organisation."))
    if obstacles:
        return [Reason(False, text) for text in obstacles]
    asked = policy()
    allowed = asked.may_message(sender, recipient)
    granted, own = list(_grounds(sender, recipient)), asked.own_reasons(sender, recipient, allowed)
    if allowed:
        texts = [*granted, *own] or [_("This site's own policy allows it.")]
    else:
        texts = own or [_("This site's own policy does not allow it.") if granted else _("Nothing has been granted.")]
    return [Reason(allowed, text) for text in texts]


def _grounds(sender: AbstractBaseUser, recipient: AbstractBaseUser) -> Iterator[str | Promise]:
    """Yield the grants by which one active member may write to another, in words."""
    if sender == recipient:
        yield _("Everybody may write to themselves.")
    if holds(sender, send_message()):
        yield _("The sender is a superuser, or has permission to write to everybody.")
    yield from _grounds_on(recipient, _("the recipient"), sender, send_message())
    groups: list[Group] = list(using_primary(groups_of(recipient)))
    for group in groups:
        yield from _grounds_on(group, _("the recipient's group “%s”") % group.name, sender, send_group_message())
    if groups and holds(sender, send_group_message()):
        yield _("The sender may write to every group, and the recipient is in one.")


def _grounds_on(target: Model, name: str | Promise, sender: AbstractBaseUser, right: Right) -> Iterator[str]:
    """Yield the grants on `target` that the sender and their groups hold, in words."""
    if _on(target, grants.by_user(sender, right)).exists():
        yield _("The sender has permission to write to %s.") % name
    for row in _on(target, grants.by_groups(sender, right).select_related("group")):
        yield _("The sender's group “%(holder)s” has permission to write to %(target)s.") % {
            "holder": row.group,
            "target": name,
        }


# guardian has no type hints.
def _on(target: Model, rows: QuerySet[Any]) -> QuerySet[Any]:
    return using_primary(rows.filter(object_pk=str(target.pk)))
