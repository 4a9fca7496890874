"""How many have read a broadcast, gathered from all organisations."""

from collections.abc import Callable
from io import StringIO
from itertools import count
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends.api import ALL_TENANTS, broadcast, inbox, retract, revise
from messages_extends.broadcasts.models import Broadcast, BroadcastCount
from messages_extends.inbox import broadcast_counts
from messages_extends.inbox.broadcast_counts import Progress, count_readers, progress_of
from tenants.models import Tenant
from tests.conftest import SCHEMAS
from tests.factories import MakeUser

TENANTS = len(SCHEMAS)


@pytest.fixture
def people(database: None, make_user: MakeUser) -> dict[str, list[Any]]:
    """Three people in each organisation, one of them inactive."""
    made = {}
    for schema in SCHEMAS:
        with schema_context(schema):
            made[schema] = [make_user("alice"), make_user("bob"), make_user("gone", is_active=False)]
    return made


@pytest.fixture
def written(people: Any) -> Broadcast:
    return broadcast("Hello", to=ALL_TENANTS)


def read(written: Broadcast, schema: str, *readers: Any) -> None:
    with schema_context(schema):
        for reader in readers:
            assert inbox(reader).mark_read(str(written.reference))


def counts() -> dict[str, tuple[int | None, int | None]]:
    rows = BroadcastCount.objects.values_list("schema_name", "readers", "people")
    return {schema: (readers, people) for schema, readers, people in rows}


def ticking() -> Callable[[], float]:
    """A clock on which every look takes a second: one organisation a call that has less."""
    ticks = count()
    return lambda: float(next(ticks))


def one_more(written: Broadcast) -> Progress:
    return count_readers(written, seconds=0.5, clock=ticking())


def add_tenant(schema: str) -> Any:
    """Add an organisation whose schema was not made yet."""
    return get_tenant_model().objects.create(schema_name=schema, name=schema)


class TestCounting:
    def test_count_readers_counts_readers_of_every_tenant(self, written: Broadcast, people: Any) -> None:
        read(written, "acme", *people["acme"][:2])
        read(written, "globex", people["globex"][0])
        before = timezone.now()
        progress = count_readers(written)
        assert counts() == {"acme": (2, 2), "globex": (1, 2), "platform": (0, 2)}
        assert (progress.done, progress.total, progress.readers, progress.people) == (TENANTS, TENANTS, 3, 6)
        assert progress.is_complete
        assert progress.since is not None
        assert before <= progress.since <= timezone.now()

    def test_count_readers_excludes_inactive_users(self, written: Broadcast, people: Any) -> None:
        read(written, "acme", *people["acme"][:2])
        with schema_context("acme"):
            type(people["acme"][0]).objects.filter(pk=people["acme"][0].pk).update(is_active=False)
        count_readers(written)
        assert counts()["acme"] == (1, 1)

    def test_count_readers_ignores_readers_of_other_broadcast(self, written: Broadcast, people: Any) -> None:
        read(broadcast("Another", to=ALL_TENANTS), "acme", people["acme"][0])
        count_readers(written)
        assert counts()["acme"] == (0, 2)

    def test_count_readers_counts_only_selected_tenants(self, people: Any, acme: Tenant) -> None:
        progress = count_readers(broadcast("Hello", to=acme))
        assert (progress.done, progress.total, list(counts())) == (1, 1, ["acme"])

    def test_count_readers_with_members_by_join_counts_each_user_once(
        self, written: Broadcast, people: Any, settings: Any
    ) -> None:
        alice = people["acme"][0]
        settings.MESSAGES_EXTENDS = {"MEMBERS": lambda: type(alice).objects.filter(groups__isnull=False)}
        with schema_context("acme"):
            alice.groups.set([Group.objects.create(name=name) for name in ("Sales", "Support")])
        read(written, "acme", alice)
        count_readers(written)
        assert counts()["acme"] == (1, 1)

    def test_broadcast_count_has_no_field_for_reader(self) -> None:
        names = {field.name for field in BroadcastCount._meta.get_fields()}
        assert names == {"id", "broadcast", "schema_name", "revision", "readers", "people", "counted_at"}

    def test_count_readers_after_show_again_starts_from_zero(self, written: Broadcast, people: Any) -> None:
        read(written, "acme", people["acme"][0])
        count_readers(written)
        revised = revise(written, show_again=True)
        for each in (written, revised):
            assert (progress_of(each).done, progress_of(each).readers) == (0, 0)
        read(revised, "acme", people["acme"][1])
        assert count_readers(written).readers == 1
        assert counts()["acme"] == (1, 2)

    def test_count_readers_in_platform_schema_keeps_current_schema(self, written: Broadcast) -> None:
        with schema_context("platform"):
            assert count_readers(written).is_complete
            assert connection.schema_name == "platform"

    def test_count_readers_accepts_retracted_and_refuses_deleted_broadcast(self, written: Broadcast) -> None:
        assert count_readers(retract(written)).is_complete
        Broadcast.objects.all().delete()
        with pytest.raises(Broadcast.DoesNotExist):
            count_readers(written)


class TestTime:
    def test_count_readers_with_time_limit_counts_at_least_one_tenant(self, written: Broadcast) -> None:
        assert [one_more(written).done for _ in SCHEMAS] == [1, 2, 3]
        assert count_readers(written, seconds=1.5, clock=ticking()).done == TENANTS

    def test_count_readers_continues_with_uncounted_tenants(self, written: Broadcast) -> None:
        seen = []
        for _ in SCHEMAS:
            one_more(written)
            seen.append(BroadcastCount.objects.latest("counted_at").schema_name)
        assert sorted(seen) == sorted(SCHEMAS)

    def test_count_readers_recounts_oldest_count_first(self, written: Broadcast, people: Any) -> None:
        count_readers(written)
        order = list(BroadcastCount.objects.order_by("counted_at").values_list("schema_name", flat=True))
        for schema in SCHEMAS:
            read(written, schema, people[schema][0])
        one_more(written)
        assert {schema for schema, (readers, _people) in counts().items() if readers} == {order[0]}

    def test_count_readers_after_interruption_keeps_counted_tenants(
        self, written: Broadcast, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = count(1)
        counted = broadcast_counts._count_in

        def interrupted(*args: Any) -> Any:
            if next(begun) == 2:
                raise KeyboardInterrupt
            return counted(*args)

        monkeypatch.setattr(broadcast_counts, "_count_in", interrupted)
        with pytest.raises(KeyboardInterrupt):
            count_readers(written)
        assert (progress_of(written).done, connection.schema_name) == (1, "public")
        assert count_readers(written, seconds=60).is_complete

    def test_count_readers_takes_two_queries_per_tenant(self, written: Broadcast, acme: Tenant) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                count_readers(written)
            ignored = ("SET", "SAVEPOINT", "RELEASE")
            return len([query for query in captured if not query["sql"].startswith(ignored)])

        assert queries() == 4 + 2 * TENANTS


class TestConcurrentChanges:
    def test_count_readers_counts_new_tenant_next(self, written: Broadcast) -> None:
        count_readers(written)
        add_tenant("newcomer")
        assert not progress_of(written).is_complete
        one_more(written)
        assert "newcomer" in counts()

    def test_progress_of_excludes_deleted_tenant(self, written: Broadcast, people: Any) -> None:
        read(written, "acme", people["acme"][0])
        add_tenant("leaver")
        BroadcastCount.objects.create(
            broadcast=written, schema_name="leaver", revision=1, readers=5, people=5, counted_at=timezone.now()
        )
        assert count_readers(written).people == 2 * TENANTS
        get_tenant_model().objects.filter(schema_name="leaver").delete()
        progress = progress_of(written)
        assert (progress.total, progress.done, progress.readers) == (TENANTS, TENANTS, 1)

    def test_count_readers_skips_tenant_dropped_while_counting(
        self, written: Broadcast, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(broadcast_counts, "_oldest_first", lambda _: ["just_dropped", *SCHEMAS])
        progress = count_readers(written)
        assert (progress.done, progress.failed) == (TENANTS, [])

    @pytest.mark.parametrize("table", ["messages_extends_receipt", "people_user"])
    def test_count_readers_reports_broken_tenant_and_counts_others(
        self, written: Broadcast, table: str, caplog: Any
    ) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE acme.{table} RENAME TO broken")
        progress = count_readers(written)
        assert (progress.done, progress.failed, progress.people) == (TENANTS, ["acme"], 4)
        assert counts()["acme"] == (None, None)
        assert str(BroadcastCount.objects.get(schema_name="acme")) == "acme: ?"
        assert "acme could not be counted" in caplog.text

    def test_count_readers_with_lost_connection_raises_operational_error(
        self, written: Broadcast, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lose(_people: Any) -> Any:
            raise OperationalError

        monkeypatch.setattr(broadcast_counts, "count", lose)
        monkeypatch.setattr(connection, "is_usable", lambda: False)
        with pytest.raises(OperationalError):
            count_readers(written)
        assert counts() == {}

    def test_count_readers_ignores_tenant_row_of_public_schema(self, written: Broadcast) -> None:
        add_tenant("public")
        progress = count_readers(written)
        assert (progress.total, progress.failed) == (TENANTS, [])

    def test_count_readers_counts_suspended_tenant(self, written: Broadcast, acme: Tenant) -> None:
        get_tenant_model().objects.filter(pk=acme.pk).update(suspended_at=timezone.now())
        assert count_readers(written).people == 2 * TENANTS

    def test_count_readers_skips_tenant_with_locked_table(self, committing: None, acme: Tenant, globex: Tenant) -> None:
        written = broadcast("Hello", to=[acme, globex])
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
            other.execute("LOCK TABLE acme.messages_extends_receipt")
            progress = count_readers(written)
        assert (progress.failed, progress.done) == (["acme"], 2)


class TestPermissions:
    def test_count_readers_and_progress_of_refuse_tenant_viewers(self, written: Broadcast, make_user: MakeUser) -> None:
        with schema_context("acme"):
            for viewer in (None, make_user("root", is_superuser=True)):
                for act in (count_readers, progress_of):
                    with pytest.raises(PermissionDenied):
                        act(written, viewer=viewer)
        assert counts() == {}

    def test_count_readers_requires_view_permission_of_platform_user(
        self, written: Broadcast, make_user: MakeUser
    ) -> None:
        with schema_context("platform"):
            with pytest.raises(PermissionDenied):
                count_readers(written, viewer=make_user("pat"))
            root = make_user("root", is_superuser=True)
            assert count_readers(written, viewer=root).is_complete
            assert progress_of(written, viewer=root).is_complete


class TestCommand:
    def run(self, *args: Any) -> tuple[str, str]:
        out, err = StringIO(), StringIO()
        call_command("count_broadcast_readers", *args, stdout=out, stderr=err, no_color=True)
        return out.getvalue(), err.getvalue()

    def test_count_broadcast_readers_command_counts_named_broadcast(self, written: Broadcast, people: Any) -> None:
        read(written, "acme", people["acme"][0])
        other = broadcast("Other", to=ALL_TENANTS)
        out, err = self.run(str(written.pk))
        assert "3 of 3 organisations" in out
        assert "1 of 6 people have read it." in out
        assert err == ""
        assert not BroadcastCount.objects.filter(broadcast=other).exists()

    def test_count_broadcast_readers_command_with_all_counts_live_broadcasts(self, written: Broadcast) -> None:
        retract(broadcast("Other", to=ALL_TENANTS))
        long = broadcast("x" * 100, to=ALL_TENANTS)
        out, _err = self.run("--all")
        assert f"{long.pk}: {'x' * 59}…" in out
        assert set(BroadcastCount.objects.values_list("broadcast_id", flat=True)) == {written.pk, long.pk}

    def test_count_broadcast_readers_command_counts_until_every_tenant_is_done(
        self, written: Broadcast, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        count_readers(written)
        command = "messages_extends.management.commands.count_broadcast_readers.count_readers"
        monkeypatch.setattr(command, one_more)
        started = timezone.now()
        self.run("--all")
        assert BroadcastCount.objects.filter(counted_at__gte=started).count() == TENANTS

    def test_count_broadcast_readers_command_names_failed_tenants(self, written: Broadcast) -> None:
        add_tenant("unmade")
        out, err = self.run("--all")
        assert "6 people" in out
        assert err.strip() == "Could not be counted: unmade"

    def test_count_broadcast_readers_command_without_tenants_ends(self, people: Any) -> None:
        gone = add_tenant("gone")
        written = broadcast("Hello", to=gone)
        get_tenant_model().objects.filter(pk=gone.pk).delete()
        assert "0 of 0 people" in self.run(str(written.pk))[0]

    def test_count_broadcast_readers_command_refuses_missing_broadcast(self, written: Broadcast) -> None:
        Broadcast.objects.all().delete()
        with pytest.raises(CommandError, match="There is no broadcast"):
            self.run(str(written.pk))
        with pytest.raises(CommandError, match="required"):
            self.run()
