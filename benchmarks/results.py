"""Results as JSON, so that the document can be written again, and a scenario measured again, without all the others."""

import json
from pathlib import Path
from typing import Any, Final

from benchmarks.outcome import Outcome
from config.running.folders import PROJECT, state_dir

DOCUMENT: Final = PROJECT / "docs" / "benchmarks.md"
PLOTS: Final = PROJECT / "docs" / "images" / "benchmarks"
FULL: Final = PROJECT / "docs" / "benchmarks.json"


def quick_file() -> Path:
    return state_dir() / "bench" / "quick.json"


def load_results(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.exists() else {"scenarios": {}}


def keep(file: Path, number: int, outcome: Outcome, about: dict[str, Any], versions: dict[str, Any]) -> None:
    """Put one scenario's results in the place of its earlier ones."""
    results = load_results(file)
    results["scenarios"][str(number)] = {**about, **outcome.as_json()}
    results["scenarios"] = dict(sorted(results["scenarios"].items(), key=lambda item: int(item[0])))
    results["versions"] = {**results.get("versions", {}), **versions}
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".part")
    draft.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    draft.replace(file)
