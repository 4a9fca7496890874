"""Long work that is killed at a moment that chance decides, and then done again."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from config.running.folders import PROJECT
from tests.longrun.chaos.server import Database
from tests.processes import eventually

SCHEMA: Final = "fault_0"
MANY: Final = 20_000
BEGIN: Final = """
import sys
import django
django.setup()
from django.core.management import call_command
from django.contrib.auth.models import Group
from django_tenants.utils import get_tenant_model, schema_context
from messages_extends import api
from tenants.people.models import User
print("begins", flush=True)
"""
IN_SCHEMA: Final = f"with schema_context({SCHEMA!r}):\n    "
IN_PUBLIC: Final = "with schema_context('public'):\n    "


@dataclass(frozen=True)
class Worker:
    """What is done, the state before it, and how much of it is there: `whole` at the end, or 0."""

    name: str
    code: str
    count: str
    whole: int
    before: tuple[str, ...] = ()
    # Whether a part of it may be there: it is done in batches, each all or nothing.
    batches: bool = False
    # What has to be the same throughout.
    kept: str = "SELECT 0"


@dataclass
class Killed:
    """How often, what was there then, and what after it was run again."""

    worker: Worker
    found: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.problems and bool(self.found)

    def __str__(self) -> str:
        line = f"{self.worker.name:<40}{self.found.total():>7}{self.found['nothing']:>9}{self.found['some']:>7}"
        return f"{line}{self.found['all']:>7}  {'; '.join(self.problems) or 'complete, nothing twice'}"


_MESSAGES: Final = f"FROM {SCHEMA}.messages_extends_message WHERE message = "
_OLD: Final = f"""
INSERT INTO {SCHEMA}.messages_extends_message
    (user_id, level, message, url, key, extra_tags, is_safe, created, modified, read_at)
SELECT 1, 19, 'worker old', '', '', '', false, now() - interval '200 days', now(), now() - interval '199 days'
FROM generate_series(1, {MANY})
"""
_IN_GROUPS: Final = f"""
SELECT count(*) FROM {SCHEMA}.messages_extends_announcement a
JOIN {SCHEMA}.messages_extends_announcementgroup g ON g.announcement_id = a.id WHERE message = 'worker announce'
"""

WORKERS: Final = (
    Worker(
        f"send to {MANY:,} people",
        f"{IN_SCHEMA}api.send(User.objects.all(), 'worker send', key='worker')",
        f"SELECT count(*) {_MESSAGES} 'worker send'",
        MANY,
        before=(f"DELETE {_MESSAGES} 'worker send'",),
    ),
    Worker(
        "announce to 200 groups",
        f"{IN_SCHEMA}api.announce('worker announce', to=Group.objects.filter(name__startswith='many'), key='worker')",
        _IN_GROUPS,
        200,
        before=(
            f"DELETE FROM {SCHEMA}.messages_extends_announcementgroup",
            f"DELETE FROM {SCHEMA}.messages_extends_announcement WHERE message = 'worker announce'",
        ),
    ),
    Worker(
        "broadcast to chosen organisations",
        f"{IN_PUBLIC}api.broadcast('worker broadcast', to=get_tenant_model().objects.all(), key='worker')",
        "SELECT count(*) FROM public.broadcasts_broadcast b JOIN public.broadcasts_broadcasttenant t"
        " ON t.broadcast_id = b.id WHERE message = 'worker broadcast'",
        3,
        before=(
            "DELETE FROM public.broadcasts_broadcasttenant",
            "DELETE FROM public.broadcasts_broadcast WHERE message = 'worker broadcast'",
        ),
    ),
    Worker(
        f"purge {MANY:,} messages",
        "call_command('purge_messages', batch_size=200)",
        f"SELECT {MANY} - count(*) {_MESSAGES} 'worker old'",
        MANY,
        before=(
            f"DELETE {_MESSAGES} 'worker old'",
            _OLD,
        ),
        batches=True,
        kept=f"SELECT count(*) {_MESSAGES} 'to mark'",
    ),
    Worker(
        "migrate three organisations",
        "call_command('migrate_schemas', verbosity=0)",
        "SELECT (SELECT count(*) FROM fault_0.django_migrations) + (SELECT count(*) FROM fault_1.django_migrations)"
        " + (SELECT count(*) FROM platform.django_migrations)",
        0,
        before=("migrate back",),
        batches=True,
        kept=f"SELECT count(*) {_MESSAGES} 'to mark'",
    ),
)


def prepare(database: Database) -> None:
    """Make many people and groups."""
    database.execute(
        f"INSERT INTO {SCHEMA}.people_user (id, email, name, password, is_superuser, is_staff, is_active, date_joined) "
        f"SELECT 1000 + n, 'many' || n || '@load.example', 'Many ' || n, '!', false, false, true, now() "
        f"FROM generate_series(1, {MANY} - (SELECT count(*) FROM {SCHEMA}.people_user)) n"
    )
    database.execute(
        f"INSERT INTO {SCHEMA}.auth_group (id, name) SELECT 1000 + n, 'many ' || n FROM generate_series(1, 200) n"
    )


def kill_often(env: Mapping[str, str], database: Database, worker: Worker, times: int, seed: int = 1) -> Killed:
    """Let it run once to the end; then kill it so often at some moment of that time, and run it again each time."""
    dice, killed = random.Random(seed), Killed(worker)
    if not database.execute(f"SELECT 1 FROM {SCHEMA}.auth_group WHERE name LIKE 'many%'"):
        prepare(database)
    whole = worker.whole or _count(database, worker)
    _reset(env, database, worker)
    kept = database.execute(worker.kept)
    lasts = _run(env, worker)
    if _count(database, worker) != whole:
        killed.problems.append(f"{_count(database, worker)} of {whole} without being killed")
    for _ in range(times):
        _reset(env, database, worker)
        start = _count(database, worker)
        _run(env, worker, kill_after=dice.uniform(0, lasts))
        _wait_until_noticed(database)
        count = _count(database, worker)
        found = "nothing" if count == start else "all" if count == whole else "some"
        killed.found[found] += 1
        if found == "some" and not worker.batches:
            killed.problems.append(f"{count} of {whole} were there")
        _run(env, worker)
        if (after := _count(database, worker)) != whole:
            killed.problems.append(f"{after} of {whole} when run again")
        if database.execute(worker.kept) != kept:
            killed.problems.append("something else has changed")
    return killed


def _count(database: Database, worker: Worker) -> int:
    return int(database.execute(worker.count)[0][0])


def _reset(env: Mapping[str, str], database: Database, worker: Worker) -> None:
    for statement in worker.before:
        if statement == "migrate back":
            back = "call_command('migrate_schemas', 'messages_extends', '0006', tenant=True, verbosity=0)"
            subprocess.run([sys.executable, "-c", BEGIN + back], env=env, cwd=PROJECT, check=True, stdout=-3)
        else:
            database.execute(statement)


def _run(env: Mapping[str, str], worker: Worker, kill_after: float | None = None) -> float:
    """Run it in a process of its own; return how long it took from where it begins."""
    command = [sys.executable, "-c", f"{BEGIN}{worker.code}\n"]
    with subprocess.Popen(command, env=env, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        start = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        process.stdout.read()
        code = process.wait()
    assert kill_after is not None or code == 0, f"{worker.name} ended with {code}"
    return time.monotonic() - start


def _wait_until_noticed(database: Database) -> None:
    """Wait until the server has taken back what the dead were doing."""
    others = "SELECT 1 FROM pg_stat_activity WHERE datname = 'messages' AND pid <> pg_backend_pid() AND backend_type = "
    assert eventually(lambda: not database.execute(f"{others}'client backend'"))
