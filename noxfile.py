"""The tests on every Django and Python that we support: `nox`; and the lock: `nox -s lock` renews it.

A missing interpreter is an error where CI is set, or with --error-on-missing-interpreters; elsewhere it is skipped.
"""

from pathlib import Path

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "virtualenv"

MATRIX = [
    nox.param(python, django, id=f"python{python}-django{django}")
    for django, pythons in {
        "5.2": ("3.11", "3.12", "3.13"),
        "6.0": ("3.12", "3.13"),
        "6.1": ("3.12", "3.13"),
    }.items()
    for python in pythons
]
PYPROJECT = nox.project.load_toml("pyproject.toml")
GROUPS = nox.project.dependency_groups(PYPROJECT, "serve", "test")


@nox.session
@nox.parametrize("python,django", MATRIX)
def tests(session: nox.Session, django: str) -> None:
    """Run every suite, or what the arguments name."""
    if django == "5.2":
        session.install("--require-hashes", "-r", "requirements/test.txt")
    else:
        requirements = PYPROJECT["project"]["dependencies"]
        session.install("-c", f"requirements/django-{django}.txt", *requirements, *GROUPS)
    session.run("python", "-m", "config.running", "test", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Write the lock anew, with the newest versions: for Django 5.2 with hashes, and constraints for the others."""
    session.install("uv")
    for level, groups in (("dev", ["dev"]), ("test", ["serve", "test"]), ("serve", ["serve"])):
        # The smaller ones have the versions of the whole.
        like = _django_range(session, "5.2") if level == "dev" else "requirements/dev.txt"
        _compile(session, f"{level}.txt", groups, like, "3.11", "--generate-hashes")
    for django in ("6.0", "6.1"):
        _compile(session, f"django-{django}.txt", ["serve", "test"], _django_range(session, django), "3.12")


def _django_range(session: nox.Session, django: str) -> str:
    constraint = Path(session.create_tmp()) / f"django-{django}"
    constraint.write_text(f"django~={django}.0\n")
    return str(constraint)


def _compile(session: nox.Session, file: str, groups: list[str], like: str, python: str, *options: str) -> None:
    session.run(
        *("uv", "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", python, *options),
        *("--no-annotate", "--no-emit-index-url", "--custom-compile-command", "nox -s lock"),
        *("-c", like, *(f"--group={group}" for group in groups), "pyproject.toml", "-o", f"requirements/{file}"),
    )
