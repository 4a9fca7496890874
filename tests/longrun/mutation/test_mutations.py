"""The list of mutations: each still fits the code, and the tests named beside it exist."""

import os
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from py_compile import compile as cache_bytecode

import pytest
from django.conf import settings

from tests.isolation.test_leak_scenarios import is_there
from tests.longrun.mutation.changed_source import MutationError, changed, environment_for, install, require_installed
from tests.longrun.mutation.mitigations import MITIGATIONS
from tests.longrun.mutation.mutations import MUTATIONS, Mutation

SAMPLE = Mutation("The answer is wrong", "sample_of_mutation", "42", "43", ())


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that nothing has imported yet, with cached bytecode beside it."""
    file = tmp_path / f"{SAMPLE.module}.py"
    file.write_text("ANSWER = 42\n")
    cache_bytecode(str(file))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.delitem(sys.modules, SAMPLE.module, raising=False)
    return file


def source_of(module: str) -> str:
    return (Path(settings.BASE_DIR) / f"{module.replace('.', '/')}.py").read_text("utf-8")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_fits_source_and_compiles(mutation: Mutation) -> None:
    compile(changed(source_of(mutation.module), mutation), mutation.module, "exec")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_names_one_to_three_existing_tests(mutation: Mutation) -> None:
    assert 1 <= len(mutation.caught_by) <= 3
    assert [name for name in mutation.caught_by if not is_there(name)] == []


def test_mutations_have_unique_names_and_their_number_is_documented() -> None:
    names = Counter(each.name for each in (*MUTATIONS, *MITIGATIONS))
    assert len(MUTATIONS) >= 60
    assert [name for name, count in names.items() if count > 1] == []


def test_install_recompiles_module_despite_cached_bytecode(sample: Path) -> None:
    cached = {file: file.read_bytes() for file in sample.parent.rglob("*.pyc")}
    install(SAMPLE)
    assert import_module(SAMPLE.module).ANSWER == 43
    require_installed(SAMPLE)
    assert {file: file.read_bytes() for file in sample.parent.rglob("*.pyc")} == cached
    assert sample.read_text() == "ANSWER = 42\n"


def test_mutation_refuses_text_that_occurs_twice(sample: Path) -> None:
    sample.write_text("ANSWER = 42\nOTHER = 42\n")
    install(SAMPLE)
    with pytest.raises(MutationError, match="occurs 2 times"):
        import_module(SAMPLE.module)


@pytest.mark.usefixtures("sample")
def test_install_refuses_imported_module() -> None:
    import_module(SAMPLE.module)
    with pytest.raises(MutationError, match="imported already"):
        install(SAMPLE)
    with pytest.raises(MutationError, match="code as it is"):
        require_installed(SAMPLE)


@pytest.mark.integration
def test_mutation_applies_to_grandchild_processes() -> None:
    code = "from tests.longrun.mutation import changed_source as c; c.require_installed(c.named({!r}))"
    mutation = MUTATIONS[0]
    again = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code.format(mutation.name)!r}], check=True)"
    )
    subprocess.run([sys.executable, "-c", again], env={**os.environ, **environment_for(mutation)}, check=True)
