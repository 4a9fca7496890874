"""Compile one module from changed source text, in this process and in those that it starts.

Neither the file nor its cached bytecode is read for that or written: what identifies the template database, and every
other process, stays as it was.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from tests.longrun.mutation.mutations import MUTATIONS, Mutation

# The name of the mutation that a process and its children run with.
VARIABLE: Final = "MUTATION"
# Holds sitecustomize.py, which Python imports before anything else.
STARTUP: Final = Path(__file__).parent / "startup"
PROJECT: Final = Path(__file__).parents[3]


class MutationError(ImportError):
    """Raised where a mutation cannot be applied: the tests would run with the code as it is."""


class ChangedSourceLoader(SourceFileLoader):
    """A loader that replaces a piece of the text before it compiles a module."""

    def __init__(self, mutation: Mutation, path: str) -> None:
        super().__init__(mutation.module, path)
        self.mutation = mutation

    def get_code(self, fullname: str) -> CodeType:
        text = self.get_source(fullname)
        return compile(changed(text, self.mutation), self.path, "exec", dont_inherit=True)


class MutationFinder(MetaPathFinder):
    """A finder that knows one module, and leaves all others to the finders after it."""

    def __init__(self, mutation: Mutation) -> None:
        self.mutation = mutation

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.mutation.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None:
            raise MutationError(f"There is no module {fullname}.")
        spec.loader = ChangedSourceLoader(self.mutation, spec.origin)
        return spec


def changed(text: str, mutation: Mutation) -> str:
    """Return the source text with the mutation in it; MutationError unless `before` occurs exactly once."""
    count = text.count(mutation.before)
    if count != 1:
        raise MutationError(f"{mutation.name}: {mutation.before!r} occurs {count} times in {mutation.module}.")
    return text.replace(mutation.before, mutation.after)


def install(mutation: Mutation) -> None:
    """Have this process import the changed module; MutationError if it has imported it already."""
    if mutation.module in sys.modules:
        raise MutationError(f"{mutation.name}: {mutation.module} has been imported already.")
    sys.meta_path.insert(0, MutationFinder(mutation))


def install_from_environment() -> None:
    """Install the mutation that the environment names; nothing where it names none."""
    mutation = named(os.environ.get(VARIABLE, ""))
    if mutation is not None:
        install(mutation)


def named(name: str) -> Mutation | None:
    return next((mutation for mutation in MUTATIONS if mutation.name == name), None)


def require_installed(mutation: Mutation) -> None:
    """Raise MutationError unless this process imports, or has imported, the changed module."""
    finders = [each for each in sys.meta_path if isinstance(each, MutationFinder) and each.mutation == mutation]
    module = sys.modules.get(mutation.module)
    if not finders or not (module is None or isinstance(module.__loader__, ChangedSourceLoader)):
        raise MutationError(f"{mutation.name}: the tests would run with the code as it is.")


def environment_for(mutation: Mutation) -> dict[str, str]:
    """Return the variables with which Python, and each Python that it starts, imports the changed module."""
    folders = [str(STARTUP), str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {VARIABLE: mutation.name, "PYTHONPATH": os.pathsep.join(folders)}
