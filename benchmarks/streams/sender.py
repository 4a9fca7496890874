"""The process that makes people and writes to them, as a worker of the product does."""

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import django

ORGANISATION = "acme"
NO_PASSWORD = "!nobody can use this"


class Sender:
    """Methods without an underscore are called by the runner."""

    def __init__(self) -> None:
        django.setup()

    def prepare(self, people: int) -> list[tuple[str, str]]:
        """Make an organisation with so many people, all logged in; return their keys and those of their sessions."""
        from django.core.management import call_command
        from django.utils import timezone
        from django_tenants.utils import get_tenant_domain_model, get_tenant_model, schema_context

        call_command("migrate_schemas", shared=True, interactive=False, verbosity=0)
        tenant = get_tenant_model()(schema_name=ORGANISATION, name="Acme", ready_at=timezone.now())
        tenant.save()
        tenant.create_schema(check_if_exists=True, verbosity=0)
        get_tenant_domain_model().objects.create(tenant=tenant, domain=f"{ORGANISATION}.localhost")
        with schema_context(ORGANISATION):
            return [(str(user.pk), _log_in(user)) for user in _people(people)]

    def send(self, user: str) -> float:
        """Send one message; return when it was committed, by the clock that all processes of a machine share."""
        from django.contrib.auth import get_user_model

        from messages_extends import api

        return self._act(lambda: api.send(get_user_model()(pk=user), "The new price list is out."))

    def announce(self) -> float:
        from messages_extends import api

        return self._act(lambda: api.announce("The new price list is out.", to=api.EVERYONE))

    def commits(self, users: list[str], threads: int, duration: float, bus: str | None) -> float:
        """Return how many messages a second so many threads commit, each its own, with this bus, or with none."""
        from django.conf import settings

        settings.MESSAGES_EXTENDS = {**settings.MESSAGES_EXTENDS, "PUSH_BUS": bus}
        done = [0] * threads
        until = time.perf_counter() + duration
        workers = [
            threading.Thread(target=self._commit, args=(done, number, users[number], until))
            for number in range(threads)
        ]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(done) / (time.perf_counter() - start)

    def _commit(self, done: list[int], number: int, user: str, until: float) -> None:
        from django.contrib.auth import get_user_model
        from django.db import connections

        from messages_extends import api

        while time.perf_counter() < until:
            self._act(lambda: api.send(get_user_model()(pk=user), "The new price list is out."))
            done[number] += 1
        connections.close_all()

    def _act(self, write: Callable[[], Any]) -> float:
        from django_tenants.utils import schema_context

        with schema_context(ORGANISATION):
            write()
            return time.perf_counter()


def _people(number: int) -> Any:
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    users.bulk_create(
        get_user_model()(email=f"person{each}@acme.example", name=f"Person {each}", password=NO_PASSWORD)
        for each in range(number)
    )
    # Loaded again: only then do they know where they are from.
    return users.order_by("pk")


def _log_in(user: Any) -> str:
    """Write the row that logging in writes, without hashing a password a thousand times."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.models import Session

    from messages_extends.tenancy.sessions import SessionStore

    store = SessionStore()
    data = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }
    key = secrets.token_hex(16)
    Session.objects.create(session_key=key, session_data=store.encode(data), expire_date=store.get_expiry_date())
    return key


if __name__ == "__main__":
    from benchmarks.contestants.serving import serve

    serve(Sender())
