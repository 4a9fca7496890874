"""What is kept about one person: handed over, or erased.

Both work in the current schema: where organisations share their users, do it in each. What the platform keeps about
its own people goes with PLATFORM_SCHEMA.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Exists, Model, OuterRef, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone
from django_tenants.utils import get_public_schema_name

from messages_extends.access.grants import by_user
from messages_extends.access.permissions import send_group_message, send_message
from messages_extends.broadcasts.models import Broadcast, BroadcastRecord
from messages_extends.conf import settings
from messages_extends.exceptions import NoTenant, WrongTenant
from messages_extends.maintenance.purge import delete
from messages_extends.models import Announcement, AuditRecord, Message, Receipt
from messages_extends.models.audit import Action, BaseAuditRecord, actor_id_of, log_event
from messages_extends.models.content import Content
from messages_extends.models.publication import Publication
from messages_extends.tenancy.databases import atomic, for_write
from messages_extends.tenancy.origin import require_here
from messages_extends.tenancy.schemas import current_schema, has_messages, inside, is_public, users_are_shared
from messages_extends.tenancy.triggers import erasing_names

CHUNK: Final = 500

Row = TypeVar("Row", bound=Model)
Rows = QuerySet[Model]
Values = dict[str, object]
Sections = Mapping[str, Iterable[Values]]


# Handing over -------------------------------------------------------------------------------------------------------


def export(user: AbstractBaseUser, *, by: AbstractBaseUser | None = None) -> dict[str, object]:
    """Return what the current schema keeps about `user`, ready for `as_json`; that it was asked for is recorded.

    What may be long is an iterator: read it once, in this schema. `by` is the person who asks, for the record.
    Raises WrongTenant for people of another organisation, and where an iterator is read in another schema.
    """
    _require_here(user, by)
    for place in _scopes(user.pk):
        place.log_event(Action.EXPORT, f"data of user {user.pk}", by)
    here = current_schema()
    about = {"id": user.pk, "login": user.get_username(), "name": str(user)}
    sections = _of_organisation(user) if has_messages(here) else {}
    sections = {**sections, **(_of_platform(user) if _has_people_of_platform(here) else {})}
    read_here = {name: _only_in(here, rows) for name, rows in sections.items()}
    return {"schema": here, "exported_at": timezone.now(), "person": about, **read_here}


def as_json(exported: Mapping[str, object]) -> Iterator[str]:
    """Write what `export` returned as JSON, piece by piece: one row at a time is in memory."""
    separator = "{"
    for name, value in exported.items():
        yield f"{separator}\n{json.dumps(name)}: "
        yield from _array(value) if isinstance(value, Iterator) else [_json(value)]
        separator = ","
    yield "\n}\n"


def _array(rows: Iterator[Values]) -> Iterator[str]:
    separator = "["
    for row in rows:
        yield f"{separator}\n  {_json(row)}"
        separator = ","
    yield "[]" if separator == "[" else "\n]"


class _Encoder(DjangoJSONEncoder):
    """Writes every time with its zone, which without USE_TZ it does not have: the file leaves this site."""

    def default(self, value: object) -> object:
        if isinstance(value, datetime) and timezone.is_naive(value):
            value = timezone.make_aware(value, timezone.get_default_timezone())
        return super().default(value)


def _json(value: object) -> str:
    return json.dumps(value, cls=_Encoder, ensure_ascii=False)


def _only_in(schema: str, rows: Iterable[Values]) -> Iterator[Values]:
    """Read rows that are lazy in the schema they were asked for in, and in no other."""
    if current_schema() != schema:
        raise WrongTenant(f"This is about somebody of {schema!r}, and read in {current_schema()!r}: read it there.")
    yield from rows


def _of_organisation(user: AbstractBaseUser) -> Sections:
    messages = Message.objects.order_by("pk").select_related("user", "sender")
    announcements = Announcement.objects.order_by("created", "pk").prefetch_related("groups")
    return {
        "messages_received": _each(messages.filter(user_id=user.pk), _received),
        "messages_sent": _each(messages.filter(sender_id=user.pk), _sent),
        "announcements_sent": _each(announcements.filter(sender_id=user.pk), _announced),
        "read": _read(user.pk),
        "grants": _grants(user),
        "audit_records": _each(AuditRecord.objects.filter(actor_id=actor_id_of(user.pk)).order_by("pk"), _recorded),
    }


def _of_platform(user: AbstractBaseUser) -> Sections:
    broadcasts = _broadcasts_by(user.pk).order_by("created", "pk")
    return {
        "broadcasts_sent": _each(broadcasts, lambda each: _published(each) | {"author": each.author}),
        "platform_audit_records": _each(
            BroadcastRecord.objects.filter(actor_id=actor_id_of(user.pk)).order_by("pk"), _recorded
        ),
    }


def _each(rows: QuerySet[Row], describe: Callable[[Row], Values]) -> Iterator[Values]:
    return (describe(row) for row in rows.iterator(chunk_size=CHUNK))


def _received(message: Message) -> Values:
    return _message(message) | {"sender": _name(message.sender), "read_at": message.read_at}


def _sent(message: Message) -> Values:
    # When it was read is its reader's.
    return _message(message) | {"recipient": _name(message.user)}


def _message(message: Message) -> Values:
    times = {"created": message.created, "expires": message.expires}
    # A sender who has been deleted is none, and yet it was not the application.
    return {"id": message.pk, **_text(message), **times, "from_person": message.from_person}


def _announced(announcement: Announcement) -> Values:
    groups = [group.name for group in announcement.groups.all()]
    return _published(announcement) | {"audience": announcement.audience, "groups": groups}


def _published(publication: Publication) -> Values:
    times = ("created", "publish_at", "expires", "retracted_at")
    return {"id": publication.pk, **_text(publication)} | {name: getattr(publication, name) for name in times}


def _text(content: Content) -> Values:
    values = {name: getattr(content, name) for name in ("level", "params", "url", "extra_tags", "key")}
    return {"text": str(content), **values}


def _name(person: object) -> str | None:
    return None if person is None else str(person)


def _read(pk: Any) -> Iterator[Values]:
    """Yield the receipts, each with what was read, where that is still there."""
    receipts = Receipt.objects.filter(user_id=pk)
    chosen = receipts.values("publication_id")
    found = {each.pk: each for model in (Announcement, Broadcast) for each in model.objects.filter(pk__in=chosen)}
    for receipt in receipts.order_by("pk").iterator(chunk_size=CHUNK):
        publication = found.get(receipt.publication_id)
        yield {
            "id": receipt.publication_id,
            "kind": publication and publication.kind,
            "text": publication and str(publication),
            "revision": receipt.revision,
            "read_at": receipt.read_at,
        }


def _grants(user: AbstractBaseUser) -> Iterator[Values]:
    """Yield whom `user` themselves was granted to write to."""
    for right in (send_message(), send_group_message()) if apps.is_installed("guardian") else ():
        for key in by_user(user, right).order_by("pk").values_list("object_pk", flat=True):
            yield {"permission": str(right), "on": key}


def _recorded(deed: BaseAuditRecord) -> Values:
    names = ("recorded_at", "action", "subject", "audience", "count", "text")
    return {name: getattr(deed, name) for name in names}


# Erasing ------------------------------------------------------------------------------------------------------------


def erase(user: AbstractBaseUser, *, by: AbstractBaseUser | None = None, dry_run: bool = False) -> Counter[str]:
    """Erase what the current schema keeps about `user`, but for their account, and return how much of each kind.

    Messages to them and receipts are deleted. What they sent stays with its readers, without a sender; their deeds
    stay recorded, without a name. All of it or nothing; recorded by their primary key alone. `by` is the person who
    asks for it. Raises WrongTenant for people of another organisation.
    """
    _require_here(user, by)
    return _erase(user.pk, by, dry_run=dry_run)


def erase_deleted(pk: Any, *, by: AbstractBaseUser | None = None, dry_run: bool = False) -> Counter[str]:
    """Erase, as `erase` does, what is left of somebody whose account is gone: their name in the records.

    ValueError if there is somebody with this primary key.
    """
    _require_here(by)
    if for_write(get_user_model()._base_manager.filter(pk=pk)).exists():
        raise ValueError(f"There is somebody with the id {pk}: use their login name.")
    return _erase(pk, by, dry_run=dry_run)


@dataclass(frozen=True)
class PersonalRows:
    """Rows that lead to a person, and what they are changed to; None: they are deleted."""

    kind: str
    rows: Rows
    change: Mapping[str, object] | None = None

    def erase(self) -> int:
        if self.change is not None:
            return self.rows.update(**self.change)
        return delete(self.rows)


@dataclass(frozen=True)
class DataScope:
    """One schema that knows somebody: where it records deeds, and what leads to them."""

    schema: str
    records: type[BaseAuditRecord]
    traces: tuple[PersonalRows, ...]

    def log_event(self, action: Action, subject: str, by: AbstractBaseUser | None, count: int | None = None) -> None:
        with inside(self.schema):
            log_event(action, actor=by, subject=subject, count=count, into=self.records)

    def erase(self) -> Counter[str]:
        with inside(self.schema):
            return Counter({trace.kind: trace.erase() for trace in self.traces})

    def count(self) -> Counter[str]:
        with inside(self.schema):
            return Counter({trace.kind: for_write(trace.rows).count() for trace in self.traces})


def _erase(pk: Any, by: AbstractBaseUser | None, *, dry_run: bool) -> Counter[str]:
    gone: Counter[str] = Counter()
    with atomic():
        for place in _scopes(pk):
            found = place.count()
            if not dry_run:
                # First, for it names who asks: that may be the person.
                place.log_event(Action.ERASE, f"user {pk}", by, found.total())
                with erasing_names():
                    found = place.erase()
            gone += found
    return gone


def _scopes(pk: Any) -> Iterator[DataScope]:
    here = current_schema()
    if has_messages(here):
        yield DataScope(here, AuditRecord, _rows_here(pk))
    if _has_people_of_platform(here):
        yield DataScope(get_public_schema_name(), BroadcastRecord, _rows_of_platform(pk))
    elif not has_messages(here):
        raise NoTenant(f"The people of {here} neither read nor write messages: ask inside a tenant that has them.")


def _has_people_of_platform(schema: str) -> bool:
    """Tell whether who acts for the platform has the primary key here that they have in its records."""
    return schema == settings.platform_schema or (is_public(schema) and users_are_shared())


def _rows_here(pk: Any) -> tuple[PersonalRows, ...]:
    return (
        PersonalRows("messages received", Message.objects.filter(user_id=pk)),
        PersonalRows("receipts", Receipt.objects.filter(user_id=pk)),
        PersonalRows("messages sent", Message.objects.filter(sender_id=pk).exclude(user_id=pk), {"sender": None}),
        PersonalRows("announcements", Announcement.objects.filter(sender_id=pk), {"sender": None}),
        PersonalRows("records", _named(AuditRecord.objects.filter(actor_id=actor_id_of(pk))), {"actor_name": ""}),
    )


def _rows_of_platform(pk: Any) -> tuple[PersonalRows, ...]:
    return (
        # Before the records, which say whose they are.
        PersonalRows(
            "broadcasts", _broadcasts_by(pk, actor_name=OuterRef("author")).exclude(author=""), {"author": ""}
        ),
        PersonalRows(
            "records of the platform",
            _named(BroadcastRecord.objects.filter(actor_id=actor_id_of(pk))),
            {"actor_name": ""},
        ),
    )


def _named(records: Rows) -> Rows:
    return records.exclude(actor_name="")


def _broadcasts_by(pk: Any, **recorded: OuterRef) -> QuerySet[Broadcast]:
    """Return the broadcasts of which the record says that somebody published them."""
    deeds = BroadcastRecord.objects.filter(actor_id=actor_id_of(pk), action=Action.BROADCAST, **recorded)
    subject = Concat(Value("broadcast "), Cast("pk", TextField()))
    return Broadcast.objects.alias(subject=subject).filter(Exists(deeds.filter(subject=OuterRef("subject"))))


def _require_here(*people: AbstractBaseUser | None) -> None:
    for person in people:
        require_here(person)
