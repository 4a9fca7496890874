"""The implementations of the commands of run.py, which need the installed packages."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten

from config.running.auditing import audit_lock
from config.running.children import child, tie_to_us
from config.running.database import database_for_demo, database_for_tests, ensure_database
from config.running.failures import Failure, explain_output
from config.running.folders import PROJECT, kept_secret, run_dir, state_dir
from config.running.ports import check_port
from config.running.progress import say, step

PYTHON = sys.executable
MANAGE = (PYTHON, str(PROJECT / "manage.py"))
# Streams do not end by themselves: without a limit, a stopping server would wait for them.
UVICORN = (PYTHON, "-m", "uvicorn", "config.asgi:application", "--timeout-graceful-shutdown", "5")
# Build from scratch, because existing pages would not be checked again.
SPHINX = (PYTHON, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "--nitpicky", "--fresh-env", "--quiet")
SCRIPTS = ("messages_extends/static", "config/static")
STYLELINT = Path(__file__).parent / "stylelint"
HOW_TO_MAKE_A_KEY = 'python3 -c "import secrets; print(secrets.token_urlsafe(50))"'


def demo(arguments: list[str]) -> int:
    """Run the reference product on this machine, with demo data."""
    options = _demo_options(arguments)
    check_port("127.0.0.1", options.port)
    if options.reset:
        _reset()
    try:
        with database_for_demo() as url:
            env = _demo_environment(url, options.port)
            with step("Preparing the tables"):
                _managed(env, "migrate_schemas", "--verbosity", "0")
            _managed(env, "seed_demo", "--port", str(options.port))
            check_port("127.0.0.1", options.port)
            return _serve_demo(env, options.port)
    except SystemExit:  # SIGTERM is a way to end it like any other
        return 0


def test(arguments: list[str]) -> int:
    """Run pytest with these arguments, in several processes unless they select tests."""
    chosen = any(not each.startswith("-") or each in {"-h", "--help", "--pdb"} for each in arguments)
    return _call([PYTHON, "-m", "pytest", *([] if chosen else _at_once()), *arguments], os.environ)


def _at_once() -> list[str]:
    # One more than the number of cores, because tests wait for servers and browsers.
    processes = (os.cpu_count() or 1) + 1
    return [f"--numprocesses={processes}", "--dist=worksteal", "--durations=20"]


def mutate(arguments: list[str]) -> int:
    """Break one rule at a time, and report which test fails."""
    with database_for_tests() as url:
        return _call([PYTHON, "-m", "tests.longrun.mutation.run", *arguments], {**os.environ, "DATABASE_URL": url})


def load(arguments: list[str]) -> int:
    """Send concurrent requests of many organisations, and search each response for another one's data."""
    with database_for_tests() as url:
        return _call([PYTHON, "-m", "tests.longrun.load.run", *arguments], {**os.environ, "DATABASE_URL": url})


def fuzz(arguments: list[str]) -> int:
    """Send malicious input to every URL, and count requests, responses and findings."""
    with database_for_tests() as url:
        return _call([PYTHON, "-m", "tests.longrun.fuzz.run", *arguments], {**os.environ, "DATABASE_URL": url})


def chaos(arguments: list[str]) -> int:
    """Kill and interrupt the services that the product depends on, and count lost writes."""
    return _call([PYTHON, "-m", "tests.longrun.chaos.run", *arguments], os.environ)


def manage(arguments: list[str]) -> int:
    """Run a management command on the demo's database, or on DATABASE_URL."""
    with database_for_demo() as url:
        # If the key is set, this is another environment, possibly production.
        env = {**os.environ, "DATABASE_URL": url} if os.environ.get("SECRET_KEY") else _demo_environment(url)
        return _call([*MANAGE, *arguments], env)


def check(arguments: list[str]) -> int:
    """Run all checks that are not tests."""
    tools = [str(Path(PYTHON).parent / name) for name in ("ruff", "mypy", "lint-imports", "djade", "deno")]
    ruff, mypy, lint_imports, djade, deno = tools
    commands = [
        [ruff, "check"],
        [ruff, "format", "--check"],
        [mypy, "."],
        [lint_imports],
        # deno.json lists the files.
        [deno, "fmt", "--check"],
        [deno, "lint"],
        [deno, "check", *SCRIPTS],
        [djade, "--target-version", "5.2", "--check", *_templates()],
        _build_docs(),
    ]
    with database_for_tests() as url:
        ensure_database(url)
        env = {**_demo_environment(url), **deno_environment()}
        commands.append([*MANAGE, "makemigrations", "--check", "--dry-run"])
        if fetch_css_linter(deno, env):
            commands.append(lint_css(deno, _style_sheets()))
        else:
            say("NOT LINTED: the style sheets, as the npm registry cannot be reached from here.")
        failed = [command for command in commands if _call(command, env)]
    for command in failed:
        words = shorten(" ".join([Path(command[0]).name, *command[1:]]), 120, placeholder=" …")
        print(f"run.py: failed: {words}", file=sys.stderr)
    return 1 if failed else 0


def audit(arguments: list[str]) -> int:
    """Look up known vulnerabilities of the locked packages."""
    argparse.ArgumentParser(prog="run.py audit", description=audit.__doc__).parse_args(arguments)
    print(f"run.py: {audit_lock()}")
    return 0


def docs(arguments: list[str]) -> int:
    """Build the documentation as HTML; a broken link is a failure."""
    argparse.ArgumentParser(prog="run.py docs", description=docs.__doc__).parse_args(arguments)
    failed = _call(_build_docs(), os.environ)
    if not failed:
        say(f"The documentation is in {_built_docs() / 'index.html'}")
    return failed


def bench(arguments: list[str]) -> int:
    """Run the benchmarks and write docs/benchmarks.md; with --quick only print the results."""
    with database_for_demo() as url:
        ensure_database(url)
        return _call([PYTHON, "-m", "benchmarks", *arguments], {**os.environ, "DATABASE_URL": url})


def serve(arguments: list[str]) -> int:
    """Run the checks, then replace this process by the production server."""
    options = _serve_options(arguments)
    env = _production_environment()
    check_port(options.host, options.port)
    ensure_database(env["DATABASE_URL"])
    _managed(env, "check", "--deploy", "--fail-level", "ERROR")
    if options.migrate:
        _managed(env, "migrate_schemas", "--verbosity", "0")
    _managed(env, "collectstatic", "--noinput", "--verbosity", "0")
    listen = ["--host", options.host, "--port", str(options.port), "--no-server-header"]
    workers = ["--workers", str(options.workers)] if options.workers else []
    say(f"Serving on {options.host}, port {options.port}.")
    os.execve(PYTHON, [*UVICORN, *listen, *workers], env)


def _templates() -> list[str]:
    folders = [PROJECT / name for name in ("messages_extends", "config", "tests")]
    found = (folder.rglob(pattern) for folder in folders for pattern in ("*.html", "email/*.txt"))
    return sorted(str(path.relative_to(PROJECT)) for paths in found for path in paths)


def _style_sheets() -> list[str]:
    return sorted(str(path.relative_to(PROJECT)) for name in SCRIPTS for path in (PROJECT / name).rglob("*.css"))


def fetch_css_linter(deno: str, env: dict[str, str]) -> bool:
    """Fetch stylelint into Deno's cache, and return False if the npm registry cannot be reached.

    The hashes are in deno.lock. Raises Failure when what is fetched differs from them.
    """
    command = [deno, "cache", "--quiet", "--frozen", f"--config={STYLELINT / 'deno.json'}", str(STYLELINT / "lint.js")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode and "error sending request" not in done.stderr:
        raise Failure(f"Deno cannot fetch stylelint: {done.stderr.strip()}")
    return not done.returncode


def lint_css(deno: str, files: list[str]) -> list[str]:
    """Return the command that lints these style sheets with stylelint."""
    permissions = ("--allow-read", "--allow-env", "--allow-sys")
    return [
        deno,
        "run",
        "--quiet",
        "--frozen",
        *permissions,
        f"--config={STYLELINT / 'deno.json'}",
        str(STYLELINT / "lint.js"),
        *files,
    ]


def deno_environment() -> dict[str, str]:
    """Return the environment with which Deno keeps its cache in this project."""
    return {"DENO_DIR": str(state_dir() / "deno"), "DENO_NO_UPDATE_CHECK": "1"}


def _build_docs() -> list[str]:
    return [*SPHINX, str(PROJECT / "docs"), str(_built_docs())]


def _built_docs() -> Path:
    return run_dir() / "build" / "docs"


def _demo_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py demo", description=demo.__doc__)
    parser.add_argument("--port", type=_port, default=8000, help="where it answers (default: 8000)")
    parser.add_argument("--reset", action="store_true", help="throw the demo's data away and start over")
    return parser.parse_args(arguments)


def _serve_options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py serve", description=serve.__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, help="the port to listen on (default: 8000)")
    parser.add_argument(
        "--workers", type=int, default=None, help="how many processes answer (default: WEB_CONCURRENCY, or 1)"
    )
    parser.add_argument(
        "--migrate", action="store_true", help="bring the tables of every organisation up to date first"
    )
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port: choose a number from 1 to 65535")


def _reset() -> None:
    if os.environ.get("DATABASE_URL"):
        raise Failure("--reset is for the demo's own database: drop the one in DATABASE_URL yourself, or unset it.")
    from config.running.postgres import reset_demo

    reset_demo()


def _demo_environment(url: str, port: int | None = None) -> dict[str, str]:
    defaults = {
        "DEBUG": "true",
        "LOG_LEVEL": "WARNING",
        "SECURE_COOKIES": "false",
        "SITE_PORT": str(port or ""),
        "SECRET_KEY": kept_secret(state_dir() / "secret-key"),
    }
    chosen = {name: value for name, value in os.environ.items() if value}
    return {**defaults, **chosen, "DATABASE_URL": url}


def _production_environment() -> dict[str, str]:
    env = {"STATIC_MANIFEST": "true", **os.environ}
    for name, example in (
        ("SECRET_KEY", HOW_TO_MAKE_A_KEY),
        ("DATABASE_URL", "postgres://user:password@host:5432/name"),
    ):
        if not env.get(name):
            raise Failure(f"{name} is not set: set it in the environment, for example to {example}")
    if env.get("DEBUG", "").lower() not in {"", "0", "false", "no", "off"}:
        raise Failure("DEBUG is on, which shows secrets to visitors: unset it.")
    return env


def _managed(env: Mapping[str, str], *arguments: str) -> None:
    """Run a management command as a step; its stderr is used for the line about a failure."""
    tied = tie_to_us(signal.SIGTERM)
    done = subprocess.run(
        [*MANAGE, *arguments], env=env, stderr=subprocess.PIPE, text=True, check=False, preexec_fn=tied
    )
    if done.returncode:
        raise explain_output(f"manage.py {arguments[0]}", done.stderr, remedy="")


def _serve_demo(env: Mapping[str, str], port: int) -> int:
    command = [*UVICORN, "--port", str(port), "--log-level", "warning"]
    with child(command, env, last=signal.SIGTERM) as server:
        while not _answers(port):
            if server.poll() is not None:
                raise Failure("The server did not come up; what it said is above.")
            time.sleep(0.05)
        say(f"Running at http://localhost:{port}. Ctrl-C stops it; what you change is kept.")
        return server.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _call(command: list[str], env: Mapping[str, str]) -> int:
    """Run a program in the foreground, which handles Ctrl-C itself."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with child(command, env, last=signal.SIGTERM) as process:
            return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
