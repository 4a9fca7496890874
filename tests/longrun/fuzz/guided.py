"""Tries one rule of readers.py, by its name, with inputs that lead along branches of the code not yet seen.

Atheris makes bytes, of which Hypothesis makes what the rule asks for. It ends with an error, and the input, where the
rule does not hold; otherwise it says how many inputs the rule was tried with.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import atheris
import django

LONGEST: Final = 4_096
SEEDS: Final = 32


def main(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    # Only what is imported here is watched.
    with atheris.instrument_imports(include=["messages_extends", "tenants"]):
        django.setup()
        from tests.longrun.fuzz.readers import RULES
    folder = Path(tempfile.mkdtemp(prefix="guided-"))
    _plant(folder, options.seed)
    how = [f"-seed={options.seed}", f"-max_len={LONGEST}", "-len_control=0", f"-artifact_prefix={folder}/"]
    tried = _until(options.inputs, RULES[options.rule].hypothesis.fuzz_one_input, folder)
    atheris.Setup([sys.argv[0], *how, str(folder)], tried)
    atheris.Fuzz()


def _plant(folder: Path, seed: int) -> None:
    """Give it bytes to begin with that are enough for an example: of fewer, Hypothesis makes none."""
    made = random.Random(seed)
    for number in range(SEEDS):
        (folder / f"seed-{number}").write_bytes(made.randbytes(LONGEST // 4))


def _until(inputs: int, holds: Callable[[bytes], Any], folder: Path) -> Callable[[bytes], None]:
    """Let the process end once the rule was tried with so many inputs."""
    count = 0

    def one(data: bytes) -> None:
        nonlocal count
        # None: these bytes made no example.
        count += holds(data) is not None
        if count == inputs:
            sys.stdout.write(f"tried: {count}\n")
            sys.stdout.flush()
            shutil.rmtree(folder)
            # Any other way to end counts as a failure of the rule.
            os._exit(0)

    return one


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rule")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
