"""The data that is attacked: what is in globex, and what is addressed to others, must not be visible in acme."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.core.signing import Signer
from django.db import connection, transaction
from django.test import Client
from django_tenants.utils import get_tenant_model, schema_context

from messages_extends import api
from messages_extends.access.grants import grant
from messages_extends.models import Message
from tenants.people.models import Invitation, User

THEIRS: Final = "canary-of-globex"
PRIVATE: Final = "canary-of-somebody-else"
BACKEND: Final = "django.contrib.auth.backends.ModelBackend"
# Where nothing of theirs has a key that is anything's here.
FAR: Final = 3000
FIELD: Final = re.compile(
    r"<(?:input|textarea|select|button)\b[^>]*?\bname=\"([^\"]+)\"(?:[^>]*?\bvalue=\"([^\"]*)\")?"
)
WRITES: Final = """
SELECT schemaname, sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_xact_user_tables GROUP BY schemaname
"""


@dataclass
class Targets:
    """Who can ask, by a name: where they are, and their cookies; and keys of each converter's kind."""

    people: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Pairs: another organisation's (or withdrawn), and one that is nobody's.
    twins: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    # The forms of each page, as they are when nobody has touched them.
    forms: dict[tuple[str, str], tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def client(self, person: str) -> Client:
        host, cookies = self.people[person]
        client = Client(raise_request_exception=False, headers={"host": host})
        for name, value in cookies.items():
            client.cookies[name] = value
        return client

    def form(self, person: str, path: str) -> tuple[tuple[str, str], ...]:
        """Return the fields of a page with their values."""
        if (person, path) not in self.forms:
            page = self.client(person).get(path)
            text = "" if page.streaming else page.content.decode("utf-8", "replace")
            self.forms[person, path] = tuple(dict.fromkeys(FIELD.findall(text)))
        return self.forms[person, path]


def make_targets() -> Targets:
    """Fill the organisations; in a transaction, or in a database of its own."""
    targets = Targets()
    tenants = {tenant.schema_name: tenant for tenant in get_tenant_model().objects.exclude(schema_name="public")}
    with schema_context("globex"):
        theirs = _fill_globex(tenants["globex"], targets)
    with schema_context("public"):
        elsewhere = api.broadcast(f"{THEIRS} broadcast", to=[tenants["globex"]])
        withdrawn = api.broadcast(f"{THEIRS} withdrawn", to=api.ALL_TENANTS)
        api.retract(withdrawn)
        shown = api.broadcast("For everybody", to=api.ALL_TENANTS)
    with schema_context("acme"):
        own = _fill_acme(targets)
    with schema_context("platform"):
        operator = User.objects.create(email="operator@platform.example", name="Olga", is_superuser=True, is_staff=True)
        _log_in(targets, "operator", "platform", operator)
    targets.people["stranger"] = ("acme.localhost", {})
    targets.people["passer-by"] = ("localhost", {})
    # Logged in, but elsewhere.
    targets.people["intruder"] = ("acme.localhost", targets.people["neighbour"][1])
    references = [theirs.reference, elsewhere.reference, withdrawn.reference, shown.reference, own.reference]
    targets.keys = {
        "uuid": tuple(str(reference.id) for reference in references),
        "int": ("1", "2", "4", str(FAR)),
        "str": (
            *map(str, references),
            str(own.reference),
            str(shown.reference),
            "1",
            "1",
            "1",
            "2",
            str(FAR),
            "holder",
            "user:1",
        ),
        "path": (*(str(reference.id) for reference in references), "1", "2", str(FAR)),
    }
    nowhere = str(uuid4())
    numbers = ((str(FAR), "404404"),)
    targets.twins = {
        "uuid": tuple((str(each.id), nowhere) for each in (theirs.reference, elsewhere.reference)),
        "int": numbers,
        "str": (*numbers, *((str(each), f"{uuid4().hex}-1") for each in references[:3])),
        "path": (*numbers, *((str(each.id), nowhere) for each in (theirs.reference, elsewhere.reference))),
    }
    return targets


def _fill_globex(tenant: Any, targets: Targets) -> Any:
    neighbour = User.objects.create(pk=FAR, email="neighbour@globex.example", name=f"{THEIRS} Nora")
    group = Group.objects.create(pk=FAR, name=f"{THEIRS} group")
    neighbour.groups.add(group)
    Message.objects.create(pk=FAR, user=neighbour, message=THEIRS, level=19)
    Invitation.objects.create(pk=FAR, email=f"{THEIRS}@globex.example", invited_by=neighbour)
    _log_in(targets, "neighbour", "globex", neighbour)
    return api.announce(f"{THEIRS} announcement", to=api.EVERYONE)


def _fill_acme(targets: Targets) -> Any:
    reader = User.objects.create(pk=1, email="reader@acme.example", name="Rita")
    administrator = User.objects.create(pk=2, email="a@acme.example", name="Ada", is_superuser=True, is_staff=True)
    other = User.objects.create(pk=5, email="other@acme.example", name="Otto")
    group = Group.objects.create(pk=1, name="Sales")
    for person in (reader, other):
        person.groups.add(group)
    grant(reader, other)
    reader.user_permissions.add(Permission.objects.get(codename="add_announcement"))
    Message.objects.create(pk=1, user=reader, message="For the reader", level=19)
    # Past everything that checks a link when it is written.
    Message.objects.create(pk=3, user=reader, message="With a link", level=39, url="javascript:alert(1)")
    Message.objects.create(pk=2, user=other, message=f"{PRIVATE} message", level=19)
    Message.objects.create(pk=4, user=other, sender=reader, message="From the reader", level=19)
    Invitation.objects.create(pk=1, email="soon@acme.example", invited_by=administrator)
    _log_in(targets, "reader", "acme", reader)
    _log_in(targets, "administrator", "acme", administrator)
    return api.announce("For all of acme", to=api.EVERYONE, sender=reader)


def _log_in(targets: Targets, name: str, schema: str, user: Any) -> None:
    host = f"{schema}.localhost"
    client = Client(headers={"host": host})
    client.force_login(user, BACKEND)
    targets.people[name] = (host, {each: morsel.value for each, morsel in client.cookies.items()})


def canaries_for(person: str) -> tuple[str, ...]:
    """Return what this person must never see."""
    if person == "neighbour":
        return ()
    if person == "operator":
        # They write to globex themselves, and see that they did.
        return (f"{THEIRS} Nora", f"{THEIRS} group", f"{THEIRS} announcement", PRIVATE)
    return (THEIRS,) if person == "administrator" else (THEIRS, PRIVATE)


def signed_elsewhere(value: str) -> str:
    """Return a value that is signed, with a key of the attacker's."""
    return Signer(key="the attacker's own", salt="django.contrib.messages").sign(
        value.encode("utf-8", "replace").decode()
    )


@contextmanager
def taken_back() -> Iterator[dict[str, int]]:
    """Undo what is written within; afterwards the dictionary says how many rows were, in which schemas."""
    wrote: dict[str, int] = {}
    connection.set_schema_to_public()
    with transaction.atomic():
        before = _writes()
        yield wrote
        connection.set_schema_to_public()
        if not connection.needs_rollback:
            after = _writes()
            wrote |= {schema: int(after[schema] - before.get(schema, 0)) for schema in after}
        transaction.set_rollback(True)
    connection.set_schema_to_public()


def _writes() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(WRITES)
        return dict(cursor.fetchall())


def session_cookie() -> str:
    return str(settings.SESSION_COOKIE_NAME)
