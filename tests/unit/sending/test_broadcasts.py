"""Broadcasts: one row that reaches every organisation, which only the platform can write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.db import ProgrammingError, connection, transaction
from django.db.models import Exists, OuterRef
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tenants.utils import get_tenant_domain_model, get_tenant_model, schema_context
from pytest_django import DjangoDbBlocker

from messages_extends import constants
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, retract, revise, send
from messages_extends.broadcasts.models import Broadcast, BroadcastCount, BroadcastRecord, BroadcastTenant
from messages_extends.exceptions import NotPublished
from messages_extends.models import Message, Receipt
from messages_extends.models.publication import DEFAULT_LIFETIME, State
from tenants.models import Tenant
from tests.databases import name_here
from tests.documentation import DOCS, blocks_of
from tests.factories import BrowserOf, MakeUser

TABLES = (
    "broadcasts_broadcast",
    "broadcasts_broadcasttenant",
    "broadcasts_broadcastcount",
    "broadcasts_broadcastrecord",
)
AJAX = {"X-Requested-With": "XMLHttpRequest"}


@pytest.fixture
def grace(globex: Tenant, make_user: MakeUser) -> Any:
    with schema_context("globex"):
        return make_user("grace")


def texts(user: Any, schema: str) -> list[str]:
    """Return what `user` has unread now, as their next page would show it."""
    with schema_context(schema):
        return [str(entry) for entry in inbox(user).banners()]


def grant(user: Any, codename: str) -> None:
    user.user_permissions.add(Permission.objects.get(codename=codename, content_type__app_label="broadcasts"))


def rows() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in (Broadcast, BroadcastTenant, BroadcastRecord)}


class TestBroadcast:
    @pytest.mark.parametrize("schema", ["public", "platform"])
    def test_broadcast_from_public_or_platform_schema_reaches_every_tenant(
        self, alice: Any, grace: Any, operator: Any, schema: str
    ) -> None:
        with schema_context(schema):
            written = broadcast("Maintenance at 5", to=ALL_TENANTS, url="https://status.example/")
        assert Broadcast.objects.get() == written
        assert texts(alice, "acme") == texts(grace, "globex") == texts(operator, "platform") == ["Maintenance at 5"]

    def test_broadcast_without_options_uses_defaults(self, acme: Tenant) -> None:
        written = broadcast("Hello", to=ALL_TENANTS)
        assert (written.author, written.level, written.audience) == ("", constants.INFO_PERSISTENT, "all")
        assert written.expires == written.publish_at + DEFAULT_LIFETIME
        organisations = get_tenant_model().objects.exclude(schema_name="public").count()
        assert written.audience_size == organisations >= 3

    def test_broadcast_author_defaults_to_sender(self, operator: Any) -> None:
        with schema_context("platform"):
            assert broadcast("Hello", to=ALL_TENANTS, sender=operator).author == "olga"
            assert broadcast("Hello", to=ALL_TENANTS, sender=operator, author="Support").author == "Support"

    def test_inbox_page_shows_broadcast_author(self, alice: Any) -> None:
        broadcast("Hello", to=ALL_TENANTS, author="Support")
        with schema_context("acme"):
            [entry] = inbox(alice).page().entries
        assert (entry.kind, entry.author, entry.sender) == ("broadcast", "Support", "Support")

    def test_broadcast_to_selected_tenants_reaches_only_those_tenants(
        self, alice: Any, grace: Any, acme: Tenant
    ) -> None:
        for to in (acme, [acme, acme], get_tenant_model().objects.filter(schema_name="acme")):
            assert broadcast("To acme", to=to).audience_size == 1
        assert texts(alice, "acme") == ["To acme"] * 3
        assert texts(grace, "globex") == []

    def test_broadcast_reaches_nobody_after_last_selected_tenant_is_deleted(self, alice: Any) -> None:
        model = get_tenant_model()
        gone = model.objects.create(schema_name="gone", name="Gone")
        written = broadcast("To the one that is gone", to=gone)
        model.objects.filter(pk=gone.pk).delete()
        assert not BroadcastTenant.objects.exists()
        assert (Broadcast.objects.get().audience, texts(alice, "acme")) == ("selected", [])
        assert Broadcast.objects.get() == written

    def test_addressed_to_for_later_tenant_excludes_selected_broadcasts(self, acme: Tenant) -> None:
        broadcast("To all", to=ALL_TENANTS)
        broadcast("To acme", to=acme)
        assert [str(each) for each in Broadcast.objects.addressed_to("made_later")] == ["To all"]

    def test_broadcast_with_future_publish_at_appears_when_due(self, alice: Any) -> None:
        written = broadcast("Soon", to=ALL_TENANTS, publish_at=timezone.now() + timedelta(hours=1))
        assert (texts(alice, "acme"), written.state()) == ([], State.SCHEDULED)
        Broadcast.objects.update(publish_at=timezone.now())
        assert texts(alice, "acme") == ["Soon"]

    @pytest.mark.parametrize("to", [[], ()])
    def test_broadcast_refuses_empty_audience(self, acme: Tenant, to: Any) -> None:
        with pytest.raises(ValueError, match="to is empty, which would reach nobody: name tenants, or ALL_TENANTS"):
            broadcast("Hello", to=to)
        with pytest.raises(ValueError, match="to is empty"):
            broadcast("Hello", to=get_tenant_model().objects.none())

    @pytest.mark.parametrize("to", [None, "acme", ["acme"], 1, EVERYONE, [ALL_TENANTS]])
    def test_broadcast_refuses_audience_other_than_tenants(self, acme: Tenant, to: Any) -> None:
        with pytest.raises(TypeError, match="use ALL_TENANTS, a tenant, or tenants"):
            broadcast("Hello", to=to)

    def test_broadcast_refuses_unsaved_tenant(self, acme: Tenant, alice: Any) -> None:
        for to in (get_tenant_model()(schema_name="new"), [acme, alice]):
            with pytest.raises(TypeError, match="tenants that are saved"):
                broadcast("Hello", to=to)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"author": "x" * 201}, "author has 201 characters; at most 200"),
            ({"author": "\0"}, "author contains a NUL"),
            ({"url": "javascript:"}, "is not allowed"),
            ({"extra_tags": "x" * 129}, "at most 128"),
            ({"level": constants.INFO}, r"level INFO \(20\) is not persistent"),
        ],
    )
    def test_broadcast_with_invalid_options_writes_nothing(
        self, acme: Tenant, options: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ValueError, match=words):
            broadcast("Hello", to=ALL_TENANTS, **options)
        with pytest.raises(TypeError, match="must_acknowledge is 1"):
            broadcast("Hello", to=ALL_TENANTS, must_acknowledge=1)
        assert set(rows().values()) == {0}

    def test_broadcast_with_key_in_use_returns_existing_until_retracted(self, alice: Any, acme: Tenant) -> None:
        first = broadcast("One", to=acme, key="maintenance")
        before = rows()
        assert broadcast("Two", to=ALL_TENANTS, key="maintenance") == first
        assert rows() == before
        retract(first)
        assert broadcast("Two", to=ALL_TENANTS, key="maintenance") != first
        assert texts(alice, "acme") == ["Two"]

    def test_broadcast_revise_and_retract_write_broadcast_records(
        self, operator: Any, acme: Tenant, globex: Tenant
    ) -> None:
        with schema_context("platform"):
            written = broadcast("Hello", to=[globex, acme], sender=operator)
            retract(revise(written, message="Hello again", sender=operator), sender=operator)
        records = BroadcastRecord.objects.order_by("id")
        assert list(records.values_list("action", "text", "audience", "count", "actor_name")) == [
            ("broadcast", "Hello", "acme, globex", 2, "olga"),
            ("revise", "Hello again", "acme, globex", None, "olga"),
            ("retract", "", "acme, globex", None, "olga"),
        ]
        assert set(records.values_list("subject", "actor_id")) == {(f"broadcast {written.pk}", str(operator.pk))}


class TestReading:
    def test_mark_read_in_one_tenant_leaves_broadcast_unread_in_others(self, alice: Any, make_user: MakeUser) -> None:
        with schema_context("globex"):
            twin = make_user("alice", pk=alice.pk)
        written = broadcast("Hello", to=ALL_TENANTS)
        with schema_context("acme"):
            assert inbox(alice).mark_read(str(written.reference))
        assert (texts(alice, "acme"), texts(twin, "globex")) == ([], ["Hello"])

    def test_revise_and_retract_of_broadcast_apply_at_once_in_every_tenant(self, alice: Any, grace: Any) -> None:
        written = broadcast("At 5", to=ALL_TENANTS)
        with schema_context("acme"):
            inbox(alice).mark_read(str(written.reference))
        revise(written, message="At 6")
        assert (texts(alice, "acme"), texts(grace, "globex")) == ([], ["At 6"])
        revise(written, message="At 7", show_again=True)
        assert (texts(alice, "acme"), texts(grace, "globex")) == (["At 7"], ["At 7"])
        retract(written)
        assert (texts(alice, "acme"), texts(grace, "globex")) == ([], [])
        with pytest.raises(NotPublished):
            revise(written, message="At 8")

    def test_mark_read_of_broadcast_to_acknowledge_returns_409(
        self, alice: Any, acme: Tenant, browser_of: BrowserOf
    ) -> None:
        written = broadcast("The new terms", to=ALL_TENANTS, must_acknowledge=True)
        browser: Client = browser_of(acme, alice)
        assert browser.post(f"/messages/mark_read/{written.reference}/", headers=AJAX).status_code == 409
        assert texts(alice, "acme") == ["The new terms"]
        assert browser.post(f"/messages/acknowledge/{written.reference}/", headers=AJAX).status_code == 200
        assert texts(alice, "acme") == []

    def test_mark_read_of_broadcast_for_other_tenant_returns_404(
        self, alice: Any, acme: Tenant, globex: Tenant, browser_of: BrowserOf
    ) -> None:
        written = broadcast("To globex", to=globex)
        browser: Client = browser_of(acme, alice)
        for verb in ("mark_read", "acknowledge"):
            assert browser.post(f"/messages/{verb}/{written.reference}/", headers=AJAX).status_code == 404
        with schema_context("acme"):
            assert not Receipt.objects.exists()


class TestWhoMay:
    """Only the platform, whatever permissions exist elsewhere."""

    @pytest.fixture
    def written(self, acme: Tenant) -> Any:
        return broadcast("Hello", to=ALL_TENANTS)

    def refused(self, written: Any, sender: Any) -> None:
        before = rows()
        for act in (
            lambda: broadcast("Mine", to=ALL_TENANTS, sender=sender),
            lambda: revise(written, message="Mine", sender=sender),
            lambda: retract(written, sender=sender),
        ):
            with pytest.raises(PermissionDenied):
                act()
        assert rows() == before
        assert str(Broadcast.objects.get()) == "Hello"

    def test_broadcast_refuses_code_in_tenant_schema(self, written: Any) -> None:
        with schema_context("acme"):
            self.refused(written, None)

    def test_broadcast_refuses_tenant_superuser(self, written: Any, make_user: MakeUser) -> None:
        with schema_context("acme"):
            self.refused(written, make_user("root", is_superuser=True))

    def test_broadcast_refuses_tenant_user_with_broadcast_permissions(self, written: Any, alice: Any) -> None:
        with schema_context("acme"):
            for codename in ("add_broadcast", "change_broadcast"):
                grant(alice, codename)
            assert alice.has_perm("broadcasts.add_broadcast"), "the premise"
            self.refused(written, alice)

    def test_broadcast_refuses_tenant_superuser_with_primary_key_of_operator(
        self, written: Any, operator: Any, make_user: MakeUser
    ) -> None:
        with schema_context("acme"):
            root = make_user("root", is_superuser=True, pk=operator.pk)
        for schema in ("public", "platform"):
            with schema_context(schema), pytest.raises((PermissionDenied, ValueError)):
                broadcast("Mine", to=ALL_TENANTS, sender=root)
        assert Broadcast.objects.count() == 1

    def test_broadcast_refuses_platform_user_without_permission(self, written: Any, make_user: MakeUser) -> None:
        with schema_context("platform"):
            self.refused(written, make_user("pat"))

    def test_broadcast_and_revise_require_separate_permissions(self, written: Any, make_user: MakeUser) -> None:
        with schema_context("platform"):
            writer, editor = make_user("writer"), make_user("editor")
            grant(writer, "add_broadcast")
            grant(editor, "change_broadcast")
            broadcast("Hello", to=ALL_TENANTS, sender=writer)
            with pytest.raises(PermissionDenied):
                revise(written, message="Mine", sender=writer)
            revise(written, message="Better", sender=editor)
            with pytest.raises(PermissionDenied):
                broadcast("Hello", to=ALL_TENANTS, sender=editor)

    def test_broadcast_without_platform_schema_is_allowed_only_in_public(
        self, written: Any, settings: Any, operator: Any
    ) -> None:
        settings.MESSAGES_EXTENDS = {}
        with schema_context("platform"):
            self.refused(written, None)
            self.refused(written, operator)
        assert broadcast("Hello", to=ALL_TENANTS)


def sql(statement: str) -> Callable[[Any], Any]:
    def act(_written: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    return act


def tenant(schema: str = "acme") -> Any:
    return get_tenant_model().objects.get(schema_name=schema)


def _save(written: Any) -> None:
    written.message = "Mine"
    written.save()


def _new() -> Broadcast:
    return Broadcast(level=19, message="Mine", audience="all", expires=timezone.now() + DEFAULT_LIFETIME)


WRITES: dict[str, Callable[[Any], Any]] = {
    "saving a new one": lambda _: _new().save(),
    "saving one that is there": _save,
    "creating": lambda _: Broadcast.objects.create(
        level=19, message="Mine", audience="all", expires=timezone.now() + DEFAULT_LIFETIME
    ),
    "creating in bulk": lambda _: Broadcast.objects.bulk_create([_new()]),
    "updating": lambda _: Broadcast.objects.update(message="Mine"),
    "updating none": lambda _: Broadcast.objects.filter(message="no such").update(message="Mine"),
    "deleting": lambda written: written.delete(),
    "deleting a queryset": lambda _: Broadcast.objects.all().delete(),
    "choosing an organisation": lambda written: written.tenants.add(tenant("globex")),
    "choosing others": lambda written: written.tenants.set([]),
    "adding a relation": lambda written: BroadcastTenant.objects.create(broadcast=written, tenant=tenant("globex")),
    "deleting relations": lambda _: BroadcastTenant.objects.all().delete(),
    "writing a count": lambda written: BroadcastCount.objects.create(
        broadcast=written, schema_name="acme", revision=1, readers=0, people=0, counted_at=timezone.now()
    ),
    "writing a record": lambda _: BroadcastRecord.objects.create(action="broadcast", subject="Mine"),
    # What foreign keys have put off is checked first: PostgreSQL empties no table that has that pending.
    **{f"emptying {table}": sql(f"SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE public.{table} CASCADE") for table in TABLES},
    "inserting by SQL": sql("INSERT INTO public.broadcasts_broadcast SELECT * FROM public.broadcasts_broadcast"),
    "updating by SQL": sql("UPDATE public.broadcasts_broadcast SET message = 'Mine'"),
    "deleting by SQL": sql("DELETE FROM public.broadcasts_broadcasttenant"),
}


class TestGuards:
    """The database refuses what does not come from public, whichever door it comes through."""

    @pytest.fixture
    def written(self, acme: Tenant) -> Any:
        return broadcast("Hello", to=acme)

    @pytest.mark.parametrize("schema", ["acme", "platform"])
    @pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
    def test_broadcast_tables_refuse_writes_from_tenant_schema(
        self, written: Any, alice: Any, write: Callable[[Any], Any], schema: str
    ) -> None:
        before = rows()
        with (
            schema_context(schema),
            pytest.raises(ProgrammingError, match=rf"Only the platform writes to broadcasts_\w+, .* schema {schema}"),
            transaction.atomic(),
        ):
            write(written)
        assert (rows(), texts(alice, "acme")) == (before, ["Hello"])

    def test_broadcast_tables_accept_writes_from_public_schema(self, written: Any) -> None:
        """The premise of the test above: what refuses them there is the guard."""
        for name in ("saving a new one", "updating", "choosing an organisation", "writing a count", "deleting"):
            WRITES[name](written)

    def test_broadcast_tables_accept_restore_with_empty_search_path(self, written: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL search_path TO ''")
            cursor.execute("UPDATE public.broadcasts_broadcast SET message = 'Restored'")
            assert cursor.rowcount == 1
            cursor.execute("SET LOCAL search_path TO public")

    def test_broadcast_record_refuses_update_and_delete_in_public(self, written: Any) -> None:
        for act in (lambda: BroadcastRecord.objects.update(text=""), lambda: BroadcastRecord.objects.all().delete()):
            with pytest.raises(Exception, match="are kept"), transaction.atomic():
                act()


# Fifty organisations ------------------------------------------------------------------------------------------------

FIFTY = [f"org{number:02}" for number in range(50)]
PEOPLE = 200


@pytest.fixture(scope="class")
def _fifty(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        try:
            _make_fifty()
            yield
        finally:
            _drop_fifty()


@pytest.mark.integration
@pytest.mark.usefixtures("_fifty", "db")
class TestFiftyOrganisations:
    """10,000 people read one row."""

    def test_broadcast_to_fifty_tenants_reaches_10000_users_with_one_row(self, browser_of: BrowserOf) -> None:
        written = broadcast("Maintenance at 5", to=ALL_TENANTS)
        assert rows() == {"Broadcast": 1, "BroadcastTenant": 0, "BroadcastRecord": 1}
        assert sum(self.who_sees_it(schema) for schema in FIFTY) == 10_000
        assert self.seen_by_requests(browser_of) == [True] * 20
        assert not self.wrote_into_tenants()
        retract(written)
        assert sum(self.who_sees_it(schema) for schema in FIFTY) == 0
        assert self.seen_by_requests(browser_of) == [False] * 20

    def test_mark_read_removes_broadcast_for_one_user_of_fifty_tenants(self) -> None:
        written = broadcast("Maintenance at 5", to=ALL_TENANTS)
        with schema_context("org07"):
            inbox(get_user_model().objects.first()).mark_read(str(written.reference))
        assert [self.who_sees_it(schema) for schema in ("org06", "org07")] == [200, 199]

    def test_broadcast_query_count_is_independent_of_tenant_count(self) -> None:
        tenants = list(get_tenant_model().objects.filter(schema_name__in=FIFTY))
        assert self.queries_for(ALL_TENANTS) == 3, "organisations are counted, the row and its record are written"
        assert self.queries_for(tenants[:1]) == self.queries_for(tenants) == 4

    def queries_for(self, to: Any) -> int:
        with CaptureQueriesContext(connection) as captured:
            broadcast("Hello", to=to)
        written = [query["sql"] for query in captured]
        return len([each for each in written if not each.startswith(("SAVEPOINT", "RELEASE", "SET"))])

    def who_sees_it(self, schema: str) -> int:
        """Count the people whose inbox has it unread; of one of them, the banners are looked at too."""
        with schema_context(schema):
            receipts = Receipt.objects.filter(user=OuterRef(OuterRef("pk")), publication_id=OuterRef("pk"))
            live = Broadcast.objects.addressed_to(schema).live().filter(~Exists(receipts))
            people: Any = get_user_model().objects.filter(Exists(live))
            assert len(inbox(get_user_model().objects.last()).banners()) == bool(people)
            return int(people.count())

    def seen_by_requests(self, browser_of: BrowserOf) -> list[bool]:
        return [self.page_has_it(browser_of, schema, pk) for schema in FIFTY[::5] for pk in (1, PEOPLE)]

    def page_has_it(self, browser_of: BrowserOf, schema: str, pk: int) -> bool:
        with schema_context(schema):
            user = get_user_model().objects.get(pk=pk)
        answer = browser_of(tenant(schema), user).get("/")
        connection.set_schema_to_public()
        assert answer.status_code == 200
        return "Maintenance at 5" in answer.content.decode()

    def wrote_into_tenants(self) -> bool:
        found = []
        for schema in FIFTY:
            with schema_context(schema):
                found += [Message.objects.exists(), Receipt.objects.exists()]
        return any(found)


def _make_fifty() -> None:
    """Make them as copies of acme's empty tables, which takes a hundredth of the time that migrations take."""
    made = get_tenant_model().objects.bulk_create(
        get_tenant_model()(schema_name=schema, name=schema, ready_at=timezone.now()) for schema in FIFTY
    )
    get_tenant_domain_model().objects.bulk_create(
        get_tenant_domain_model()(tenant=tenant, domain=f"{tenant.schema_name}.localhost") for tenant in made
    )
    with schema_context("acme"), connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        tables = [table for table in tables if not table.startswith(("broadcasts_", "tenants_"))]
    for schema in FIFTY:
        copies = [f'CREATE TABLE {schema}."{table}" (LIKE acme."{table}" INCLUDING ALL)' for table in tables]
        copies.append(f"INSERT INTO {schema}.django_migrations SELECT * FROM acme.django_migrations")
        with schema_context("public"), connection.cursor() as cursor:
            cursor.execute("; ".join([f"CREATE SCHEMA {schema}", *copies]))
        with schema_context(schema):
            user: Any = get_user_model()
            user.objects.bulk_create(user(email=f"user{n}@{schema}.example", password="!") for n in range(PEOPLE))


def _drop_fifty() -> None:
    connection.set_schema_to_public()
    for schema in FIFTY:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    get_tenant_model().objects.filter(schema_name__in=FIFTY).delete()


# A second role ------------------------------------------------------------------------------------------------------


class TestSecondRole:
    """The boundary that docs/how-to/publications.md describes: a role of the database that cannot write broadcasts."""

    # Roles are the server's, which other processes of this run use as well.
    ROLE = name_here("organisations_of_a_test")

    @pytest.fixture
    def written(self, acme: Tenant) -> Any:
        return broadcast("Maintenance", to=acme)

    @pytest.fixture(autouse=True)
    def _role(self, acme: Tenant) -> None:
        blocks = [block.code for block in blocks_of(DOCS / "how-to" / "publications.md") if block.language == "sql"]
        assert len(blocks) == 2, "the making of the role, and what is run again for new tables"
        with connection.cursor() as cursor:
            for block in blocks:
                cursor.execute(block.replace("organisations", self.ROLE))

    @contextmanager
    def as_role(self, schema: str) -> Iterator[None]:
        with schema_context(schema), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL ROLE {self.ROLE}")
            yield
            cursor.execute("RESET ROLE")

    @pytest.mark.parametrize("schema", ["public", "acme", "platform"])
    @pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
    def test_restricted_role_cannot_write_broadcast_tables(
        self, written: Any, write: Callable[[Any], Any], schema: str
    ) -> None:
        with pytest.raises(ProgrammingError, match="permission denied for table broadcasts_"), self.as_role(schema):
            write(written)

    def test_restricted_role_cannot_remove_triggers(self, written: Any) -> None:
        for statement in (
            "ALTER TABLE public.broadcasts_broadcast DISABLE TRIGGER ALL",
            "DROP TRIGGER public_only ON public.broadcasts_broadcast",
            "CREATE TABLE public.mine (id int)",
        ):
            with pytest.raises(ProgrammingError, match=r"must be owner|permission denied"), self.as_role("acme"):
                sql(statement)(written)

    def test_restricted_role_cannot_broadcast_or_retract(self, written: Any) -> None:
        for act in (lambda: broadcast("Mine", to=ALL_TENANTS), lambda: retract(written)):
            with pytest.raises(ProgrammingError, match="permission denied"), self.as_role("platform"):
                act()

    def test_restricted_role_reads_broadcasts_and_writes_tenant_tables(self, written: Any, alice: Any) -> None:
        with self.as_role("acme"):
            assert [str(each) for each in inbox(alice).page().entries] == ["Maintenance"]
            assert inbox(alice).mark_read(str(written.reference))
            assert send(alice, "A message", sender=None, key="k") == 1
            announcement = announce("An announcement", to=EVERYONE)
            assert inbox(alice).unread_count() == 2
            retract(revise(announcement, message="Changed"))
            inbox(alice).undo(inbox(alice).mark_all_read().at)
            assert [str(each) for each in inbox(alice).banners()] == ["A message"]
            alice.delete()
            assert not Message.objects.exists()

    def test_restricted_role_serves_pages(self, written: Any, alice: Any, acme: Tenant, browser_of: BrowserOf) -> None:
        browser: Client = browser_of(acme, alice)
        with self.as_role("public"):
            assert "Maintenance" in browser.get("/").content.decode()
            assert browser.post(f"/messages/mark_read/{written.reference}/", headers=AJAX).status_code == 200
            assert "Maintenance" not in browser.get("/").content.decode()
