"""pip comes with Python or is fetched, and only the one we know is run."""

import hashlib
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from config.running import pip
from config.running.failures import Failure


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder as a package index; what is fetched goes into another."""
    (tmp_path / "index" / "pip").mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "index")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("RUN_DIR", str(tmp_path / "run"))
    yield tmp_path / "index" / "pip"
    server.shutdown()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def test_the_one_that_comes_with_this_python_runs() -> None:
    wheel = pip.runnable_pip()
    said = subprocess.run(
        [sys.executable, "-I", wheel / "pip", "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("pip ")


def test_one_that_is_not_the_known_one_is_refused_and_not_kept(index: Path, tmp_path: Path) -> None:
    (index / "index.html").write_text(f'<a href="{pip.WHEEL}#sha256={pip.SHA256}">{pip.WHEEL}</a>')
    (index / pip.WHEEL).write_bytes(b"something else")
    with pytest.raises(Failure, match="not the pip"):
        pip.fetched()
    assert not (tmp_path / "run" / ".run" / pip.WHEEL).exists()


def test_an_index_without_it_is_one_line_with_the_remedy(index: Path) -> None:
    (index / "index.html").write_text("")
    with pytest.raises(Failure, match=r"has no pip.*PIP_INDEX_URL"):
        pip.fetched()


def test_no_index_is_one_line_with_the_remedy(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    with pytest.raises(Failure, match="PIP_INDEX_URL"):
        pip.fetched()


def test_one_that_was_fetched_is_used_again_unless_it_was_damaged(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pip, "SHA256", pip._hash(b"a wheel"))
    (index / "index.html").write_text(f'<a href="../pip/{pip.WHEEL}">{pip.WHEEL}</a>')
    (index / pip.WHEEL).write_bytes(b"a wheel")
    wheel = pip.fetched()
    wheel.write_bytes(b"damaged")
    assert pip.fetched().read_bytes() == b"a wheel"
    (index / pip.WHEEL).unlink()
    assert pip.fetched().read_bytes() == b"a wheel"


def test_pips_own_files_say_where_the_index_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/100%/\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    assert pip.configured("index-url") == "http://127.0.0.1:9/100%/"
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:10/")
    assert pip.configured("index-url") == "http://127.0.0.1:10/"


@pytest.mark.skipif(not shutil.which("openssl"), reason="nothing here makes certificates")
def test_a_machine_without_certificates_can_fetch_because_the_hash_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    made = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(made, check=True, capture_output=True)
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "index.html").write_text(f'<a href="{pip.WHEEL}">{pip.WHEEL}</a>')
    (tmp_path / "pip" / pip.WHEEL).write_bytes(b"something")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"https://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("RUN_DIR", str(tmp_path))
    with pytest.raises(Failure, match="not the pip"):
        pip.fetched()
    monkeypatch.setattr(pip, "SHA256", hashlib.sha256(b"something").hexdigest())
    assert pip.fetched().read_bytes() == b"something"
    server.shutdown()
    server.server_close()
