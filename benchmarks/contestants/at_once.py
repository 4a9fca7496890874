"""Processes that write at once, started by forking: as the workers of a server do."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

# What sessions wait for while the writers run; those that run are on the processor.
WAITING: Final = """
    SELECT coalesce(wait_event_type || ': ' || wait_event, 'processor')
    FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()
"""
SAMPLE_INTERVAL_S: Final = 0.05
# Until all writers have a connection.
START_S: Final = 1.0


def at_once(
    observer: Any,
    writers: int,
    length: float,
    inside: Callable[[], AbstractContextManager[Any]],
    make: Callable[[int], Callable[[], object]],
) -> dict[str, Any]:
    """Run `make(number)()` in `writers` processes for `length` seconds; return what they did, and waited for."""
    begin = time.monotonic() + START_S
    started = [_start(number, begin, begin + length, inside, make) for number in range(1, writers + 1)]
    waits: Counter[str] = Counter()
    while time.monotonic() < begin + length:
        if time.monotonic() > begin:
            waits.update(what for (what,) in observer.execute(WAITING).fetchall())
        time.sleep(SAMPLE_INTERVAL_S)
    done = [_finish(*one) for one in started]
    total = sum(waits.values()) or 1
    return {
        "commits": sum(each["count"] for each in done),
        "per_second": sum(each["count"] for each in done) / length,
        "processor_ms": 1_000 * sum(each["processor"] for each in done) / max(1, sum(each["count"] for each in done)),
        "waits": {what: count / total for what, count in waits.most_common(4)},
    }


def _start(number: int, begin: float, end: float, inside: Any, make: Any) -> tuple[int, int]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    # The child: nothing of its parent's may run at its end.
    status = 1
    try:
        os.close(reading)
        answer = _write(number, begin, end, inside, make)
        os.write(writing, json.dumps(answer).encode())
        status = 0
    except BaseException as error:
        sys.stderr.write(f"writer {number}: {error!r}\n")
    finally:
        os._exit(status)


def _write(number: int, begin: float, end: float, in_schema: Any, make: Any) -> dict[str, float]:
    with in_schema():
        write = make(number)
        time.sleep(max(0.0, begin - time.monotonic()))
        before, count = time.process_time(), 0
        while time.monotonic() < end:
            write()
            count += 1
        return {"count": count, "processor": time.process_time() - before}


def _finish(pid: int, reading: int) -> dict[str, float]:
    with os.fdopen(reading) as answers:
        text = answers.read()
    os.waitpid(pid, 0)
    if not text:
        raise AssertionError(f"The writer {pid} has failed: see its error above.")
    answer: dict[str, float] = json.loads(text)
    return answer
