"""Measure live updates alone: `python -m benchmarks.streams postgres://... 1000 5000`."""

import asyncio
import json
import sys

from benchmarks.streams.measure import product, restart, streams, writers


def main(url: str, sizes: list[int]) -> None:
    with product(url, max(1501, *sizes)) as (server, sender, people):
        for size in sizes:
            say(asyncio.run(streams(server, sender, people[:size])))
        say(asyncio.run(restart(server, people[:1501])))
        say(writers(sender, people))


def say(figures: dict[str, float]) -> None:
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=1), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], [int(size) for size in sys.argv[2:]] or [1000, 5000])
