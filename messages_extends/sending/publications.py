"""From what the caller says to one publication that many read; the part that announcements and broadcasts share."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.utils import timezone

from messages_extends.access.guards import require_may_announce, require_may_change
from messages_extends.access.membership import keys_of_people_in, members
from messages_extends.access.rate_limits import check_rate_limit
from messages_extends.conf import settings
from messages_extends.constants import EVERYONE, INFO_PERSISTENT
from messages_extends.events.changes import notify_changed
from messages_extends.exceptions import NotPublished
from messages_extends.models import Announcement, AnnouncementGroup, audit
from messages_extends.models.audit import Action
from messages_extends.models.publication import DEFAULT_LIFETIME, AnyPublication, Publication, State
from messages_extends.sending.cleaning import clean_bool, clean_content, clean_datetime, clean_future_datetime
from messages_extends.sending.constraints import translate_fk_violation
from messages_extends.sending.idempotency import get_or_create_by_key
from messages_extends.tenancy.databases import atomic, for_write
from messages_extends.tenancy.origin import require_here
from messages_extends.tenancy.schemas import current_schema, require_groups, require_messages

TEXT_FIELDS: Final = ("level", "params", "extra_tags", "url")
CHANGEABLE_FIELDS: Final = ("message", *TEXT_FIELDS, "publish_at", "expires", "must_acknowledge")


def announce(
    message: Any,
    *,
    to: Any,
    level: int = INFO_PERSISTENT,
    publish_at: datetime | None = None,
    expires: datetime | None = None,
    must_acknowledge: bool = False,
    sender: Any = None,
    **text: Any,
) -> Announcement:
    """Publish a text to people of the current organisation: one row, however many read it.

    `to`: EVERYONE, a group, or groups; who is in them is decided when they read. `publish_at`: when it appears (now);
    `expires`: when it disappears (30 days later). `sender`: the person who writes, whom the policy is asked about;
    None is the application. `text`: params, url, extra_tags, and `key`: while a publication with that key has not
    ended, it is returned and nothing is written.

    Raises ValueError for an empty `to` and for what `send` raises it for; PermissionDenied, TooManyMessages,
    WrongTenant, NoTenant; RecipientUnavailable if a group, or the sender, is deleted meanwhile.
    """
    require_messages(current_schema())
    groups = None if to is EVERYONE else _groups(to)
    columns = clean_content(message, level=level, **text) | times(publish_at, expires)
    require_may_announce(sender, groups)
    announcement = Announcement(
        sender=sender,
        audience=Announcement.Audience.EVERYONE if groups is None else Announcement.Audience.GROUPS,
        audience_size=for_write(audience(groups)).count(),
        must_acknowledge=clean_bool("must_acknowledge", must_acknowledge),
        **columns,
    )
    with translate_fk_violation(), atomic():
        existing = get_or_create_by_key(announcement)
        if existing is None:
            check_rate_limit(sender)
            _choose(announcement, groups)
            _record(Action.ANNOUNCE, announcement, sender)
    if existing is None:
        _notify_changed(groups)
    return existing or announcement


def revise_announcement(
    announcement: Announcement, *, sender: AbstractBaseUser | None = None, show_again: bool = False, **changes: Any
) -> Announcement:
    """Change an announcement that has not ended: seen by the next request of everyone; see `api.revise`."""
    require_here(announcement)
    with atomic():
        locked = lock(announcement)
        require_may_change(sender, locked)
        check_rate_limit(sender)
        change(locked, changes, show_again=show_again)
        _record(Action.REVISE, locked, sender)
    _notify_changed(_groups_of(locked))
    return locked


def retract_announcement(announcement: Announcement, *, sender: AbstractBaseUser | None = None) -> Announcement:
    """Take an announcement away from everyone; doing it again changes nothing."""
    require_here(announcement)
    with atomic():
        locked = lock(announcement)
        require_may_change(sender, locked)
        has_ended = end(locked)
        if has_ended:
            _record(Action.RETRACT, locked, sender)
    if has_ended:
        _notify_changed(_groups_of(locked))
    return locked


def retract_all(announcements: QuerySet[Announcement]) -> int:
    """Retract, on behalf of the application, those of `announcements` that have not ended; return how many."""
    with atomic():
        ended = [each for each in announcements.select_for_update(of=("self",)) if end(each)]
        for announcement in ended:
            _record(Action.RETRACT, announcement, None)
    for announcement in ended:
        _notify_changed(_groups_of(announcement))
    return len(ended)


def audience(groups: QuerySet[Group] | None) -> QuerySet[Any]:
    """Return the people who are addressed: everyone here, or the members of `groups` now."""
    people: QuerySet[Any] = members()
    if groups is not None:
        people = people.filter(pk__in=keys_of_people_in(groups))
    # A host's members may come out of a join.
    return people.distinct() if settings.members else people


def audience_of(announcement: Announcement) -> QuerySet[Any]:
    """Return the people whom an announcement is for now."""
    return audience(_groups_of(announcement))


# What broadcasts do in the same way.


def times(publish_at: datetime | None, expires: datetime | None) -> dict[str, datetime]:
    """Return when to appear and when to disappear; ValueError if that is over, or before it appears."""
    start = timezone.now() if publish_at is None else clean_datetime("publish_at", publish_at)
    end = start + DEFAULT_LIFETIME if expires is None else clean_datetime("expires", expires)
    return {"publish_at": start, "expires": clean_future_datetime("expires", end, after=start)}


def lock(publication: AnyPublication) -> AnyPublication:
    """Load a publication again and hold it, so that two who change it do so one after the other.

    NotPublished if it has been deleted.
    """
    publications: Any = type(publication)._default_manager
    locked: AnyPublication | None = publications.select_for_update(of=("self",)).filter(pk=publication.pk).first()
    if locked is None:
        raise NotPublished
    return locked


def change(publication: Publication, changes: dict[str, Any], *, show_again: bool) -> None:
    """Change a locked publication; TypeError or ValueError, with the allowed values, if that cannot be."""
    unknown = sorted(set(changes) - set(CHANGEABLE_FIELDS))
    if unknown:
        raise TypeError(f"{', '.join(unknown)}: cannot be changed; what can is {', '.join(CHANGEABLE_FIELDS)}.")
    if publication.has_ended():
        raise NotPublished
    columns = _changed_text(publication, changes) | _changed_times(publication, changes)
    if show_again:
        columns |= {"revision": publication.revision + 1}
    if show_again and publication.state() is State.LIVE:
        columns |= {"publish_at": timezone.now()}
    columns |= {
        "must_acknowledge": clean_bool(
            "must_acknowledge", changes.get("must_acknowledge", publication.must_acknowledge)
        )
    }
    for name, value in columns.items():
        setattr(publication, name, value)
    publication.save(update_fields=columns)


def _changed_text(publication: Publication, changes: dict[str, Any]) -> dict[str, Any]:
    text = {name: changes.get(name, getattr(publication, name)) for name in TEXT_FIELDS}
    if "message" in changes:
        return clean_content(changes["message"], key=publication.key, **text)
    return clean_content(publication.message, key=publication.key, **text) | {"is_safe": publication.is_safe}


def _changed_times(publication: Publication, changes: dict[str, Any]) -> dict[str, Any]:
    if "publish_at" in changes and publication.state() is not State.SCHEDULED:
        raise ValueError("publish_at cannot be changed: it has been published already.")
    if not changes.keys() & {"publish_at", "expires"}:
        return {}
    return times(changes.get("publish_at", publication.publish_at), changes.get("expires", publication.expires))


def end(publication: Publication) -> bool:
    """Retract a locked publication; return False if it has ended already."""
    if publication.has_ended():
        return False
    publication.retracted_at = timezone.now()
    publication.save(update_fields=["retracted_at"])
    return True


def _groups(to: Any) -> QuerySet[Group]:
    """Return the groups that `to` names; ValueError if there are none, TypeError if it names something else."""
    named = list(to) if isinstance(to, Iterable) and not isinstance(to, str | bytes) else [to]
    for group in named:
        if not isinstance(group, Group):
            raise TypeError(f"to contains {group!r}: use EVERYONE, a group, or groups.")
        require_here(group)
    if named:
        require_groups()
    else:
        raise ValueError("to is empty, which would reach nobody: name groups, or EVERYONE.")
    keys = {group.pk for group in named}
    groups = for_write(Group.objects.filter(pk__in=keys))
    if len(groups) != len(keys):
        raise ValueError("to contains a group that is not saved, or has been deleted.")
    return groups


def _groups_of(announcement: Announcement) -> QuerySet[Group] | None:
    """Return the groups that an announcement is for; None for everyone."""
    return None if announcement.audience == Announcement.Audience.EVERYONE else for_write(announcement.groups.all())


def _notify_changed(groups: QuerySet[Group] | None) -> None:
    notify_changed(everyone=groups is None, groups=[group.pk for group in groups or []])


def _choose(announcement: Announcement, groups: QuerySet[Group] | None) -> None:
    if groups is not None:
        AnnouncementGroup.objects.bulk_create(
            AnnouncementGroup(announcement=announcement, group=group) for group in groups
        )


def _record(action: Action, announcement: Announcement, actor: AbstractBaseUser | None) -> None:
    groups = _groups_of(announcement)
    audit.log_event(
        action,
        actor=actor,
        subject=f"announcement {announcement.pk}",
        audience="everyone"
        if groups is None
        else ", ".join(f"group {group.pk} ({group.name})" for group in groups.order_by("name")),
        count=announcement.audience_size if action is Action.ANNOUNCE else None,
        text="" if action is Action.RETRACT else announcement.message,
        keep_text=True,
    )
