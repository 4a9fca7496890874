"""Scenario 11: the start page, bell and banners included, from the production server, by wrk."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import Bench, require, typical
from benchmarks.outcome import Mark, Outcome, Row
from benchmarks.processes import OURS, PLAIN
from benchmarks.servers import WORKERS, serving

CONNECTIONS: Final = 8
BESIDE_DJANGO: Final = 0.95
SCRIPT: Final = """
local requests = {}
local number = 0
function init(args)
  for line in io.lines("%(file)s") do
    local host, cookie = line:match("(%%S+) (%%S+)")
    table.insert(requests, wrk.format("GET", "/", {["Host"] = host, ["Cookie"] = "sessionid=" .. cookie}))
  end
  number = math.random(#requests)
end
function request()
  number = number %% #requests + 1
  return requests[number]
end
"""


def throughput(bench: Bench) -> Outcome:
    outcome = Outcome()
    if shutil.which("wrk") is None:
        outcome.notes.append("Not measured here: wrk is not installed (Debian: `apt install wrk`).")
        return outcome
    organisations, people = bench.pick((20, 10), (4, 3), (2, 2))
    both = {OURS: bench.ours, PLAIN: bench.contestants[PLAIN]}
    for contestant in both.values():
        contestant.prepare(organisations=organisations, people=people)
    bench.ours.clear()
    with serving(bench.contestants, OURS) as ours, serving(bench.contestants, PLAIN) as plain:
        ports = {OURS: ours, PLAIN: plain}
        logins = {name: each.log_in_many(organisations=organisations, users=people) for name, each in both.items()}
        quiet = _measure(bench, ports, logins)
        _add(outcome, "nothing unread", quiet)
        _write(bench.ours, organisations, people)
        _check(ours, logins[OURS][0], banners=True)
        _add(outcome, "two messages and an announcement unread", _measure(bench, ports, logins))
    outcome.notes.append(
        f"{WORKERS} workers, {CONNECTIONS} connections, {organisations} organisations with {people} people each, all "
        "of whom are logged in; wrk runs on the same cores. The other page is the same but for bell and banners, with "
        "Django's own messages in their place: the same look-ups of organisation, session and user, the same database "
        "backend and sessions."
    )
    outcome.checks.append(
        "Each page greets its own reader; ours has the bell, and three banners once they are written."
    )
    bench.ours.clear()
    return outcome


def _write(ours: Any, organisations: int, people: int) -> None:
    for number in range(1, organisations + 1):
        for user in range(1, people + 1):
            ours.fill(organisation=number, user=user, count=2, unread="true")
        ours.publish(organisation=number, count=1)
    ours.settle()


def _measure(bench: Bench, ports: Mapping[str, int], logins: Mapping[str, Any]) -> dict[str, list[Any]]:
    for name, port in ports.items():
        _check(port, logins[name][0], banners=False)
    seconds = bench.pick(8, 2, 1)
    turns = {name: lambda name=name: _wrk(ports[name], logins[name], seconds) for name in ports}
    bench.alternate(turns, 1)
    return bench.alternate(turns, bench.pick(5, 2, 1))


def _add(outcome: Outcome, work: str, answers: dict[str, list[Any]]) -> None:
    for name, found in answers.items():
        rate = typical(found, "rate")
        note = f"{rate:,.0f} pages a second"
        outcome.rows.append(Row.of(f"the start page, {work}", name, [1 / each["rate"] for each in found], note=note))
    ratio = typical(answers[OURS], "rate") / typical(answers[PLAIN], "rate")
    wanted = f"{work}: ≥ {BESIDE_DJANGO} × the page with Django's messages only"
    outcome.marks.append(Mark.at_least(wanted, ratio, BESIDE_DJANGO))


def _wrk(port: int, logins: list[list[str]], seconds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        requests = Path(folder) / "requests"
        requests.write_text("".join(f"{host} {cookie}\n" for host, cookie in logins))
        script = Path(folder) / "script.lua"
        script.write_text(SCRIPT % {"file": requests})
        command = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script)]
        done = subprocess.run([*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True)
    require("Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, f"wrk: {done.stdout}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    require(found is not None, f"wrk: {done.stdout}")
    assert found is not None
    return {"rate": float(found[1])}


def _check(port: int, login: list[str], *, banners: bool) -> None:
    host, cookie = login
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/", headers={"Host": host, "Cookie": f"sessionid={cookie}"})
    answer = connection.getresponse()
    body = answer.read().decode()
    require(answer.status == 200 and "Hello, Person 1" in body, f"{host}: {answer.status} {json.dumps(body[:300])}")
    if banners:
        require(all(text in body for text in ("1: The new", "2: The new", "Publication 0")), "Banners are missing.")
