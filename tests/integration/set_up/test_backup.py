"""The page on backups, done for real: one organisation is saved, lost and brought back while the others go on."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from config.running import binaries
from config.running.folders import PROJECT
from tests.documentation import DOCS, blocks_of
from tests.processes import PLAIN
from tests.upgrade.hosts import connect, database, server

pytestmark = [pytest.mark.integration, pytest.mark.longrun]

PAGE = DOCS / "how-to" / "backup.md"
SAVE, RESTORE, FORGET, LOOK = (block.code for block in blocks_of(PAGE))
FILL = """
from datetime import timedelta

from django.utils import timezone
from django_tenants.utils import schema_context
from messages_extends.api import ALL_TENANTS, EVERYONE, announce, broadcast, inbox, send
from tenants.people.models import User

with schema_context("platform"):
    news = broadcast("to all organisations", to=ALL_TENANTS, author="Support")
for schema in ("acme", "globex"):
    with schema_context(schema):
        bob = User.objects.create_user("bob@acme.example", name="bob")
        send(bob, "read before")
        announce("to everyone", to=EVERYONE)
        inbox(bob).mark_all_read()
        send(bob, f"unread at {schema}", key="news")
        announce("the latest", to=EVERYONE)
        labels = {"title": "Office", "url": "/plan/", "url_label": "See the plan", "display": "inbox", "group": "rooms"}
        send(bob, "It is closed.", **labels)
        send(bob, "Long ago", category="history")
        announce("Fire drill", to=EVERYONE, title="Office")
        entries = {str(entry): entry.pk for entry in inbox(bob).page().entries}
        inbox(bob).save(entries["Office: It is closed."], entries["Office: Fire drill"])
        inbox(bob).archive(entries["Long ago"], entries["to everyone"])
        inbox(bob).snooze(entries["to all organisations"], until=timezone.now() + timedelta(days=7))
        send(bob, "in a week", publish_at=timezone.now() + timedelta(days=7))
"""
LOSE = """
from django.db import connection
from django_tenants.utils import schema_context
from messages_extends.api import send
from tenants.people.models import User

with schema_context("acme"):
    User.objects.filter(name="bob").delete()
with schema_context("globex"):
    send(User.objects.get(name="bob"), "since the backup")
"""
READ = """
from django_tenants.utils import schema_context
from messages_extends.api import inbox
from tenants.people.models import User

with schema_context("acme"):
    bob = User.objects.get(name="bob")
    found = {view: inbox(bob).page(view=view).entries for view in ("inbox", "saved", "snoozed", "archived")}
    print({view: sorted((str(entry), entry.read) for entry in entries) for view, entries in found.items()})
"""
SAVED = [("Office: Fire drill", False), ("Office: It is closed.", False)]
BOBS = {
    "inbox": [*SAVED, ("read before", True), ("the latest", False), ("unread at acme", False)],
    "saved": SAVED,
    "snoozed": [("to all organisations", True)],
    "archived": [("Long ago", True), ("to everyone", True)],
}


@dataclass(frozen=True)
class Site:
    """The reference product with a database of its own."""

    database: str
    folder: Path
    programs: Path

    @property
    def address(self) -> str:
        given = server()
        login = f"{given.get('PGUSER', '')}:{given.get('PGPASSWORD', '')}"
        return f"postgres://{login}@{given['PGHOST']}:{given['PGPORT']}/{self.database}"

    def run(self, commands: str) -> str:
        """Run what the page says, by the shell, in a folder where nothing else is."""
        path = f"{self.programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = PLAIN | {"DATABASE_URL": self.address, "PATH": path, "SECRET_KEY": "0123456789" * 6}
        done = subprocess.run(
            ["bash", "-e", "-c", commands], cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def shell(self, code: str) -> str:
        return self.run(f"python manage.py shell -v0 <<'END'\n{code}\nEND\n")

    def dump(self, schema: str) -> str:
        """Return all that is in a schema, as PostgreSQL itself writes it down."""
        text = self.run(f'pg_dump --schema={schema} "$DATABASE_URL"')
        # Random words that guard the restoring of a text.
        return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)

    def of_another(self, name: str) -> "Site":
        return Site(name, self.folder, self.programs)


def programs() -> Path:
    """Return the folder of PostgreSQL's programs in the server's own version."""
    with connect("postgres") as connection:
        major = connection.info.server_version // 10_000
    for folder in (*binaries._in_wheel(), *binaries._on_system()):
        if binaries._major_version(folder) == major and (folder / "pg_dump").exists():
            return folder
    pytest.skip(f"there is no pg_dump of PostgreSQL {major} here")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with database() as name:
        site = Site(name, _folder(tmp_path_factory.mktemp("backup")), programs())
        site.run("python manage.py migrate_schemas -v0")
        for schema in ("acme", "globex", "platform"):
            new = f"create_organisation {schema} --name {schema} --admin-email admin@{schema}.example"
            site.run(f"echo 'open sesame, please' | python manage.py {new}")
        site.shell(FILL)
        yield site


@pytest.fixture
def site(made: Site, tmp_path: Path) -> Iterator[Site]:
    with database(made.database) as name:
        yield Site(name, _folder(tmp_path), made.programs)


def _folder(path: Path) -> Path:
    """Prepare a folder where commands leave their files."""
    (path / "manage.py").symlink_to(PROJECT / "manage.py")
    return path


def what_bob_reads(site: Site) -> object:
    return eval(site.shell(READ))


def test_restore_recovers_lost_tenant_and_leaves_others_unchanged(site: Site) -> None:
    before = site.dump("acme")
    site.run(SAVE)
    site.shell(LOSE)
    there = site.dump("globex")
    assert "since the backup" in there
    assert site.dump("acme") != before

    site.run(RESTORE)
    assert site.dump("acme") == before, "rows, triggers, foreign keys, indexes and sequences"
    assert site.dump("globex") == there
    assert what_bob_reads(site) == BOBS


def test_restored_tenant_keeps_audit_trigger_and_sequences(site: Site) -> None:
    site.run(SAVE)
    site.run(RESTORE)
    with connect(site.database) as connection:
        connection.execute("SET search_path = acme")
        with pytest.raises(psycopg.errors.RestrictViolation, match="The records in"):
            connection.execute("DELETE FROM messages_extends_auditrecord")
        columns = "level, message, params, extra_tags, url, is_safe, key, created, modified, user_id"
        numbers = [row["id"] for row in connection.execute("SELECT id FROM messages_extends_message")]
        new = connection.execute(
            f"INSERT INTO messages_extends_message ({columns}) SELECT {columns.replace('key', repr('another'))} "
            "FROM messages_extends_message WHERE key <> '' RETURNING id"
        ).fetchone()
    assert new is not None
    assert new["id"] > max(numbers)


def test_removal_of_old_schema_after_restore_leaves_restored_tenant(site: Site) -> None:
    site.run(SAVE)
    site.run(RESTORE)
    site.run(FORGET)
    with connect(site.database) as connection:
        found = connection.execute("SELECT schema_name FROM information_schema.schemata").fetchall()
    assert {row["schema_name"] for row in found} & {"acme", "acme_before", "globex"} == {"acme", "globex"}
    assert what_bob_reads(site) == BOBS


def test_backup_of_one_tenant_can_be_read_in_separate_database(site: Site) -> None:
    name = f"{site.database}_looking"
    try:
        site.run(LOOK.replace("looking", name))
        other = site.of_another(name)
        assert other.dump("acme").replace(name, site.database) == site.dump("acme")
        assert what_bob_reads(other) == BOBS
        with pytest.raises(AssertionError, match='relation "people_user" does not exist'):
            other.shell(READ.replace("acme", "globex"))
    finally:
        with connect("postgres") as connection:
            connection.execute(psycopg.sql.SQL("DROP DATABASE IF EXISTS {}").format(psycopg.sql.Identifier(name)))


def test_restore_recovers_removed_tenant(site: Site) -> None:
    before = site.dump("acme")
    site.run(SAVE)
    site.run("python manage.py remove_organisation acme --yes acme")
    site.run("echo 'open sesame, please' | python manage.py create_organisation acme --name Acme --admin-email x@y.zz")
    site.run(RESTORE)
    assert site.dump("acme") == before
