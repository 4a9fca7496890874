"""What no client library would send: bytes, to a real server. It answers, shows nothing of others, and goes on."""

import http.client
import logging
import os
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any, Final

import pytest
from django.http import HttpResponse

from tenants.models import Tenant
from tests.isolation.test_cross_tenant_access import dump
from tests.longrun.fuzz import inputs, oracle
from tests.longrun.fuzz.attacks import INSIDERS, Report
from tests.longrun.fuzz.entry_points import EntryPoint, entry_points
from tests.longrun.fuzz.targets import Targets, canaries_for, make_targets
from tests.longrun.fuzz.test_entry_points import write_down
from tests.servers import Site, served

INPUTS: Final = max(100, int(os.environ.get("FUZZ_INPUTS", "0")) * 2 // 100)
SEED: Final = int(os.environ.get("FUZZ_SEED", "0"))
TIMEOUT_S: Final = 30
# Whoever asks may change what is acme's and the platform's own.
NOT_THEIRS: Final = ("globex.", "public.tenants_")
LINES: Final = (
    b"\xff\xfe: \x00",
    b"X-Long: " + b"a" * 20_000,
    # Django falls over it before any view; servers let it not pass.
    b"Content-Type: application/x-www-form-urlencoded; charset=\x00",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: 1\r\nContent-Length: 2",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    b"Transfer-Encoding: identity, chunked, gzip",
    b"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    b"Host: globex.localhost",
    b"Host:",
    b" folded: line",
    b"X-Forwarded-Host: globex.localhost\r\nX-Forwarded-For: \xff",
    b"Accept: text/event-stream",
    b"Last-Event-ID: \xff\x00",
    b"Cookie: messages_extends_stream=\xff:\x00",
    b'Cookie: ; =;; a="\\\xff; messages_acme="\\073\\000"',
    b"Cookie: " + b"a=b; " * 3_000,
    b"Accept-Language: \xc0\x80",
    b"Expect: 100-continue",
    b"no colon",
)
TARGETS: Final = (
    "/%00",
    "/\xff",
    "*",
    "http://globex.localhost/messages/",
    "//globex.localhost/",
    "/..;/",
    "/?" + "a" * 9_000,
)
BODIES: Final = (b"Content-Length", b"Transfer-Encoding", b"Expect", b"Upgrade")
VERSIONS: Final = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/9.9", "")


@pytest.fixture
def database(committing: None) -> None:
    """Have the test commit: the server is another process."""


@pytest.fixture
def targets(acme: Tenant, globex: Tenant) -> Iterator[Targets]:
    logging.disable(logging.CRITICAL)
    yield make_targets()
    logging.disable(logging.NOTSET)


@pytest.fixture
def site(targets: Targets, tmp_path: Any) -> Iterator[Site]:
    with served(tmp_path) as site:
        yield site


@pytest.mark.longrun
def test_server_survives_malformed_requests(site: Site, targets: Targets) -> None:
    dice, report = random.Random(SEED), Report()
    before = {table: rows for table, rows in dump().items() if table.startswith(NOT_THEIRS)}
    assert before["globex.people_user"]
    for _ in range(INPUTS):
        _ask(site, targets, report, dice)
    write_down(report)
    assert report.found == {}
    assert report.statuses["raw", 200] > 0, f"nothing was answered as usual: {report.statuses}"
    assert site.answers()
    assert {table: rows for table, rows in dump().items() if table.startswith(NOT_THEIRS)} == before


def _ask(site: Site, targets: Targets, report: Report, dice: random.Random) -> None:
    entry_point = dice.choice([entry_point for entry_point in entry_points() if not entry_point.is_public])
    # Whoever logs out would be a stranger from then on.
    person = "intruder" if "logout" in entry_point.route else dice.choice(INSIDERS)
    host, _cookies = targets.people[person]
    target = _target(entry_point, targets, dice)
    sent = _request(targets, person, host, target, dice)
    response = _answer(site, sent)
    status = response.status_code if response else 0
    # An address that has a host in it, or a second line for it, may name globex, where nobody of these is logged in.
    faults = oracle.faults(response, host, "/", canaries_for(person)) if response else []
    report.note("raw", entry_point.route, status, faults, sent[:400])


def _target(entry_point: EntryPoint, targets: Targets, dice: random.Random) -> str:
    if dice.random() < 0.1:
        return dice.choice(TARGETS)
    return entry_point.path(*(dice.choice(targets.keys[kind]) for kind in entry_point.kinds))


def _request(targets: Targets, person: str, host: str, target: str, dice: random.Random) -> bytes:
    method, version = dice.choice(("GET", "GET", "POST", *inputs.METHODS)), dice.choice(VERSIONS)
    cookies = "; ".join(f"{name}={value}" for name, value in targets.people[person][1].items())
    lines = [f"{method} {target} {version}".encode("latin-1"), f"Host: {host}".encode()]
    lines += [f"Cookie: {cookies}".encode()] * (dice.random() < 0.9)
    lines += dice.sample(LINES, dice.choice((0, 0, 0, 1, 2)))
    lines += [_mutated(f"{dice.choice(inputs.HEADERS)}: {dice.choice(inputs.SPECIAL)}".encode(), dice)]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def _mutated(line: bytes, dice: random.Random) -> bytes:
    """Put a byte that may be anything in the place of another."""
    at = dice.randrange(len(line))
    return line[:at] + bytes([dice.randrange(256)]) + line[at + 1 :] if dice.random() < 0.3 else line


def _answer(site: Site, sent: bytes) -> HttpResponse | None:
    """Return what the server says, as Django's tests know it; None where it hangs up."""
    with closing(socket.create_connection(("127.0.0.1", site.port), timeout=TIMEOUT_S)) as connection:
        with suppress(ConnectionError):
            connection.sendall(sent)
            if any(each in sent for each in BODIES):
                # There is no more: what announces a body has none.
                connection.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
            return _as_django(answer)
        except (http.client.HTTPException, OSError):
            return None


def _as_django(answer: http.client.HTTPResponse) -> HttpResponse:
    kind = answer.headers.get("Content-Type", "")
    read: Callable[[], bytes] = (lambda: answer.read1(500)) if "event-stream" in kind else answer.read
    body = read() if answer.status >= 200 else b""
    response = HttpResponse(body, status=answer.status)
    for name, value in answer.headers.items():
        response.headers[name] = value.replace("\n", " ")
    return response
