"""The page on deploying, and that on connections: the proxy of the page before the server of production, for real."""

import configparser
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest

from config.running.folders import PROJECT
from config.running.postgres import free_port
from tests.documentation import DOCS, blocks_of
from tests.processes import HERE, PLAIN, eventually
from tests.upgrade.hosts import database, server

pytestmark = [pytest.mark.integration, pytest.mark.longrun]

PAGE = DOCS / "how-to" / "deploying.md"
[PROXY] = [block.code for block in blocks_of(PAGE) if block.language == "nginx"]
PASSWORD = "correct horse battery"


def test_deploying_page_documents_exactly_compose_variables() -> None:
    compose = (PROJECT / "docker-compose.yml").read_text()
    table = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    documented = {name for line in table for name in re.findall(r"`([A-Z_]+)`", line)}
    assert documented == set(re.findall(r"\$\{([A-Z_]+)", compose))


def test_documented_pgbouncer_uses_session_pooling() -> None:
    [block] = [block for block in blocks_of(DOCS / "how-to" / "connections.md") if block.language == "ini"]
    parser = configparser.ConfigParser()
    parser.read_string(block.code)
    assert parser["pgbouncer"]["pool_mode"] == "session"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve an organisation behind the page's proxy; only ports and the places of files are changed."""
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(nginx).exists() or not shutil.which("openssl"):
        (pytest.fail if os.environ.get("REQUIRE_NGINX") else pytest.skip)("nginx or openssl is not installed here")
    folder, behind, before = tmp_path_factory.mktemp("proxy"), free_port(), free_port()
    _make_certificate(folder)
    with database() as name, _site(name, folder, behind):
        text = PROXY.replace("listen 443", f"listen 127.0.0.1:{before}").replace(":8000", f":{behind}")
        configuration = folder / "nginx.conf"
        configuration.write_text(_whole(text.replace("/etc/ssl", str(folder)), folder))
        command = [nginx, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as proxy:
            try:
                assert eventually(lambda: _listens(before)), (folder / "error.log").read_text()
                yield before
            finally:
                proxy.terminate()


@dataclass(frozen=True)
class Answer:
    status: int
    cookies: str
    page: str


class TestProxy:
    def test_proxy_login_over_https_sets_secure_host_cookie(self, port: int) -> None:
        answer = log_in(port)
        assert answer.status == 302
        assert "__Host-sessionid=" in answer.cookies
        assert "Secure" in answer.cookies

    def test_proxy_routes_host_name_to_its_tenant(self, port: int) -> None:
        hosts = ("acme.example.com", "nobody.example.com")
        assert [ask(port, "GET", "/login/", host=host).status for host in hosts] == [200, 404]

    def test_proxy_overrides_forwarded_proto_of_browser(self, port: int) -> None:
        # Django compares the origin with the scheme and the host that the proxy handed on.
        assert log_in(port, Origin="http://acme.example.com").status == 403
        assert log_in(port, **{"X-Forwarded-Proto": "http"}).status == 302


def log_in(port: int, **headers: str) -> Answer:
    page = ask(port, "GET", "/login/")
    assert page.cookies.startswith("__Host-csrftoken=")
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.page)
    form = {"username": "admin@example.com", "password": PASSWORD, "csrfmiddlewaretoken": token}
    sent = {"Origin": "https://acme.example.com", "Cookie": page.cookies.partition(";")[0], **headers}
    return ask(port, "POST", "/login/", urlencode(form), **sent)


def ask(port: int, method: str, path: str, body: str = "", host: str = "acme.example.com", **headers: str) -> Answer:
    """Ask as a browser would: the certificate is checked by nobody, for it is made for this test."""
    context = ssl._create_unverified_context()
    with closing(http.client.HTTPSConnection("127.0.0.1", port, context=context)) as connection:
        form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        connection.request(method, path, body, {"Host": host, **form, **headers})
        with connection.getresponse() as answer:
            cookies = ", ".join(answer.headers.get_all("Set-Cookie") or [])
            return Answer(answer.status, cookies, answer.read().decode())


def _make_certificate(folder: Path) -> None:
    files = ["-keyout", str(folder / "example.com.key"), "-out", str(folder / "example.com.pem")]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=example.com"]
    subprocess.run([*new, *files], check=True, capture_output=True)


def _whole(server_block: str, folder: Path) -> str:
    """Put what the page shows into the rest of a configuration."""
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"daemon off;\npid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{server_block}}}\n"


@contextmanager
def _site(name: str, folder: Path, port: int) -> Iterator[None]:
    given = server()
    login = f"{given.get('PGUSER', '')}:{given.get('PGPASSWORD', '')}"
    env = PLAIN | {
        "DATABASE_URL": f"postgres://{login}@{given['PGHOST']}:{given['PGPORT']}/{name}",
        "SECRET_KEY": "0123456789" * 6,
        "BASE_DOMAIN": "example.com",
        "TRUST_X_FORWARDED_PROTO": "true",
        "STATIC_ROOT": str(folder / "static"),
    }
    manage = [sys.executable, str(PROJECT / "manage.py")]
    made = ["create_organisation", "acme", "--name", "Acme", "--admin-email", "admin@example.com"]
    subprocess.run([*manage, "migrate_schemas", "-v0"], env=env, check=True, capture_output=True)
    subprocess.run([*manage, *made], env=env, check=True, capture_output=True, input=PASSWORD.encode())
    with subprocess.Popen(
        [*HERE, "serve", "--port", str(port)], cwd=PROJECT, env=env, stdout=subprocess.DEVNULL
    ) as site:
        try:
            assert eventually(lambda: _listens(port))
            yield
        finally:
            site.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
