"""Compile the files in requirements/ from pyproject.toml: `python3 run.py lock`.

It uses the pinned uv, because other releases may format the same versions differently.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from config.running.failures import Failure
from config.running.packages import REQUIREMENTS
from config.running.progress import say
from config.running.uv import pinned_uv, run_uv

COMMAND = "python3 run.py lock"
# The complete file first, because the other files take their versions from it.
GROUPS = ("dev", "serve", "demo", "test", "docs", "check", "bench", "fuzz")
# The tests for the other supported releases of Django.
OTHER_DJANGOS = ("6.0", "6.1")


@dataclass(frozen=True)
class Target:
    """A file in requirements/ and its dependencies."""

    name: str
    source: str
    python: str
    constraints: tuple[str, ...] = ()
    # Files in the same folder from which the versions are taken.
    like: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return f"{self.name}.txt"


TARGETS = (
    Target("uv", "uv", "3.11"),
    # For the test of the oldest supported uv.
    Target("uv-oldest", "uv==0.5.0", "3.11"),
    *(
        Target(name, f"group:{name}", "3.11", ("django~=5.2.0",), () if name == "dev" else ("dev.txt",))
        for name in GROUPS
    ),
    *(Target(f"test-django-{django}", "group:test", "3.12", (f"django~={django}.0",)) for django in OTHER_DJANGOS),
)


def lock(arguments: list[str]) -> int:
    """Compile all files in requirements/, keeping versions that are still allowed."""
    options = _options(arguments)
    if options.check:
        _check()
    else:
        _compile_all(REQUIREMENTS, upgrade=options.upgrade)
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py lock", description=lock.__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--upgrade", action="store_true", help="take the newest versions instead")
    choice.add_argument("--check", action="store_true", help="change nothing; fail if a file would change")
    return parser.parse_args(arguments)


def _check() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        copies = Path(scratch) / "requirements"
        shutil.copytree(REQUIREMENTS, copies)
        _compile_all(copies, upgrade=False)
        changed = [
            target.file
            for target in TARGETS
            if not (REQUIREMENTS / target.file).exists()
            or (copies / target.file).read_bytes() != (REQUIREMENTS / target.file).read_bytes()
        ]
    unknown = {path.name for path in REQUIREMENTS.glob("*.txt")} - {target.file for target in TARGETS}
    if changed or unknown:
        raise Failure(
            f"requirements/ is not what pyproject.toml says ({', '.join([*changed, *sorted(unknown)])}): "
            f"run {COMMAND}, and delete files that it does not write."
        )
    say("The files in requirements/ are what pyproject.toml says.")


def _compile_all(folder: Path, *, upgrade: bool) -> None:
    for target in TARGETS:
        _compile(target, folder, upgrade=upgrade)


def _compile(target: Target, folder: Path, *, upgrade: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "wanted"
        wanted.write_text(target.source if not target.source.startswith("group:") else "")
        constraints = Path(scratch) / "constraints"
        constraints.write_text("\n".join(target.constraints))
        run_uv(
            f"Compiling requirements/{target.file}",
            *("compile", "--universal", "--python-version", target.python, "--generate-hashes", "--no-strip-extras"),
            *("--no-annotate", "--no-emit-index-url", "--custom-compile-command", COMMAND),
            *_sources(target, wanted),
            *("--constraint", constraints, *_constraints(target, folder)),
            *(["--upgrade"] if upgrade else []),
            *("--output-file", folder / target.file),
            uv=pinned_uv(),
        )


def _sources(target: Target, wanted: Path) -> Iterable[str | Path]:
    if target.source.startswith("group:"):
        return ("pyproject.toml", "--group", target.source.removeprefix("group:"))
    return (wanted,)


def _constraints(target: Target, folder: Path) -> Iterable[str | Path]:
    return (word for name in target.like for word in ("--constraint", folder / name))
