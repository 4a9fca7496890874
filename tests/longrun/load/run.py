"""Load test: requests of many organisations to one server, each answer searched for another organisation's data.

`python3 run.py load` makes a database with organisations whose people, messages and sessions have the same primary
keys, names and session keys; whatever belongs to one of them holds its canary, a word that is nowhere else. Threads
and asynchronous clients then ask the production server for everything that a browser asks for. Every answer (body,
headers, cookies, events of streams), every line of the log, every key and value put into a cache and, in the end,
every row is searched for the canary of another organisation.
"""

import argparse
import asyncio
import os
import random
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config.running.folders import PROJECT
from tests.processes import eventually

PEOPLE: Final = 5
CSRF: Final = "c" * 32
CANARY: Final = re.compile(r"canary[0-9a-f]{16}")
LINE: Final = re.compile(r"^\S+ \S+ [A-Z]+ \[(\w+|-)\] ")
TIMEOUT_S: Final = 60
# Whose answers hold what belongs to the organisation.
SHOWING: Final = ("home", "inbox", "panel", "search", "announcements", "redirect")


@dataclass(frozen=True)
class Organisation:
    schema: str
    canary: str

    @property
    def host(self) -> str:
        # No host name has an underscore.
        return f"{self.schema.replace('_', '-')}.localhost"


@dataclass(frozen=True)
class Question:
    """One request of one person, and what it is called in the report."""

    kind: str
    organisation: Organisation
    person: int
    method: str
    path: str
    fields: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def target(self) -> str:
        # The canary in the address comes out in the log of requests.
        return f"{self.path}{'&' if '?' in self.path else '?'}trace={self.organisation.canary}"

    def all_headers(self) -> dict[str, str]:
        cookies = f"sessionid={session_key(self.person)}; csrftoken={CSRF}"
        headers = {"Host": self.organisation.host, "Cookie": cookies, "X-CSRFToken": CSRF, **dict(self.headers)}
        if self.method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return headers

    def body(self) -> bytes:
        return urlencode(self.fields).encode() if self.method == "POST" else b""


@dataclass
class Findings:
    """What was asked and answered, and whatever was found where it must not be."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    own: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, question: Question, status: int, text: str) -> None:
        found = set(CANARY.findall(text)) - {question.organisation.canary}
        with self.lock:
            self.answers[question.kind, status] += 1
            self.own[question.kind] += question.organisation.canary in text
            if found:
                self.leaks.append(f"{question.kind} at {question.organisation.schema}: {sorted(found)}")

    def error(self, question: Question, error: Exception) -> None:
        with self.lock:
            self.errors[f"{question.kind}: {type(error).__name__}"] += 1

    @property
    def total(self) -> int:
        return self.answers.total()

    @property
    def broken(self) -> int:
        """How many answers were errors of the server."""
        return sum(count for (_kind, status), count in self.answers.items() if status >= 500)


# The organisations --------------------------------------------------------------------------------------------------


def session_key(person: int) -> str:
    """Return the key of a person's session: the same in every organisation."""
    return f"load{person:028d}"


def fill(organisations: list[Organisation]) -> None:
    """Make the organisations and what is in them; with the settings of the load test."""
    from django.utils import timezone
    from django_tenants.utils import get_tenant_domain_model, get_tenant_model, schema_context

    for organisation in organisations:
        tenant: Any = get_tenant_model()(schema_name=organisation.schema, name=organisation.canary)
        tenant.ready_at = timezone.now()
        tenant.save()
        tenant.create_schema(check_if_exists=True, verbosity=0)
        get_tenant_domain_model().objects.create(tenant=tenant, domain=organisation.host)
        with schema_context(organisation.schema):
            _fill_one(organisation)


def _fill_one(organisation: Organisation) -> None:
    from django.contrib.auth.models import Group, Permission

    from messages_extends.api import EVERYONE, announce, send
    from tenants.people.models import User

    people = [
        User.objects.create(pk=number, email=f"person{number}@load.example", name=f"{organisation.canary} {number}")
        for number in range(1, PEOPLE + 1)
    ]
    group = Group.objects.create(pk=1, name=f"{organisation.canary} group")
    everybody = Permission.objects.get(codename="send_message", content_type__app_label="people")
    announcing = Permission.objects.get(codename="add_announcement")
    for person in people:
        person.groups.add(group)
        person.user_permissions.add(everybody, announcing)
        _log_in(person)
        for number in range(5):
            send(person, f"{organisation.canary} message {number}")
    announce(f"{organisation.canary} announcement", to=EVERYONE)


def _log_in(person: Any) -> None:
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from messages_extends.tenancy.sessions import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    # Once it is filled: a key that there is no session of would be replaced.
    session._session_key = session_key(person.pk)
    session.save(must_create=True)


# The questions ------------------------------------------------------------------------------------------------------


def questions(organisations: list[Organisation], count: int, seed: int) -> Iterator[Question]:
    """Yield requests of all kinds, mixed by a seed."""
    dice = random.Random(seed)
    makers = [home, home, add, add, inbox, inbox, badge, panel, mark, compose, compose_search, announce, stream]
    for _ in range(count):
        organisation, person = dice.choice(organisations), dice.randint(1, PEOPLE)
        yield dice.choice(makers)(organisation, person, dice)


def home(organisation: Organisation, person: int, _dice: random.Random) -> Question:
    return Question("home", organisation, person, "GET", "/")


def add(organisation: Organisation, person: int, dice: random.Random) -> Question:
    """Add a message of some kind; the answer is a redirect, or, for a sticky one, a page."""
    level = dice.choice(("20", "19", "22", "30"))
    return Question("add", organisation, person, "POST", "/", (("level", level),))


def inbox(organisation: Organisation, person: int, _dice: random.Random) -> Question:
    return Question("inbox", organisation, person, "GET", "/messages/")


def badge(organisation: Organisation, person: int, _dice: random.Random) -> Question:
    return Question("badge", organisation, person, "GET", "/messages/badge/")


def panel(organisation: Organisation, person: int, _dice: random.Random) -> Question:
    return Question("panel", organisation, person, "GET", "/messages/panel/")


def mark(organisation: Organisation, person: int, dice: random.Random) -> Question:
    """Mark one that may be one's own, in any organisation: the keys are the same."""
    path = f"/messages/mark_read/{dice.randint(1, 5 * PEOPLE)}/"
    if dice.random() < 0.1:
        path = "/messages/mark_read/all/"
    return Question("mark", organisation, person, "POST", path)


def compose(organisation: Organisation, person: int, dice: random.Random) -> Question:
    fields = (
        ("step", "send"),
        ("number", str(uuid.UUID(int=dice.getrandbits(128), version=4))),
        ("message", f"{organisation.canary} from {person}"),
        ("level", "19"),
        ("people", str(dice.randint(1, PEOPLE))),
    )
    return Question("compose", organisation, person, "POST", "/messages/compose/", fields)


def compose_search(organisation: Organisation, person: int, _dice: random.Random) -> Question:
    return Question("search", organisation, person, "GET", "/messages/compose/recipients/?q=person&groups=1")


def announce(organisation: Organisation, person: int, _dice: random.Random) -> Question:
    return Question("announcements", organisation, person, "GET", "/messages/announcements/")


def stream(organisation: Organisation, person: int, _dice: random.Random) -> Question:
    headers = (("Accept", "text/event-stream"),)
    return Question("stream", organisation, person, "GET", "/messages/stream/", headers=headers)


# Asking -------------------------------------------------------------------------------------------------------------


def ask_in_thread(port: int, share: list[Question], findings: Findings) -> None:
    """Ask one after the other over one connection, following redirects."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    for question in share:
        try:
            _ask(connection, question, findings)
        except OSError as error:
            findings.error(question, error)
            connection.close()
    connection.close()


def _ask(connection: HTTPConnection, question: Question, findings: Findings) -> None:
    connection.request(question.method, question.target, question.body(), question.all_headers())
    answer = connection.getresponse()
    if question.kind == "stream":
        text = _read_news(answer)
        connection.close()
    else:
        text = answer.read().decode()
    findings.answer(question, answer.status, f"{answer.headers}\n{text}")
    if answer.status == 302:
        followed = Question("redirect", question.organisation, question.person, "GET", answer.headers["Location"])
        _ask(connection, followed, findings)


def _read_news(answer: HTTPResponse) -> str:
    """Read a stream until it has said how things stand, or all of an answer that is no stream."""
    lines = [answer.readline()]
    while lines[-1] and not lines[-1].startswith(b"data:"):
        lines.append(answer.readline())
    return b"".join(lines).decode()


async def ask_in_loop(port: int, share: list[Question], findings: Findings) -> None:
    for question in share:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, text = await _ask_async(port, question)
        except (OSError, TimeoutError, ValueError) as error:
            findings.error(question, error)
        else:
            findings.answer(question, status, text)


async def _ask_async(port: int, question: Question) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        body = question.body()
        headers = {**question.all_headers(), "Content-Length": str(len(body)), "Connection": "close"}
        lines = [f"{question.method} {question.target} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        if question.kind == "stream":
            text = await _until_news(reader)
        else:
            text = await reader.read()
        return int(text.split(b" ", 2)[1]), text.decode()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _until_news(reader: asyncio.StreamReader) -> bytes:
    """Read a stream until it has said how things stand, or all of an answer that is no stream."""
    try:
        return await reader.readuntil(b"data:") + await reader.readline()
    except asyncio.IncompleteReadError as error:
        return error.partial


def ask_all(port: int, asked: list[Question], findings: Findings, *, threads: int, clients: int) -> None:
    """Ask by threads and by asynchronous clients at the same time, each its share."""
    workers = threads + clients
    shares = [asked[number::workers] for number in range(workers)]

    async def by_clients() -> None:
        await asyncio.gather(*(ask_in_loop(port, share, findings) for share in shares[threads:]))

    with ThreadPoolExecutor(threads + 1) as pool:
        running = [pool.submit(ask_in_thread, port, share, findings) for share in shares[:threads]]
        running.append(pool.submit(asyncio.run, by_clients()))
        for each in running:
            each.result()


# Looking through what is left ---------------------------------------------------------------------------------------


def look_through_log(log: Path, organisations: list[Organisation], findings: Findings) -> int:
    """Find lines that say one organisation and hold what is another's; return how many lines hold a canary at all."""
    canaries = {organisation.schema: organisation.canary for organisation in organisations}
    seen = 0
    for line in log.read_text(errors="replace").splitlines():
        found = set(CANARY.findall(line))
        match = LINE.match(line)
        schema = match[1] if match else "-"
        seen += bool(found)
        allowed = {canaries[schema]} if schema in canaries else found if len(found) == 1 else set()
        if found - allowed:
            findings.leaks.append(f"log: {line[:200]}")
    return seen


def look_through_cache(notes: Path, findings: Findings) -> int:
    """Find what was put into a cache; whatever it is, its key has to hold the schema. Return how much that was."""
    lines = notes.read_text().splitlines() if notes.exists() else []
    findings.leaks += [f"cache: {line[:200]}" for line in lines if line.startswith("public:") or CANARY.search(line)]
    return len(lines)


def look_through_tables(url: str, organisations: list[Organisation], findings: Findings) -> int:
    """Find rows that hold what is another organisation's, in every table of every schema; return how many rows."""
    count = 0
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)",
            [[organisation.schema for organisation in organisations]],
        ).fetchall()
        canaries = {organisation.schema: organisation.canary for organisation in organisations}
        for schema, table in tables:
            rows = sql.SQL("SELECT t::text FROM {}.{} AS t").format(sql.Identifier(schema), sql.Identifier(table))
            for (row,) in connection.execute(rows):
                count += 1
                if set(CANARY.findall(row)) - {canaries[schema]}:
                    findings.leaks.append(f"table {schema}.{table}: {row[:200]}")
    return count


# The whole ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoadProfile:
    organisations: int = 20
    requests: int = 20_000
    threads: int = 8
    clients: int = 50
    pool: bool = True
    workers: int = 2
    seed: int = 1


@dataclass
class Outcome:
    profile: LoadProfile
    findings: Findings
    log_lines: int
    cached: int
    rows: int
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing was found, and the search was no blind one: pages did show what is one's own."""
        findings = self.findings
        kinds = {kind for kind, _status in findings.answers}
        shown = all(findings.own[kind] for kind in kinds if kind in SHOWING)
        return shown and not (findings.leaks or findings.broken or findings.errors)


def run(profile: LoadProfile, server: str, say: Callable[[str], object] = lambda _text: None) -> Outcome:
    """Make a database on the server of this URL, fill it, send the requests, search all results; then drop it."""
    findings = Findings()
    made = [Organisation(f"load_{number}", f"canary{secrets.token_hex(8)}") for number in range(profile.organisations)]
    with tempfile.TemporaryDirectory() as folder, own_database(server) as url:
        env = _environment(url, Path(folder), profile)
        say(f"Making {profile.organisations} organisations")
        _make(env, made)
        asked = list(questions(made, profile.requests, profile.seed))
        with serve(env, Path(folder), profile) as port:
            say(f"Asking {len(asked)} times, {'with' if profile.pool else 'without'} the pool")
            start = time.monotonic()
            ask_all(port, asked, findings, threads=profile.threads, clients=profile.clients)
            seconds = time.monotonic() - start
        log_lines = look_through_log(Path(folder) / "log", made, findings)
        cached = look_through_cache(Path(env["LOAD_CACHE"]), findings)
        rows = look_through_tables(url, made, findings)
    return Outcome(profile, findings, log_lines, cached, rows, seconds)


@contextmanager
def own_database(server: str) -> Iterator[str]:
    name = f"load_{uuid.uuid4().hex[:12]}"
    parts = urlsplit(server)
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(parts._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _environment(url: str, folder: Path, profile: LoadProfile) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "tests.longrun.load.settings",
        "SECRET_KEY": "only for the load test: " + secrets.token_hex(32),
        "DEBUG": "false",
        "SECURE_COOKIES": "false",
        "SITE_SCHEME": "http",
        "LOG_LEVEL": "INFO",
        "EMAIL_URL": "dummymail://",
        "STATIC_ROOT": str(folder / "static"),
        "LOAD_POOL": "yes" if profile.pool else "no",
        "LOAD_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(PROJECT),
    }


def _make(env: dict[str, str], organisations: list[Organisation]) -> None:
    migrate = [sys.executable, str(PROJECT / "manage.py"), "migrate_schemas", "--shared", "--verbosity", "0"]
    subprocess.run(migrate, env=env, check=True)
    pairs = [f"{organisation.schema}:{organisation.canary}" for organisation in organisations]
    subprocess.run([sys.executable, "-m", "tests.longrun.load.run", "--fill", *pairs], env=env, cwd=PROJECT, check=True)


@contextmanager
def serve(env: dict[str, str], folder: Path, profile: LoadProfile) -> Iterator[int]:
    """Run the production server, as `run.py serve` does; give its port."""
    port = _free_port()
    command = [sys.executable, "-m", "config.running", "serve", "--port", str(port), "--workers", str(profile.workers)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=env, cwd=PROJECT, stdout=log, stderr=log)
    try:
        assert eventually(lambda: server.poll() is not None or _is_healthy(port))
        assert server.poll() is None, (folder / "log").read_text()
        yield port
    finally:
        server.terminate()
        server.wait(30)


def _is_healthy(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(outcome: Outcome) -> str:
    """Return the figures in words."""
    findings, profile = outcome.findings, outcome.profile
    kinds = sorted({kind for kind, _status in findings.answers})
    lines = [
        f"{profile.organisations} organisations, {profile.threads} threads, {profile.clients} asynchronous clients",
        f"{profile.workers} processes, {'with' if profile.pool else 'without'} the pool",
        f"{'kind':<16}{'answers':>9}{'own canary':>12}  statuses",
    ]
    for kind in kinds:
        statuses = {status: count for (name, status), count in sorted(findings.answers.items()) if name == kind}
        said = ", ".join(f"{status}: {count}" for status, count in statuses.items())
        lines.append(f"{kind:<16}{sum(statuses.values()):>9}{findings.own[kind]:>12}  {said}")
    lines += [
        f"{'all':<16}{findings.total:>9}{findings.own.total():>12}  in {outcome.seconds:.0f} s",
        f"requests without an answer: {findings.errors.total()} {dict(findings.errors) or ''}".rstrip(),
        f"log lines with a canary: {outcome.log_lines}; put into a cache: {outcome.cached}; rows: {outcome.rows}",
        f"canaries of another organisation: {len(findings.leaks)}",
        *findings.leaks[:20],
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run the load test with the pool and without it; return 1 if anything was found where it must not be."""
    options = _options(arguments)
    if options.fill:
        import django

        django.setup()
        fill([Organisation(*pair.split(":")) for pair in options.fill])
        return 0
    failed = 0
    for pool in (True, False):
        profile = LoadProfile(options.organisations, options.requests, options.threads, options.clients, pool=pool)
        outcome = run(profile, os.environ["DATABASE_URL"], lambda text: sys.stderr.write(f"{text}\n"))
        sys.stdout.write(f"{report(outcome)}\n\n")
        sys.stdout.flush()
        failed |= not outcome.is_clean
    return failed


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py load", description=main.__doc__)
    for name in ("organisations", "requests", "threads", "clients"):
        default = getattr(LoadProfile, name)
        parser.add_argument(f"--{name}", type=int, default=default, help=f"how many (default: {default})")
    parser.add_argument("--fill", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
