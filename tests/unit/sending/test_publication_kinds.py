"""A kind of publication that only this file knows: what its model and its access rules supply is enough to write it."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection, models
from django.test.utils import isolate_apps

from messages_extends.access.publications import ACCESS, PublicationAccess, access_to
from messages_extends.api import retract, revise
from messages_extends.broadcasts.models import Broadcast
from messages_extends.constants import INFO_PERSISTENT
from messages_extends.models import Announcement, AuditRecord
from messages_extends.models.audit import Action
from messages_extends.models.publication import CurrentAudience, Publication, PublicationQuerySet, State
from messages_extends.sending.publications import publish, retract_all
from messages_extends.tenancy.schemas import current_schema

# What was called, in order, each with its arguments.
Calls = list[tuple[Any, ...]]


class NoticeAccess(PublicationAccess):
    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.forbidden = ""

    def check(self, *call: Any) -> None:
        self.calls.append(call)
        if call[0] == self.forbidden:
            raise PermissionDenied

    def require_may_write(self, sender: Any, action: str) -> None:
        self.check("write", action)

    def require_may_address(self, sender: Any, chosen: Any) -> None:
        self.check("address", chosen)

    def require_may_change(self, sender: Any, publication: Any) -> None:
        self.check("change", publication.pk)

    def audience_size(self, chosen: Any) -> int:
        return 100 if chosen is None else len(chosen)


@pytest.fixture
def calls() -> Calls:
    return []


@pytest.fixture
def notice(in_acme: Any, calls: Calls) -> Any:
    """Return a model of notices, which lie in the organisation's schema and are for everybody or for named floors."""
    with isolate_apps("messages_extends"):

        class Notice(Publication):
            kind = "notice"
            action = Action.ANNOUNCE
            records = AuditRecord
            for_everybody = "all"
            for_chosen = "floors"

            audience = models.CharField(max_length=10)
            author = models.CharField(max_length=20)
            floors = models.JSONField(default=list)

            objects = PublicationQuerySet.as_manager()

            class Meta(Publication.Meta):
                app_label = "messages_extends"

            @classmethod
            def storage_schema(cls) -> str:
                return current_schema()

            @classmethod
            def resolve_audience(cls, to: Any) -> Any:
                return None if to == "all" else list(to)

            def save_chosen(self, chosen: Any) -> None:
                self.floors = chosen
                self.save(update_fields=["floors"])

            def current_audience(self) -> CurrentAudience:
                label = "all" if self.is_for_everybody else ", ".join(self.floors)
                return CurrentAudience(label, lambda: calls.append(("notify", label)))

    with connection.schema_editor() as editor:
        editor.create_model(Notice)
    return Notice


@pytest.fixture
def access(notice: Any, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> NoticeAccess:
    access = NoticeAccess(calls)
    monkeypatch.setitem(ACCESS, notice, access)
    return access


def write(model: Any, *, to: Any = "all", author: str = "The porter", **options: Any) -> Any:
    options = {"publish_at": None, "expires": None, "must_acknowledge": False, "level": INFO_PERSISTENT} | options
    return publish(model, "Lift out of order", to=to, sender=None, signature={"author": author}, **options)


def test_publish_checks_saves_logs_and_notifies(notice: Any, access: NoticeAccess, calls: Calls) -> None:
    written = write(notice, to=["first", "second"])
    assert calls == [("write", "add"), ("address", ["first", "second"]), ("notify", "first, second")]
    saved = notice.objects.get()
    assert saved == written
    assert (saved.audience, saved.audience_size, saved.floors) == ("floors", 2, ["first", "second"])
    record = AuditRecord.objects.get()
    assert (record.action, record.subject, record.audience, record.count) == (
        "announce",
        f"notice {written.pk}",
        "first, second",
        2,
    )


def test_publish_to_everybody_saves_no_chosen_rows(notice: Any, access: NoticeAccess) -> None:
    written = write(notice)
    assert (written.audience, written.audience_size, written.floors) == ("all", 100, [])


def test_publish_with_key_in_use_returns_existing_publication(notice: Any, access: NoticeAccess, calls: Calls) -> None:
    first = write(notice, key="lift")
    calls.clear()
    assert write(notice, key="lift") == first
    assert not [call for call in calls if call[0] == "notify"]


def test_publish_refuses_too_long_signature(notice: Any, access: NoticeAccess) -> None:
    with pytest.raises(ValueError, match="author has 21 characters; at most 20 are allowed"):
        write(notice, author="x" * 21)


def test_revise_and_retract_check_log_and_notify(notice: Any, access: NoticeAccess, calls: Calls) -> None:
    written = write(notice)
    calls.clear()
    assert revise(written, message="Lift repaired").message == "Lift repaired"
    assert retract(written).state() is State.RETRACTED
    asked = [("write", "change"), ("change", written.pk), ("notify", "all")]
    assert calls == asked * 2
    assert list(AuditRecord.objects.order_by("pk").values_list("action", "text")) == [
        ("announce", "Lift out of order"),
        ("revise", "Lift repaired"),
        ("retract", ""),
    ]


def test_retract_all_skips_ended_publications(notice: Any, access: NoticeAccess, calls: Calls) -> None:
    retract(write(notice))
    write(notice)
    calls.clear()
    assert retract_all(notice.objects.all()) == 1
    assert calls == [("write", "change"), ("notify", "all")]


@pytest.mark.parametrize("forbidden", ["write", "address"])
def test_publish_writes_nothing_when_access_check_refuses(notice: Any, access: NoticeAccess, forbidden: str) -> None:
    access.forbidden = forbidden
    with pytest.raises(PermissionDenied):
        write(notice)
    assert (notice.objects.count(), AuditRecord.objects.count()) == (0, 0)


@pytest.mark.parametrize("forbidden", ["write", "change"])
@pytest.mark.parametrize("act", [revise, retract])
def test_revise_and_retract_change_nothing_when_access_check_refuses(
    notice: Any, access: NoticeAccess, act: Any, forbidden: str
) -> None:
    written = write(notice)
    access.forbidden = forbidden
    with pytest.raises(PermissionDenied):
        act(written)
    assert notice.objects.get().state() is State.LIVE
    assert AuditRecord.objects.count() == 1


def test_access_is_registered_for_every_kind() -> None:
    assert set(ACCESS) == {Announcement, Broadcast}
    for model, access in ACCESS.items():
        assert access_to(model) is access


def test_access_to_subclass_returns_access_of_base_model() -> None:
    meta = type("Meta", (), {"abstract": True})
    subclass: Any = type("Subclass", (Announcement,), {"__module__": __name__, "Meta": meta})
    assert access_to(subclass) is ACCESS[Announcement]


def test_access_to_unregistered_model_raises_type_error() -> None:
    with pytest.raises(TypeError, match="Publication has no access rules"):
        access_to(Publication)  # type: ignore[type-abstract]


@pytest.mark.parametrize("act", [revise, retract])
def test_revise_and_retract_refuse_objects_other_than_publications(act: Any) -> None:
    with pytest.raises(TypeError, match="pass an announcement or a broadcast"):
        act("news")
