"""The commands of run.py."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from config.running.failures import Failure, explain
from config.running.folders import PROJECT
from config.running.packages import ensure_installed
from config.running.requirements_lock import OTHER_DJANGOS, lock

# The requirements file of each command. The commands are functions of the module `commands`, which imports installed
# packages.
REQUIREMENTS = {
    "demo": "demo",
    "test": "test",
    "mutate": "test",
    "load": "test",
    "fuzz": "fuzz",
    "chaos": "test",
    "manage": "demo",
    "serve": "serve",
    "bench": "bench",
    "check": "check",
    "docs": "docs",
    "audit": "check",
}
COMMANDS = (*REQUIREMENTS, "lock")
USAGE = """\
python3 run.py demo [--port N] [--reset]   the whole thing on this machine, with its own database and demo data
python3 run.py test [pytest arguments]     all tests, or those you name; --quick: unit tests; --longrun: what takes
                                           long; --django 6.1, given first: with that release
python3 run.py mutate [part of a name]     break one rule at a time, by taking out or changing code: a test must fail
python3 run.py load [--requests N] ...     many organisations at one server, each answer searched for another's
python3 run.py fuzz [--inputs N] ...       malicious input at every address, counted by kind
python3 run.py chaos [--seconds N] ...     the database and workers killed, cut and filled up under load
python3 run.py manage ...                  Django's commands, on the demo's database or DATABASE_URL
python3 run.py check                       lint, types, import contracts, missing migrations, the documentation
python3 run.py docs                        the documentation, as pages for a browser
python3 run.py audit                       known weaknesses of the packages that are locked
python3 run.py lock [--upgrade] [--check]  compile the files in requirements/ from pyproject.toml
python3 run.py bench [--quick] [--only 3,4]  what it costs, beside other packages and plain SQL
python3 run.py serve [--port N] ...        for production: settings and secrets come from the environment

DATABASE_URL names a PostgreSQL server to use instead of the embedded one. RUN_DIR moves .run (the
packages and the databases) out of the project's folder. Any of them with --help says more."""


def main(arguments: Sequence[str], *, set_up: bool) -> int:
    """Run a command, after installing its packages if `set_up`; errors that a user can fix are reported in one line."""
    name, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if name not in COMMANDS:
        print(USAGE, file=sys.stdout if name in {"-h", "--help", "help"} else sys.stderr)
        return 0 if name in {"-h", "--help", "help"} else 2
    signal.signal(signal.SIGTERM, _stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, _stop)
    os.chdir(PROJECT)
    try:
        return _set_up_and_run(name, rest) if set_up and name in REQUIREMENTS else _run(name, rest)
    except Failure as failure:
        return _say(failure)
    except OSError as error:
        return _say(explain(error))
    except KeyboardInterrupt:
        return 130


def _set_up_and_run(name: str, rest: list[str]) -> int:
    requirements = REQUIREMENTS[name]
    if name == "test" and rest[:1] == ["--django"]:
        requirements, rest = _with_other_django(rest[1:2]), rest[2:]
    python = str(ensure_installed(requirements))
    again = [python, "-m", "config.running", name, *rest]
    if os.name != "nt":  # there, exec would give the terminal back before the command ends
        os.execv(python, again)
    return subprocess.call(again)


def _run(name: str, rest: list[str]) -> int:
    if name == "lock":
        return lock(rest)
    from config.running import commands

    code: int = getattr(commands, name)(rest)
    return code


def _with_other_django(wanted: list[str]) -> str:
    if not set(wanted) & set(OTHER_DJANGOS):
        raise Failure(f"--django takes one of {', '.join(OTHER_DJANGOS)}; without it the tests run with Django 5.2.")
    if sys.version_info < (3, 12):
        raise Failure(f"Django {wanted[0]} needs Python 3.12 or newer: python3.13 run.py test --django {wanted[0]}")
    return f"test-django-{wanted[0]}"


def _stop(number: int, _frame: object) -> None:
    # Raise an exception, like Ctrl-C, so that children are stopped in order.
    raise SystemExit(128 + number)


def _say(failure: Failure) -> int:
    print(f"run.py: {failure}", file=sys.stderr)
    return 1
