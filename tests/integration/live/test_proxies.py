"""Streams through the servers that the product runs on, and through the proxy of the compose file."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from config.running.folders import PROJECT
from messages_extends import api
from tenants.models import Tenant
from tests.processes import eventually
from tests.servers import UVICORN, Site, free_port, served

pytestmark = pytest.mark.usefixtures("in_acme")

GRANIAN = ("-m", "granian", "config.asgi:application", "--interface=asginl", "--backpressure=4096")
SERVERS = {"uvicorn": UVICORN, "granian": GRANIAN}
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, django_db_setup: None, tmp_path_factory: Any) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("site"), command=SERVERS[request.param]) as site:
        yield site


@contextmanager
def proxy(site: Site, folder: Path) -> Iterator[dict[str, int]]:
    """Run the product's own proxy before the site; only ports and the places of files are changed."""
    if not Path(NGINX).exists():
        if os.environ.get("REQUIRE_NGINX"):
            pytest.fail("nginx was not found (Debian: apt install nginx-light).")
        pytest.skip("nginx is not installed here (Debian: apt install nginx-light).")
    ports = {"HTTP/1.1": free_port(), "HTTP/2": free_port()}
    listen = f"listen 127.0.0.1:{ports['HTTP/1.1']}; listen 127.0.0.1:{ports['HTTP/2']} http2;"
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = (PROJECT / "config" / "nginx" / "nginx.conf").read_text()
    text = text.replace("listen 8000;", listen).replace("server web:8000", f"server 127.0.0.1:{site.port}")
    # How many files one may open is the machine's to say.
    text = text.replace("worker_rlimit_nofile", "#").replace("http {", f"http {{ {paths}", 1)
    configuration = folder / "nginx.conf"
    configuration.write_text(f"daemon off; pid {folder}/pid;\n{text}")
    command = [NGINX, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as nginx:
        try:
            assert eventually(lambda: _listens(ports["HTTP/2"])), (folder / "error.log").read_text()
            yield ports
        finally:
            nginx.terminate()


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def headers(in_acme: Tenant, alice: Any, session_cookie: Callable[..., str]) -> dict[str, str]:
    return {"host": "acme.localhost", "accept": "text/event-stream", "cookie": session_cookie(in_acme, alice)}


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2"])
def test_proxy_delivers_stream_events_at_once(
    site: Site, alice: Any, headers: dict[str, str], tmp_path: Path, protocol: str
) -> None:
    with (
        proxy(site, tmp_path) as ports,
        httpx.Client(http1=protocol == "HTTP/1.1", http2=protocol == "HTTP/2", timeout=15) as browser,
        browser.stream("GET", f"http://127.0.0.1:{ports[protocol]}/messages/stream/", headers=headers) as answer,
    ):
        assert (answer.status_code, answer.http_version) == (200, protocol)
        events = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))
        assert next(events)["unread"] == 0
        for unread in range(1, 4):
            # Each has to be there before the next is sent: what waits in a buffer fails here.
            api.send(alice, "Hello")
            assert next(events)["unread"] == unread


def test_proxy_releases_stream_when_browser_disconnects(site: Site, headers: dict[str, str], tmp_path: Path) -> None:
    with proxy(site, tmp_path) as ports:
        address = f"http://127.0.0.1:{ports['HTTP/1.1']}/messages/stream/"
        for _ in range(12):
            # Each waits for the place of one before it: ten at once are what one person may hold.
            assert eventually(lambda: _opens(address, headers))


def _opens(address: str, headers: dict[str, str]) -> bool:
    with httpx.stream("GET", address, headers=headers, timeout=15) as answer:
        return answer.status_code == 200


def test_compose_file_publishes_ports_of_proxy_only() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["nginx"]
    assert "./config/nginx/nginx.conf:/etc/nginx/nginx.conf:ro" in services["nginx"]["volumes"]
