"""What is measured, by number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.bench import Bench
from benchmarks.outcome import Outcome
from benchmarks.scenarios.marking import mark_all
from benchmarks.scenarios.organisations import making
from benchmarks.scenarios.pages import throughput
from benchmarks.scenarios.policy import recipients
from benchmarks.scenarios.quiet import silent_request
from benchmarks.scenarios.reading import banners, inbox_pages, many_organisations, unread_count
from benchmarks.scenarios.round_trips import search_path
from benchmarks.scenarios.sending import as_application, as_person, at_once, to_many
from benchmarks.scenarios.starting import starting
from benchmarks.scenarios.streams import streams
from benchmarks.scenarios.telling import chosen, everyone


@dataclass(frozen=True)
class Scenario:
    title: str
    run: Callable[[Bench], Outcome]


SCENARIOS: Final[Mapping[int, Scenario]] = {
    1: Scenario("Tell everyone", everyone),
    2: Scenario("Write to chosen people, one message each", chosen),
    3: Scenario("How many are unread", unread_count),
    4: Scenario("Banners on a page", banners),
    5: Scenario("Pages of an inbox", inbox_pages),
    6: Scenario("Mark all as read, and undo it", mark_all),
    7: Scenario("A page that shows no message", silent_request),
    8: Scenario("Many organisations in one database", many_organisations),
    9: Scenario("Whom one person may write to", recipients),
    10: Scenario("Live streams", streams),
    11: Scenario("A whole page from the production server", throughput),
    12: Scenario("Making and migrating organisations", making),
    13: Scenario("Round trips for the search path", search_path),
    14: Scenario("The application writes to one person", as_application),
    15: Scenario("One person writes to another", as_person),
    16: Scenario("One person writes to many", to_many),
    17: Scenario("Sixteen write at once", at_once),
    18: Scenario("What a worker imports", starting),
}
