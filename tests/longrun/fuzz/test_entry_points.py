"""Malicious input at every address: no errors, no injected markup, no redirect to another site, no data of others.

A few inputs for each are part of the suite. `python3 run.py fuzz` sends a hundred thousand, and counts them.
"""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse, HttpResponseRedirect
from django.test import Client

from messages_extends.models import Message
from tenants.models import Tenant
from tests.longrun.fuzz import oracle
from tests.longrun.fuzz.attacks import SHARES, Attack, Report, applies, run
from tests.longrun.fuzz.entry_points import entry_points, known_names
from tests.longrun.fuzz.inputs import MARK
from tests.longrun.fuzz.targets import THEIRS, Targets, make_targets, taken_back

pytestmark = pytest.mark.django_db

INPUTS = int(os.environ.get("FUZZ_INPUTS", "0"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
# In the suite, at each entry_point.
FEW = 2


@pytest.fixture
def targets(acme: Tenant, globex: Tenant, settings: Any) -> Iterator[Targets]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    logging.disable(logging.CRITICAL)
    try:
        yield make_targets()
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.longrun
@pytest.mark.parametrize("kind", SHARES)
def test_entry_points_pass_oracle_for_fuzzed_input(kind: str, targets: Targets) -> None:
    here = [entry_point for entry_point in entry_points() if applies(kind, entry_point)]
    each = max(FEW, INPUTS * SHARES[kind] // 100 // len(here) + 1) if INPUTS else FEW
    sent, found = 0, dict[str, str]()
    for number, entry_point in enumerate(here):
        report = Report()
        run(kind, entry_point, targets, report, examples=each, number=SEED * 1000 + number)
        # At once: a long run that is ended has said what it found.
        write_down(report)
        sent, found = sent + report.sent[kind], found | report.found
    assert sent >= len(here)
    assert found == {}


def write_down(report: Report) -> None:
    """Tell the command what was sent and answered."""
    statuses = [[kind, status, count] for (kind, status), count in report.statuses.items()]
    _tell({"sent": report.sent, "statuses": statuses, "found": report.found})


def note_down(note: str) -> None:
    """Tell the command a line for its report."""
    _tell({"notes": [note]})


def _tell(line: dict[str, Any]) -> None:
    if path := os.environ.get("FUZZ_REPORT"):
        with Path(path).open("a") as file:
            file.write(json.dumps(line) + "\n")


# Whether the oracle sees anything ------------------------------------------------------------------------------------


class TestOracle:
    """It reports injected markup and leaks, and nothing on a correct page."""

    @pytest.mark.parametrize(
        "page",
        [
            f"<p><{MARK}></p>",
            f'<input value="" {MARK}="1">',
            f"<p title=x {MARK}=1>",
            f'<a href="javascript:{MARK}()">',
            f'<a href=" java&#10;script:{MARK}()">',
            f'<form action="data:text/html,{MARK} script:">',
            f"<img src=x onerror={MARK}()>",
        ],
    )
    def test_oracle_reports_injected_markup(self, page: str) -> None:
        assert oracle.faults(HttpResponse(page), "acme.localhost", "/", ())

    @pytest.mark.parametrize(
        "page", [f"<p>&lt;{MARK}&gt;</p>", f'<input value="&quot; {MARK}=1">', "<p>javascript:</p>"]
    )
    def test_oracle_accepts_escaped_text(self, page: str) -> None:
        assert oracle.faults(HttpResponse(page), "acme.localhost", "/", ()) == []

    @pytest.mark.parametrize(
        "location",
        [
            "//evil.example",
            "///evil.example",
            "http:///evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "http://acme.localhost@evil.example",
            "https:/\\e.x",
        ],
    )
    def test_oracle_reports_redirect_to_other_host(self, location: str) -> None:
        response = HttpResponse(status=302)
        response["Location"] = location
        assert oracle.faults(response, "acme.localhost", "/messages/", ())

    def test_oracle_accepts_redirect_within_site(self) -> None:
        for location in ("/x/?next=//evil.example", "next/", "?a=b", "http://acme.localhost/"):
            assert oracle.faults(HttpResponseRedirect(location), "acme.localhost", "/messages/", ()) == []

    def test_oracle_reports_canary_and_server_error(self) -> None:
        assert oracle.faults(HttpResponse(THEIRS), "acme.localhost", "/", (THEIRS,))
        assert oracle.faults(HttpResponse(status=500), "acme.localhost", "/", ())

    def test_attack_reports_rows_written_in_other_tenant(self, targets: Targets) -> None:
        with taken_back() as wrote:
            connection.set_schema("globex")
            Message.objects.update(message="changed")
        attack = Attack("keys", entry_points()[0], targets, Report())
        assert attack._wrong_writes("acme.localhost", wrote) == ["wrote 1 rows in globex"]

    def test_fuzz_clients_have_intended_access(self, targets: Targets) -> None:
        reached = {person: targets.client(person).get("/messages/").status_code for person in targets.people}
        assert reached == {
            **dict.fromkeys(("reader", "administrator", "operator", "neighbour"), 200),
            **dict.fromkeys(("stranger", "intruder"), 302),
            "passer-by": 404,
        }
        assert THEIRS in targets.client("neighbour").get("/messages/").content.decode()


def test_fuzz_entry_points_include_forms_and_field_names() -> None:
    assert {"message", "people", "number", "step", "undo", "next", "q", "organisation"} <= set(known_names())
    assert len(entry_points()) > 100


def test_fuzz_client_reads_fields_of_compose_form(targets: Targets) -> None:
    names = {name for name, _value in targets.form("reader", "/messages/compose/")}
    assert {"message", "level", "url", "step"} <= names
    assert isinstance(targets.client("reader"), Client)
