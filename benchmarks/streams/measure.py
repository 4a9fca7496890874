"""Measure live updates on a server of production: one process, one organisation."""

import asyncio
import http.client
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from benchmarks.processes import OURS, Contestant, Contestants, database_settings, our_environment
from benchmarks.streams.browsers import Browsers
from config.running.folders import PROJECT
from config.running.ports import check_port
from config.running.postgres import free_port

BUSES = {"off": None, "postgres": "messages_extends.events.postgres.PostgresBus"}

PAGES_ALONE = 20
# Memory that has not fallen for so long is not given back.
SETTLED_S = 3


@dataclass
class Server:
    """The product's web process."""

    port: int
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        check_port("127.0.0.1", self.port)
        options = ["--lifespan", "off", "--log-level", "error", "--timeout-graceful-shutdown", "1", "--backlog", "4096"]
        command = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--port", str(self.port), *options]
        self.process = subprocess.Popen(command, env=self.environment, cwd=PROJECT)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def _status(self, name: str) -> int:
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0])

    @property
    def kilobytes(self) -> int:
        return self._status("VmRSS")

    @property
    def threads(self) -> int:
        return self._status("Threads")

    @property
    def processor(self) -> float:
        """Seconds of processor time until now."""
        assert self.process
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def product(url: str, people: int, **more: str) -> Iterator[tuple[Server, Any, list[tuple[str, str]]]]:
    """Give the server, the sender and the people, in a database that is made anew; `more`: environment variables."""
    database = Contestants(url).make_database(OURS)
    environment = {**our_environment(OURS), **database_settings(database), "SITE_SCHEME": "http", **more}
    sender = Contestant("the sender", [sys.executable, "-m", "benchmarks.streams.sender"], environment)
    server = Server(free_port(), environment)
    try:
        made = sender.prepare(people=people)
        server.start()
        yield server, sender, [tuple(each) for each in made]
    finally:
        server.stop()
        sender.close()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{database.rpartition("/")[2]}" WITH (FORCE)')


async def streams(server: Server, sender: Any, people: list[tuple[str, str]], messages: int = 200) -> dict[str, float]:
    """Open a page for each of `people` and measure what that costs, and how soon they hear."""
    first = Browsers(server.port, [people[0][1]])
    await first.open()
    await first.close()
    memory, threads, processor = server.kilobytes, server.threads, server.processor
    browsers = Browsers(server.port, [session for _user, session in people])
    took = await browsers.open()
    spent = server.processor - processor
    await asyncio.sleep(2)
    figures = {
        "streams": float(len(people)),
        "seconds to open all": took,
        "processor ms to open one": spent / len(people) * 1000,
        "kB a stream": (server.kilobytes - memory) / len(people),
        "threads before": float(threads),
        "threads with all": float(server.threads),
    }
    processor = server.processor
    await asyncio.sleep(10)
    figures["processor share of all, idle"] = (server.processor - processor) / 10
    figures |= await _to_one(sender, browsers, people, messages)
    figures |= await _to_all(sender, browsers)
    figures["still open"] = float(browsers.open_now)
    figures |= await _again(server, browsers, memory)
    return figures


async def _again(server: Server, browsers: Browsers, before: int) -> dict[str, float]:
    """Close all pages and open them again, as browsers that come back do, and close them."""
    most = server.kilobytes
    await browsers.close()
    after = await _settled(server)
    processor = server.processor
    took = await browsers.open()
    spent = server.processor - processor
    most_again = server.kilobytes
    await browsers.close()
    return {
        "seconds to open all again": took,
        "processor ms to open one again": spent / len(browsers.pages) * 1000,
        "kB of all": float(most - before),
        "kB after all have gone": float(after - before),
        "kB more with all again": float(most_again - most),
    }


async def _settled(server: Server) -> int:
    """Return the memory in kB once it has not fallen for some seconds."""
    least, since = server.kilobytes, time.perf_counter()
    while time.perf_counter() - since < SETTLED_S:
        await asyncio.sleep(0.2)
        if server.kilobytes < least - 100:
            least, since = server.kilobytes, time.perf_counter()
    return least


async def _to_one(sender: Any, browsers: Browsers, people: list[tuple[str, str]], messages: int) -> dict[str, float]:
    times = []
    for _ in range(messages):
        number = random.randrange(len(people))
        browsers.forget()
        committed = await asyncio.to_thread(sender.send, user=people[number][0])
        times += await browsers.heard([browsers.pages[number]], committed)
        if sum(bool(page.heard) for page in browsers.pages) != 1:
            raise AssertionError("somebody else was told")
    times.sort()
    return {
        "to one: told": float(len(times)) / messages,
        "to one: median ms": median(times) * 1000,
        "to one: 99 % ms": times[int(len(times) * 0.99)] * 1000,
    }


async def _to_all(sender: Any, browsers: Browsers) -> dict[str, float]:
    medians, last, told = [], [], []
    for _ in range(3):
        browsers.forget()
        committed = await asyncio.to_thread(sender.announce)
        times = await browsers.heard(browsers.pages, committed)
        medians.append(median(times))
        last.append(times[-1])
        told.append(len(times) / len(browsers.pages))
    return {
        "to all: told": min(told),
        "to all: median ms": median(medians) * 1000,
        "to all: last ms": median(last) * 1000,
    }


async def restart(server: Server, people: list[tuple[str, str]]) -> dict[str, float]:
    """Kill the web process with all streams open; return how long after its return all are open again.

    One more person reads page after page, before and meanwhile.
    """
    reader, *sessions = [session for _user, session in people]
    browsers = Browsers(server.port, sessions)
    await browsers.open()
    alone = await asyncio.to_thread(lambda: [read_page(server.port, reader) for _ in range(PAGES_ALONE)])
    server.stop()
    server.start()
    while True:
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            break
    back = asyncio.Event()
    pages = asyncio.create_task(_pages_until(back, server.port, reader))
    took = await browsers.open()
    back.set()
    meanwhile = await pages
    await browsers.close()
    return {
        "clients": float(len(sessions)),
        "seconds until all are back": took,
        "a page before: median ms": median(alone) * 1000,
        "pages meanwhile": float(len(meanwhile)),
        "a page meanwhile: median ms": median(meanwhile) * 1000,
        "a page meanwhile: highest ms": max(meanwhile) * 1000,
    }


async def _pages_until(end: asyncio.Event, port: int, session: str) -> list[float]:
    times = [await asyncio.to_thread(read_page, port, session)]
    while not end.is_set():
        times.append(await asyncio.to_thread(read_page, port, session))
    return times


def read_page(port: int, session: str) -> float:
    """Return how many seconds a page takes, with a connection of its own."""
    start = time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", "/", headers={"Host": "acme.localhost", "Cookie": f"sessionid={session}"})
        answer = connection.getresponse()
        answer.read()
    assert answer.status == 200
    return time.perf_counter() - start


def writers(sender: Any, people: list[tuple[str, str]], duration: float = 3) -> dict[str, float]:
    """Return the messages committed per second with and without publishing: medians of five alternating runs."""
    users = [user for user, _session in people]
    figures: dict[str, float] = {}
    for threads in (1, 4, 16):
        rates: dict[str, list[float]] = {name: [] for name in BUSES}
        for _ in range(5):
            for name, bus in BUSES.items():
                rates[name].append(sender.commits(users=users, threads=threads, duration=duration, bus=bus))
        figures |= {f"{threads} writers, {name}": median(each) for name, each in rates.items()}
    return figures


def change_events(url: str, duration: float = 3) -> dict[str, float]:
    """Return how many change events per second PostgreSQL accepts from 16 writers, by the number of listeners."""
    return {f"{listeners} listening": _published(url, listeners, duration) for listeners in (1, 8, 32)}


def _published(url: str, listeners: int, duration: float) -> float:
    with ExitStack() as stack:
        for _ in range(listeners):
            connection = stack.enter_context(psycopg.connect(url, autocommit=True))
            connection.execute("LISTEN benchmark")
            # Read away by a thread of its own until the connection is closed.
            stack.enter_context(_reading(connection, duration))
        until = time.perf_counter() + duration
        with ThreadPoolExecutor(16) as publishers:
            done = list(publishers.map(lambda _: _publish(url, until), range(16)))
    return sum(done) / duration


@contextmanager
def _reading(connection: "psycopg.Connection[Any]", duration: float) -> Iterator[None]:
    reader = threading.Thread(target=lambda: list(connection.notifies(timeout=duration + 1)))
    reader.start()
    try:
        yield
    finally:
        reader.join()


def _publish(url: str, until: float) -> int:
    done = 0
    with psycopg.connect(url, autocommit=True) as connection:
        while time.perf_counter() < until:
            connection.execute("SELECT pg_notify('benchmark', %s)", ['{"schema":"acme","users":["12345"]}'])
            done += 1
    return done
