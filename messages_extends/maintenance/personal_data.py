"""Export or erase the personal data of a user.

Both work in the current schema. If tenants share their users, repeat it in each. The platform's records about its staff
are included in PLATFORM_SCHEMA.
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
from messages_extends.models.marks import MARKS
from messages_extends.models.publication import Publication
from messages_extends.tenancy.databases import atomic, using_primary
from messages_extends.tenancy.origin import check_tenant
from messages_extends.tenancy.schemas import current_schema, has_messages, in_schema, is_public, users_are_shared
from messages_extends.tenancy.triggers import erasing_names

CHUNK_SIZE: Final = 500

Row = TypeVar("Row", bound=Model)
Rows = QuerySet[Model]
Values = dict[str, object]
Sections = dict[str, Iterable[Values]]


# Exporting ----------------------------------------------------------------------------------------------------------


def export(user: AbstractBaseUser, *, by: AbstractBaseUser | None = None) -> dict[str, Any]:
    """Return the personal data of `user` in the current schema, for `as_json`, and record the export.

    Long sections are iterators, which must be read once and in this schema. `by` is the user who requests the export,
    for the audit log. Raises WrongTenant for users of another tenant, and if an iterator is read in another schema.
    """
    _require_here(user, by)
    for scope in _scopes(user.pk):
        scope.log_event(Action.EXPORT, f"data of user {user.pk}", by)
    here = current_schema()
    about = {"id": user.pk, "login": user.get_username(), "name": str(user)}
    sections = _tenant_sections(user) if has_messages(here) else {}
    if _has_people_of_platform(here):
        broadcasts = _broadcasts_by(user.pk).order_by("created", "pk")
        records = BroadcastRecord.objects.filter(actor_id=actor_id_of(user.pk)).order_by("pk")
        sections["broadcasts_sent"] = _each(broadcasts, lambda each: _publication(each) | {"author": each.author})
        sections["platform_audit_records"] = _each(records, _recorded)
    bound = {name: _only_in(here, rows) for name, rows in sections.items()}
    return {"schema": here, "exported_at": timezone.now(), "person": about, **bound}


def as_json(exported: Mapping[str, object]) -> Iterator[str]:
    """Yield the result of `export` as JSON in pieces, with one row in memory at a time."""
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
    """Write datetimes with a time zone, also without USE_TZ, because the file leaves this site."""

    def default(self, value: object) -> object:
        if isinstance(value, datetime) and timezone.is_naive(value):
            value = timezone.make_aware(value, timezone.get_default_timezone())
        return super().default(value)


def _json(value: object) -> str:
    return json.dumps(value, cls=_Encoder, ensure_ascii=False)


def _only_in(schema: str, rows: Iterable[Values]) -> Iterator[Values]:
    """Yield lazy rows, and raise WrongTenant if they are read in another schema."""
    if current_schema() != schema:
        raise WrongTenant(f"This export was made in the schema {schema!r} and cannot be read in {current_schema()!r}.")
    yield from rows


def _tenant_sections(user: AbstractBaseUser) -> Sections:
    messages = Message.objects.order_by("pk").select_related("user", "sender")
    announcements = Announcement.objects.order_by("created", "pk").prefetch_related("groups")
    return {
        "messages_received": _each(
            messages.filter(user_id=user.pk),
            lambda each: _message(each) | {"sender": _name(each.sender), "read_at": each.read_at, **_marks(each)},
        ),
        # Without read_at and the other marks, which are personal data of the reader.
        "messages_sent": _each(
            messages.filter(sender_id=user.pk), lambda each: _message(each) | {"recipient": _name(each.user)}
        ),
        "announcements_sent": _each(
            announcements.filter(sender_id=user.pk),
            lambda each: (
                _publication(each) | {"audience": each.audience, "groups": [group.name for group in each.groups.all()]}
            ),
        ),
        "read": _read(user.pk),
        # The grants of the user's groups are not included.
        "grants": (
            {"permission": str(right), "on": key}
            for right in ((send_message(), send_group_message()) if apps.is_installed("guardian") else ())
            for key in by_user(user, right).order_by("pk").values_list("object_pk", flat=True)
        ),
        "audit_records": _each(AuditRecord.objects.filter(actor_id=actor_id_of(user.pk)).order_by("pk"), _recorded),
    }


def _each(rows: QuerySet[Row], describe: Callable[[Row], Values]) -> Iterator[Values]:
    return (describe(row) for row in rows.iterator(chunk_size=CHUNK_SIZE))


def _message(message: Message) -> Values:
    times = {"created": message.created, "publish_at": message.publish_at, "expires": message.expires}
    # The sender is null after deletion; from_person tells such a message from one of the application.
    return {"id": message.pk, **_text(message), **times, "from_person": message.from_person}


def _publication(publication: Publication) -> Values:
    times = ("created", "publish_at", "expires", "retracted_at")
    return {"id": publication.pk, **_text(publication)} | {name: getattr(publication, name) for name in times}


def _text(content: Content) -> Values:
    names = ("level", "params", "url", "url_label", "extra_tags", "key", "display", "category", "group")
    return {"title": content.heading, "text": content.body, **{name: getattr(content, name) for name in names}}


def _marks(row: Message | Receipt) -> Values:
    return {name: getattr(row, name) for name in MARKS}


def _name(person: object) -> str | None:
    return None if person is None else str(person)


def _read(pk: Any) -> Iterator[Values]:
    """Yield the receipts, each with its publication if that still exists."""
    receipts = Receipt.objects.filter(user_id=pk)
    chosen = receipts.values("publication_id")
    found = {each.pk: each for model in (Announcement, Broadcast) for each in model.objects.filter(pk__in=chosen)}
    for receipt in receipts.order_by("pk").iterator(chunk_size=CHUNK_SIZE):
        publication = found.get(receipt.publication_id)
        yield {
            "id": receipt.publication_id,
            "kind": publication and publication.kind,
            "text": publication and str(publication),
            "revision": receipt.revision,
            "read_at": receipt.read_at,
            **_marks(receipt),
        }


def _recorded(event: BaseAuditRecord) -> Values:
    names = ("recorded_at", "action", "subject", "audience", "count", "text")
    return {name: getattr(event, name) for name in names}


# Erasing ------------------------------------------------------------------------------------------------------------


def erase(user: AbstractBaseUser, *, by: AbstractBaseUser | None = None, dry_run: bool = False) -> Counter[str]:
    """Erase the personal data of `user` in the current schema, except the account; return the row counts by kind.

    Messages to the user and receipts are deleted. Messages from the user are kept without a sender, and audit records
    without a name. It runs in one transaction and is recorded with the primary key only. `by` is the user who requests
    it. Raises WrongTenant for users of another tenant.
    """
    _require_here(user, by)
    return _erase(user.pk, by, dry_run=dry_run)


def erase_deleted(pk: Any, *, by: AbstractBaseUser | None = None, dry_run: bool = False) -> Counter[str]:
    """Erase the personal data of a user whose account was deleted, such as the name in audit records.

    Raises ValueError if a user with this primary key exists.
    """
    _require_here(by)
    if using_primary(get_user_model()._base_manager.filter(pk=pk)).exists():
        raise ValueError(f"A user with the id {pk} exists: pass the login name.")
    return _erase(pk, by, dry_run=dry_run)


@dataclass(frozen=True)
class PersonalRows:
    """Rows with personal data, and the values to set in them; None to delete them."""

    kind: str
    rows: Rows
    change: Mapping[str, object] | None = None

    def erase(self) -> int:
        if self.change is not None:
            return self.rows.update(**self.change)
        return delete(self.rows)


@dataclass(frozen=True)
class DataScope:
    """A schema with personal data of a user: its audit log and its rows."""

    schema: str
    records: type[BaseAuditRecord]
    personal_rows: tuple[PersonalRows, ...]

    def log_event(self, action: Action, subject: str, by: AbstractBaseUser | None, count: int | None = None) -> None:
        with in_schema(self.schema):
            log_event(action, actor=by, subject=subject, count=count, into=self.records)

    def erase(self) -> Counter[str]:
        with in_schema(self.schema):
            return Counter({each.kind: each.erase() for each in self.personal_rows})

    def count(self) -> Counter[str]:
        with in_schema(self.schema):
            return Counter({each.kind: using_primary(each.rows).count() for each in self.personal_rows})


def _erase(pk: Any, by: AbstractBaseUser | None, *, dry_run: bool) -> Counter[str]:
    erased: Counter[str] = Counter()
    with atomic():
        for scope in _scopes(pk):
            found = scope.count()
            if not dry_run:
                # Before erasing: the record may name the erased user, who requested it.
                scope.log_event(Action.ERASE, f"user {pk}", by, found.total())
                with erasing_names():
                    found = scope.erase()
            erased += found
    return erased


def _scopes(pk: Any) -> Iterator[DataScope]:
    here = current_schema()
    if has_messages(here):
        rows = (
            PersonalRows("messages received", Message.objects.filter(user_id=pk)),
            PersonalRows("receipts", Receipt.objects.filter(user_id=pk)),
            PersonalRows("messages sent", Message.objects.filter(sender_id=pk).exclude(user_id=pk), {"sender": None}),
            PersonalRows("announcements", Announcement.objects.filter(sender_id=pk), {"sender": None}),
            PersonalRows("records", _named(AuditRecord.objects.filter(actor_id=actor_id_of(pk))), {"actor_name": ""}),
        )
        yield DataScope(here, AuditRecord, rows)
    if _has_people_of_platform(here):
        broadcasts = _broadcasts_by(pk, actor_name=OuterRef("author")).exclude(author="")
        records = _named(BroadcastRecord.objects.filter(actor_id=actor_id_of(pk)))
        # The broadcasts first: they are found by the records.
        of_platform = (
            PersonalRows("broadcasts", broadcasts, {"author": ""}),
            PersonalRows("records of the platform", records, {"actor_name": ""}),
        )
        yield DataScope(get_public_schema_name(), BroadcastRecord, of_platform)
    elif not has_messages(here):
        raise NoTenant(f"The users of the schema {here} have no messages: run it inside a tenant.")


def _has_people_of_platform(schema: str) -> bool:
    """Tell whether the users of `schema` are those whose keys the platform's audit log contains."""
    return schema == settings.platform_schema or (is_public(schema) and users_are_shared())


def _named(records: Rows) -> Rows:
    return records.exclude(actor_name="")


def _broadcasts_by(pk: Any, **recorded: OuterRef) -> QuerySet[Broadcast]:
    """Return the broadcasts that a user published according to the audit log."""
    events = BroadcastRecord.objects.filter(actor_id=actor_id_of(pk), action=Action.BROADCAST, **recorded)
    subject = Concat(Value("broadcast "), Cast("pk", TextField()))
    return Broadcast.objects.alias(subject=subject).filter(Exists(events.filter(subject=OuterRef("subject"))))


def _require_here(*people: AbstractBaseUser | None) -> None:
    for person in people:
        check_tenant(person)
