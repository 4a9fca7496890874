"""The loop of a contestant's process: a call is a line of JSON on stdin, its answer one on stdout."""

import json
import sys
import traceback
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any


def serve(contestant: Any) -> None:
    """Answer calls of the contestant's public methods until stdin ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        call = json.loads(line)
        try:
            answer = {"value": getattr(contestant, call["method"])(**call["arguments"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def seconds(act: Callable[[], object]) -> float:
    start = perf_counter()
    act()
    return perf_counter() - start


def typical(act: Callable[[], object], repeat: int) -> float:
    """Return the median of `repeat` runs, after one that is not counted."""
    act()
    return median(seconds(act) for _ in range(repeat))
