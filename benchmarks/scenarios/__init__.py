"""What is measured, by number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.bench import Bench
from benchmarks.outcome import Outcome
from benchmarks.scenarios import marking, organisations, pages, policy, quiet, reading, round_trips, streams, telling


@dataclass(frozen=True)
class Scenario:
    title: str
    run: Callable[[Bench], Outcome]


SCENARIOS: Final[Mapping[int, Scenario]] = {
    1: Scenario("Tell everyone", telling.everyone),
    2: Scenario("Write to chosen people, one message each", telling.chosen),
    3: Scenario("How many are unread", reading.unread_count),
    4: Scenario("Banners on a page", reading.banners),
    5: Scenario("Pages of an inbox", reading.inbox_pages),
    6: Scenario("Mark all as read, and undo it", marking.mark_all),
    7: Scenario("A page that shows no message", quiet.silent_request),
    8: Scenario("Many organisations in one database", reading.many_organisations),
    9: Scenario("Whom one person may write to", policy.recipients),
    10: Scenario("Live streams", streams.streams),
    11: Scenario("A whole page from the production server", pages.throughput),
    12: Scenario("Making and migrating organisations", organisations.making),
    13: Scenario("Round trips for the search path", round_trips.search_path),
}
