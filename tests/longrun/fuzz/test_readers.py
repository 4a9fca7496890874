"""The rules of what reads texts from outside, for texts that Hypothesis makes; and led by the coverage of the code."""

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Final

import pytest

from tests.longrun.fuzz.readers import RULES
from tests.longrun.fuzz.test_entry_points import INPUTS, SEED, note_down

# A rule is tried with fewer texts than all addresses are sent inputs; in the suite, one rule with a few.
TEXTS: Final = max(300, INPUTS // 20)
LED: Final = list(RULES) if INPUTS else list(RULES)[:1]


@pytest.mark.parametrize("name", RULES)
def test_reader_rule_holds_for_generated_text(name: str) -> None:
    RULES[name]()


@pytest.mark.skipif(find_spec("atheris") is None, reason="Atheris is made for Linux on x86-64 only.")
@pytest.mark.longrun
@pytest.mark.parametrize("name", LED)
def test_reader_rule_holds_for_coverage_guided_text(name: str) -> None:
    command = [sys.executable, "-m", "tests.longrun.fuzz.guided", name, f"--inputs={TEXTS}", f"--seed={SEED + 1}"]
    env = {**os.environ, "LOG_LEVEL": "ERROR"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert f"tried: {TEXTS}" in done.stdout, done.stderr
    note_down(f"led by coverage: {TEXTS} texts: {name}")
