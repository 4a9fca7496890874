"""Publish, revise and retract: one implementation for all kinds of publications.

Their models supply the differences; `access.publications` defines who may write them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.safestring import mark_safe

from messages_extends.access.publications import access_to
from messages_extends.access.rate_limits import check_rate_limit
from messages_extends.broadcasts.models import Broadcast
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.exceptions import NotPublished
from messages_extends.models import Announcement, audit
from messages_extends.models.audit import Action
from messages_extends.models.publication import (
    DEFAULT_LIFETIME,
    AnyPublication,
    CurrentAudience,
    Publication,
    State,
)
from messages_extends.sending.cleaning import (
    clean_bool,
    clean_content,
    clean_datetime,
    clean_future_datetime,
    require_characters,
)
from messages_extends.sending.constraints import translate_fk_violation
from messages_extends.sending.idempotency import get_or_create_by_key
from messages_extends.tenancy.databases import atomic
from messages_extends.tenancy.origin import check_tenant
from messages_extends.tenancy.schemas import in_schema
from messages_extends.texts.content import with_title

LABELS: Final = ("url_label", "display", "category", "group")
TEXT_FIELDS: Final = ("level", "params", "extra_tags", "url", *LABELS)
CHANGEABLE_FIELDS: Final = ("message", *TEXT_FIELDS, "title", "publish_at", "expires", "must_acknowledge")


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
    """Publish a text to people of the current organisation: one row, whatever the number of readers.

    `to` is EVERYONE, a group or several groups; their members are determined when it is read. `publish_at` is the time
    at which it appears, by default now, and `expires` the time at which it disappears, by default after 30 days.
    `sender` is the user who publishes, for the policy to check; None is the application. `text` has the arguments
    `params`, `url`, `extra_tags`, the labels of `send`, and `key`: if a publication with the key exists that has not
    ended, it is returned and nothing is written.

    Raises ValueError for an empty `to` and in the cases in which `send` does; PermissionDenied, RateLimitExceeded,
    WrongTenant and NoTenant; and RecipientUnavailable if a group or the sender is deleted at the same time.
    """
    return publish(
        Announcement,
        message,
        to=to,
        sender=sender,
        signature={"sender": sender},
        publish_at=publish_at,
        expires=expires,
        must_acknowledge=must_acknowledge,
        level=level,
        **text,
    )


def broadcast(
    message: Any,
    *,
    to: Any,
    author: str = "",
    level: int = INFO_PERSISTENT,
    publish_at: datetime | None = None,
    expires: datetime | None = None,
    must_acknowledge: bool = False,
    sender: AbstractBaseUser | None = None,
    **text: Any,
) -> Broadcast:
    """Publish a text of the platform to organisations: one row, whatever the number of organisations and people.

    `to` is ALL_TENANTS, a tenant or several tenants. `author` is the name that readers see as the sender, by default
    that of `sender`, who is a user of the platform. The other arguments are those of `announce`. Call it in the public
    schema or in PLATFORM_SCHEMA.

    Raises PermissionDenied in any other schema and for a sender without permission, and ValueError like `announce`.
    """
    return publish(
        Broadcast,
        message,
        to=to,
        sender=sender,
        signature={"author": author or ("" if sender is None else str(sender))},
        publish_at=publish_at,
        expires=expires,
        must_acknowledge=must_acknowledge,
        level=level,
        **text,
    )


def publish(
    model: type[AnyPublication],
    message: Any,
    *,
    to: Any,
    sender: AbstractBaseUser | None,
    signature: Mapping[str, Any],
    publish_at: datetime | None,
    expires: datetime | None,
    must_acknowledge: bool,
    **text: Any,
) -> AnyPublication:
    """Publish a text as a row of `model`; the arguments are those of `announce` and `broadcast`.

    `signature` contains the fields that tell readers who has written it.
    """
    access = access_to(model)
    access.require_may_write(sender, "add")
    with in_schema(model.storage_schema()):
        chosen = model.resolve_audience(to)
        columns = clean_content(message, **text) | times(publish_at, expires) | _clean_signature(model, signature)
        access.require_may_address(sender, chosen)
        new = model(
            audience=model.for_everybody if chosen is None else model.for_chosen,
            audience_size=access.audience_size(chosen),
            must_acknowledge=clean_bool("must_acknowledge", must_acknowledge),
            **columns,
        )
        with translate_fk_violation(), atomic():
            existing = get_or_create_by_key(new)
            if existing is None:
                check_rate_limit(sender, records=model.records)
                if chosen is not None:
                    new.save_chosen(chosen)
                audience = _log(model.action, new, sender)
    if existing is not None:
        return existing
    audience.notify()
    return new


def revise(
    publication: AnyPublication, *, sender: AbstractBaseUser | None = None, show_again: bool = False, **changes: Any
) -> AnyPublication:
    """Change a publication for all of its readers, who see it with their next request; return it.

    `changes` may contain message, title, level, params, extra_tags, url, url_label, display, category, group,
    must_acknowledge, expires, and publish_at while it is scheduled. Receipts are kept, unless `show_again` is true: it
    is then unread for everybody and comes first again. `sender` is the user who changes it, for the policy to check;
    None is the application.

    Raises NotPublished if it has ended; TypeError and ValueError, with the allowed values, for invalid changes;
    PermissionDenied and WrongTenant.
    """
    _require_may_write(publication, sender)
    with in_schema(publication.storage_schema()), atomic():
        locked = lock(publication)
        access_to(type(publication)).require_may_change(sender, locked)
        check_rate_limit(sender, records=publication.records)
        change(locked, changes, show_again=show_again)
        audience = _log(Action.REVISE, locked, sender)
    audience.notify()
    return locked


def retract(publication: AnyPublication, *, sender: AbstractBaseUser | None = None) -> AnyPublication:
    """Retract a publication for all of its readers at once. It is idempotent."""
    _require_may_write(publication, sender)
    with in_schema(publication.storage_schema()), atomic():
        locked = lock(publication)
        access_to(type(publication)).require_may_change(sender, locked)
        audience = _log(Action.RETRACT, locked, sender) if end(locked) else None
    if audience is not None:
        audience.notify()
    return locked


def retract_all(publications: QuerySet[AnyPublication]) -> int:
    """Retract, as the application, those of `publications` that have not ended; return their number."""
    access_to(publications.model).require_may_write(None, "change")
    with in_schema(publications.model.storage_schema()), atomic():
        ended = [each for each in publications.select_for_update(of=("self",)) if end(each)]
        audiences = [_log(Action.RETRACT, each, None) for each in ended]
    for audience in audiences:
        audience.notify()
    return len(audiences)


def _require_may_write(publication: Publication, sender: AbstractBaseUser | None) -> None:
    if not isinstance(publication, Publication):
        raise TypeError(f"Expected a Publication, got {publication!r}: pass an announcement or a broadcast.")
    check_tenant(publication)
    access_to(type(publication)).require_may_write(sender, "change")


def _clean_signature(model: type[Publication], signature: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the signature. Raises ValueError for a text that cannot be stored."""
    for name, value in signature.items():
        column: Any = model._meta.get_field(name)
        if column.max_length is not None:
            require_characters(name, value)
            if len(value) > column.max_length:
                raise ValueError(f"{name} has {len(value)} characters; at most {column.max_length} are allowed.")
    return dict(signature)


def times(publish_at: datetime | None, expires: datetime | None) -> dict[str, datetime]:
    """Return the times of appearing and disappearing. Raises ValueError unless they are in order and not over."""
    start = timezone.now() if publish_at is None else clean_datetime("publish_at", publish_at)
    end = start + DEFAULT_LIFETIME if expires is None else clean_datetime("expires", expires)
    return {"publish_at": start, "expires": clean_future_datetime("expires", end, after=start)}


def lock(publication: AnyPublication) -> AnyPublication:
    """Load a publication again and lock it, so that concurrent changes are made one after the other.

    Raises NotPublished if it has been deleted.
    """
    publications: Any = type(publication)._default_manager
    locked: AnyPublication | None = publications.select_for_update(of=("self",)).filter(pk=publication.pk).first()
    if locked is None:
        raise NotPublished
    return locked


def change(publication: Publication, changes: dict[str, Any], *, show_again: bool) -> None:
    """Change a locked publication. Raises TypeError or ValueError, with the allowed values, for invalid changes."""
    unknown = sorted(set(changes) - set(CHANGEABLE_FIELDS))
    if unknown:
        raise TypeError(f"{', '.join(unknown)}: cannot be changed: use {', '.join(CHANGEABLE_FIELDS)}.")
    if publication.has_ended():
        raise NotPublished
    text = {name: changes.get(name, getattr(publication, name)) for name in TEXT_FIELDS}
    message, title = str(publication.message), str(publication.title)
    if publication.is_safe:
        # Text that is stored as safe HTML stays safe.
        message, title = mark_safe(message), mark_safe(title)  # noqa: S308 - the sending code declared it safe
    columns: dict[str, Any] = clean_content(
        changes.get("message", message), title=changes.get("title", title), key=publication.key, **text
    )
    if "publish_at" in changes and publication.state() is not State.SCHEDULED:
        raise ValueError("publish_at cannot be changed: it has been published already.")
    if changes.keys() & {"publish_at", "expires"}:
        columns |= times(changes.get("publish_at", publication.publish_at), changes.get("expires", publication.expires))
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


def end(publication: Publication) -> bool:
    """Retract a locked publication; return False if it has ended already."""
    if publication.has_ended():
        return False
    publication.retracted_at = timezone.now()
    publication.save(update_fields=["retracted_at"])
    return True


def _log(action: Action, publication: Publication, actor: AbstractBaseUser | None) -> CurrentAudience:
    """Log an action on a publication; return its audience, to notify after the transaction."""
    audience = publication.current_audience()
    audit.log_event(
        action,
        actor=actor,
        subject=f"{publication.kind} {publication.pk}",
        audience=audience.label,
        count=publication.audience_size if action is publication.action else None,
        text="" if action is Action.RETRACT else with_title(publication.title, publication.message),
        keep_text=True,
        into=publication.records,
    )
    return audience
