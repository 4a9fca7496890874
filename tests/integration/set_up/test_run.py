"""run.py as a person meets it: its commands, and one clear line for everything that the person can mend."""

import ast
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from config.running import packages
from config.running.folders import PROJECT
from config.running.postgres import free_port
from tests.databases import name_here
from tests.processes import HERE, PLAIN, eventually, open_folder, processes_of, run, said_in_one_line

pytestmark = pytest.mark.integration

AS_ROOT = os.geteuid() == 0
NO_CONFIGURATION = {"PIP_CONFIG_FILE": os.devnull}
NO_INDEX = {**NO_CONFIGURATION, "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0"}
SPARE = name_here("run_py_spare")
PRODUCTION = {"SECRET_KEY": "0123456789" * 6, "BASE_DOMAIN": "example.com"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@contextmanager
def running(*command: str, until: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program until it has said something, and kill it after the block if it still runs then."""
    with subprocess.Popen(command, cwd=PROJECT, env=PLAIN | env, stdout=-1, stderr=-2, text=True) as process:
        assert process.stdout is not None
        try:
            said: list[str] = []
            while not said or (said[-1] and until not in said[-1]):
                said.append(process.stdout.readline())
            assert said[-1], "".join(said)
            yield process
        finally:
            process.kill()


def demo(folder: Path, port: int, *options: str) -> AbstractContextManager[subprocess.Popen[str]]:
    return running(*HERE, "demo", "--port", str(port), *options, until="Ctrl-C stops it", RUN_DIR=str(folder))


def get(port: int, path: str = "/", host: str = "acme.localhost") -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": f"{host}:{port}"})
    try:
        with urllib.request.urlopen(request) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.fixture(scope="module")
def site() -> Iterator[Path]:
    """Keep one folder for all demos, in any order: making the organisations takes longest."""
    with open_folder() as folder:
        yield folder


class TestDemo:
    @pytest.fixture
    def port(self) -> int:
        return free_port()

    def test_demo_serves_keeps_data_and_resets(self, site: Path, port: int) -> None:
        with demo(site, port) as process:
            assert get(port) == 200
            assert get(port, host="nobody.localhost") == 404
            with psycopg.connect((site / ".run/demo/url").read_text()) as connection:
                connection.execute("CREATE TABLE public.kept ()")
            process.terminate()
            assert process.wait() == 0
        assert eventually(lambda: not processes_of(site))

        with demo(site, port) as process:
            assert self._is_kept(site)
            process.send_signal(signal.SIGINT)
            assert process.wait() == 130
            assert process.stdout is not None
            assert "Traceback" not in process.stdout.read()

        with demo(site, port, "--reset"):
            assert not self._is_kept(site)

    def test_demo_after_kill_leaves_no_processes_and_restarts(self, site: Path, port: int) -> None:
        with demo(site, port) as process:
            process.kill()
        assert eventually(lambda: not processes_of(site))
        with demo(site, port):
            assert get(port) == 200

    def test_demo_on_used_port_names_process(self, site: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            said = said_in_one_line(run(*HERE, "demo", "--port", str(port), RUN_DIR=str(site)))
        assert f"Port {port} is in use by process {os.getpid()} (" in said
        assert Path(sys.executable).name in said
        assert "choose another with --port" in said

    def test_manage_uses_database_of_running_demo(self, site: Path, port: int) -> None:
        with demo(site, port):
            count = "from tenants.models import Tenant; print('tenants:', Tenant.objects.count())"
            result = run(*HERE, "manage", "shell", "-v0", "-c", count, RUN_DIR=str(site))
        assert result.stdout.strip() == "tenants: 3"

    def _is_kept(self, site: Path) -> bool:
        with psycopg.connect((site / ".run/demo/url").read_text()) as connection:
            return bool(connection.execute("SELECT 1 FROM pg_tables WHERE tablename = 'kept'").fetchone())


class TestSetUp:
    @pytest.fixture
    def made(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Make an environment as set-up does, but for its packages: those are ours."""
        monkeypatch.setenv("RUN_DIR", str(folder))
        environment = packages.environment_dir("demo")
        venv.create(environment, symlinks=True)
        (site,) = environment.glob("lib/python*/site-packages")
        (site / "ours.pth").write_text(str(Path(psycopg.__file__).parent.parent))
        self._record(environment, "demo", packages._fingerprint("demo"))
        return environment

    def _record(self, environment: Path, name: str, fingerprint: str, python: str = packages.THIS_PYTHON) -> None:
        made = {"python": python, "files": {name: fingerprint}}
        (environment / "installed.json").write_text(json.dumps(made))

    def _check(self, made: Path) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, "run.py", "manage", "check", RUN_DIR=str(made.parent.parent), **NO_INDEX)

    def test_setup_is_skipped_with_unchanged_files(self, made: Path) -> None:
        assert self._check(made).returncode == 0

    def test_setup_runs_when_file_has_changed(self, made: Path) -> None:
        self._record(made, "demo", "of another file")
        assert "Installing the packages" in self._check(made).stdout

    def test_setup_runs_for_other_python(self, made: Path) -> None:
        self._record(made, "demo", packages._fingerprint("demo"), python="3.10")
        assert "Installing the packages" in self._check(made).stdout

    def test_setup_replaces_missing_python(self, made: Path) -> None:
        packages.python_of(made).unlink()
        assert "Installing the packages" in self._check(made).stdout
        assert packages.python_of(made).exists()

    def test_setup_of_demo_group_does_not_prepare_test_group(self, made: Path) -> None:
        assert packages._is_ready(made, "demo")
        assert not packages._is_ready(made, "test")

    def test_ensure_installed_keeps_groups_of_earlier_commands(
        self, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = tmp_path / "asked"
        self._put_uv_on_path(tmp_path, monkeypatch, f'echo "$@" > {asked}')
        packages.ensure_installed("docs")
        assert [Path(word).name for word in asked.read_text().split() if word.endswith(".txt")] == [
            "demo.txt",
            "docs.txt",
        ]
        assert packages._is_ready(made, "demo")
        assert packages._is_ready(made, "docs")

    def test_failed_download_is_reported_in_one_line(self, folder: Path) -> None:
        said = said_in_one_line(run(sys.executable, "run.py", "demo", RUN_DIR=str(folder), **NO_INDEX))
        assert "Check the network and pip's configuration (PIP_INDEX_URL" in said

    def test_failed_installation_is_reported_in_one_line(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._put_uv_on_path(folder, monkeypatch, "echo 'error: No release of colour==1.0' >&2; exit 1")
        env = {"PATH": os.environ["PATH"], "RUN_DIR": str(folder), **NO_INDEX}
        said = said_in_one_line(run(sys.executable, "run.py", "demo", **env))
        assert "colour==1.0" in said
        assert "Check the network and pip's configuration (PIP_INDEX_URL" in said

    def _put_uv_on_path(self, folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
        uv = folder / "bin" / "uv"
        uv.parent.mkdir()
        uv.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo uv 0.99.0 && exit\n{script}\n')
        uv.chmod(0o755)
        monkeypatch.setenv("PATH", str(uv.parent), prepend=":")


class TestOldPythons:
    def test_run_py_is_parsable_by_old_python(self) -> None:
        ast.parse((PROJECT / "run.py").read_text(), feature_version=(3, 4))

    def test_run_py_on_old_python_names_required_version(self) -> None:
        pretend = "import runpy, sys; sys.version_info = (3, 10, 13); runpy.run_path('run.py')"
        said = said_in_one_line(run(sys.executable, "-c", pretend))
        assert "Python 3.11 or newer is needed" in said


def _can_mount() -> bool:
    """Tell whether file systems of our own can be mounted here: in a chroot or a container even root may not."""
    if not AS_ROOT or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


class TestDisk:
    """On file systems of our own, which only root can mount."""

    pytestmark = pytest.mark.skipif(not _can_mount(), reason="only root can mount a file system, and not in every jail")

    def mounted(self, folder: Path, options: str, *command: str) -> subprocess.CompletedProcess[str]:
        script = 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"'
        within = ("unshare", "--mount", "sh", "-c", script, "sh", f"{options},mode=755", str(folder), *command)
        return run(*within, RUN_DIR=str(folder), **NO_INDEX)

    @pytest.mark.parametrize("command", [(sys.executable, "run.py", "demo"), (*HERE, "demo")])
    def test_read_only_folder_is_reported_in_one_line(self, folder: Path, command: tuple[str, ...]) -> None:
        said = said_in_one_line(self.mounted(folder, "ro", *command, "--port", str(free_port())))
        assert "Cannot use " in said
        assert "set RUN_DIR to a folder" in said

    # Full while Python's files, the database, its first tables are made.
    @pytest.mark.parametrize(
        ("size", "command"),
        [("4k", (sys.executable, "run.py", "demo")), ("20m", (*HERE, "demo")), ("40m", (*HERE, "demo"))],
    )
    def test_full_disk_is_reported_in_one_line(self, folder: Path, size: str, command: tuple[str, ...]) -> None:
        said = said_in_one_line(self.mounted(folder, f"size={size}", *command, "--port", str(free_port())))
        assert "The disk is full: make room" in said
        assert "set RUN_DIR to a folder" in said


@pytest.mark.skipif(AS_ROOT, reason="permissions do not stop root")
def test_folder_without_write_permission_is_reported_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    said = said_in_one_line(run(sys.executable, "run.py", "demo", RUN_DIR=str(tmp_path)))
    assert "Cannot use " in said


class TestDatabaseUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "nonsense",
            "mysql://user@127.0.0.1/name",
            "postgres://127.0.0.1",
            "postgres://[bad/name",
            "postgres://127.0.0.1:port/name",
            "postgres://user@127.0.0.1:9/name",
            "postgres://user@host.invalid/name",
        ],
    )
    @pytest.mark.parametrize("command", [("demo",), ("manage", "check"), ("serve",)])
    def test_invalid_database_url_is_reported_in_one_line(self, url: str, command: tuple[str, ...]) -> None:
        port = ("--port", str(free_port())) if command != ("manage", "check") else ()
        said = said_in_one_line(run(*HERE, *command, *port, DATABASE_URL=url, SECRET_KEY="x"))
        assert said.startswith("run.py: DATABASE_URL")
        assert "orrect it" in said

    def test_wrong_database_password_is_reported_without_password(self) -> None:
        url = _other_database("anything").replace(urlsplit(os.environ["DATABASE_URL"]).password or "-", "wr0ng")
        result = run(*HERE, "manage", "check", DATABASE_URL=url)
        if result.returncode:  # a server of the person's own may ask for none
            assert "wr0ng" not in said_in_one_line(result)

    def test_pytest_with_invalid_database_url_fails_in_one_line(self) -> None:
        result = run(sys.executable, "-m", "pytest", "tests/integration/set_up/test_run.py", DATABASE_URL="nonsense")
        assert result.returncode == pytest.ExitCode.USAGE_ERROR
        assert result.stderr.strip().startswith("ERROR: DATABASE_URL is not of the form")
        assert len(result.stderr.strip().splitlines()) == 1

    def test_manage_creates_missing_database(self, spare_database: str) -> None:
        assert run(*HERE, "manage", "check", DATABASE_URL=spare_database).returncode == 0
        with psycopg.connect(spare_database) as connection:
            assert connection.info.dbname == SPARE

    def test_demo_reset_refuses_external_database(self) -> None:
        result = run(*HERE, "demo", "--port", str(free_port()), "--reset", DATABASE_URL="postgres://u@h/n")
        assert "drop the one in DATABASE_URL yourself" in said_in_one_line(result)


@pytest.mark.parametrize(("key", "debug"), [("", "True"), ("of my own", "False")])
def test_manage_uses_debug_only_without_secret_key(key: str, debug: str) -> None:
    program = "from django.conf import settings; print(settings.DEBUG)"
    env = {"DATABASE_URL": _other_database("postgres"), "SECRET_KEY": key}
    assert run(*HERE, "manage", "shell", "-v0", "-c", program, **env).stdout.strip() == debug


class TestServe:
    def test_serve_runs_for_production_and_ends_on_sigterm(self, spare_database: str, tmp_path: Path) -> None:
        port = free_port()
        env = {**PRODUCTION, "DATABASE_URL": spare_database, "STATIC_ROOT": str(tmp_path)}
        with running(*HERE, "serve", "--port", str(port), "--migrate", until="Serving on", **env) as process:
            assert eventually(lambda: self._is_healthy(port))
            assert get(port, host="nobody.example.com") == 404
            process.terminate()
            assert process.wait() in {0, -signal.SIGTERM}
        assert list(tmp_path.glob("staticfiles.json"))

    @pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL"])
    def test_serve_without_required_variable_names_it(self, name: str) -> None:
        env = {"SECRET_KEY": "x", "DATABASE_URL": "postgres://u@h/n"} | {name: ""}
        assert f"{name} is not set" in said_in_one_line(run(*HERE, "serve", **env))

    def test_serve_refuses_debug(self) -> None:
        env = {"SECRET_KEY": "x", "DATABASE_URL": "postgres://u@h/n", "DEBUG": "on"}
        assert "DEBUG is on" in said_in_one_line(run(*HERE, "serve", **env))

    def test_serve_refuses_settings_that_fail_checks(self, spare_database: str) -> None:
        env = {**PRODUCTION, "DATABASE_URL": spare_database, "BASE_DOMAIN": "example.com", "TIME_ZONE": "Nowhere"}
        said = said_in_one_line(run(*HERE, "serve", "--port", str(free_port()), **env))
        assert "manage.py check failed" in said

    def _is_healthy(self, port: int) -> bool:
        try:
            return get(port, "/healthz", host="127.0.0.1") == 200
        except urllib.error.URLError:
            return False


class TestDocs:
    @pytest.fixture(autouse=True)
    def _sphinx(self) -> None:
        # What only developers need is not there where nothing but the tests has been installed.
        pytest.importorskip("sphinx")

    def test_docs_builds_pages_and_reports_path(self, tmp_path: Path) -> None:
        result = run(*HERE, "docs", RUN_DIR=str(tmp_path))
        assert (result.returncode, result.stderr) == (0, "")
        place = Path(result.stdout.strip().rpartition(" is in ")[2])
        assert place.is_relative_to(tmp_path)
        assert "From an empty product to the first broadcast" in place.read_text()


class TestUsage:
    def test_run_py_without_command_lists_commands(self) -> None:
        result = run(sys.executable, "run.py")
        assert result.returncode == 2
        assert all(f"run.py {name}" in result.stderr for name in ("demo", "test", "manage", "serve", "check", "docs"))

    @pytest.mark.parametrize("port", ["0", "65536", "http"])
    def test_demo_refuses_invalid_port(self, port: str) -> None:
        result = run(*HERE, "demo", "--port", port)
        assert result.returncode == 2
        assert result.stderr.splitlines()[-1].endswith("choose a number from 1 to 65535")


@pytest.fixture
def spare_database() -> Iterator[str]:
    """Give the URL of a database that is not there yet; it is dropped afterwards."""
    yield _other_database(SPARE)
    with psycopg.connect(_other_database("postgres"), autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(SPARE)))


def _other_database(name: str) -> str:
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
