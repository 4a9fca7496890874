"""Setting up: uv is found or fetched, looks where pip would, and installs what the files in requirements/ name."""

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from config.running import requirements_lock, uv
from config.running.failures import Failure
from config.running.packages import REQUIREMENTS, python_of, sync
from config.running.pip_settings import read_pip_settings
from config.running.requirements_lock import GROUPS, OTHER_DJANGOS

pytestmark = pytest.mark.integration

KNOWN_WHEEL = "uv-1.2.3-py3-none-manylinux_2_17_x86_64.whl"


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_pip_settings(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Have nothing configured for pip, but where a test fetches real packages."""
    if request.node.get_closest_marker("longrun"):
        return
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder as the package index that pip is configured for."""
    folder = tmp_path / "index"
    folder.mkdir()
    with _served(folder) as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        yield folder


class _served:  # noqa: N801 - a context manager
    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None = None) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SilentHandler, directory=str(folder)))
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"{self.scheme}://127.0.0.1:{self.server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def _publish(index: Path, name: str, version: str, *, needs: str = "") -> str:
    """Put a small wheel, whose extra "more" needs another, into the index; return its hash."""
    page = index / name
    page.mkdir(exist_ok=True)
    wheel = page / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    extra = f'Provides-Extra: more\nRequires-Dist: {needs}; extra == "more"\n' if needs else ""
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{extra}",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in {**files, f"{about}/RECORD": record}.items():
            archive.writestr(path, content)
    links = [f'<a href="{found.name}">{found.name}</a>' for found in sorted(page.glob("*.whl"))]
    (page / "index.html").write_text("<br>".join(links))
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Make an empty virtual environment; return its Python."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    return python_of(tmp_path / "venv")


def _installed(python: Path) -> set[str]:
    program = "import importlib.metadata as m; [print(f'{d.name}=={d.version}') for d in m.distributions()]"
    said = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True).stdout
    return {line.lower().replace("_", "-").replace(".", "-") for line in said.split()}


@pytest.fixture(scope="module", params=["uv", "uv-oldest"])
def each_uv(request: pytest.FixtureRequest) -> Path:
    """Return the pinned uv, and the oldest one that may be on PATH."""
    return _fetched_uv(request.param)


def _fetched_uv(name: str) -> Path:
    return uv.fetched_uv(REQUIREMENTS / f"{name}.txt", uv.state_dir() / "uv")


class TestInstalling:
    @pytest.fixture
    def lock(self, index: Path, tmp_path: Path) -> Path:
        """Lock two packages, of which the index offers newer releases by now."""
        beta, alpha = _publish(index, "beta", "1.0"), _publish(index, "alpha", "1.0", needs="beta>=1")
        _publish(index, "beta", "2.0")
        _publish(index, "alpha", "2.0", needs="beta>=2")
        lock = tmp_path / "lock.txt"
        lock.write_text(f"alpha[more]==1.0 --hash=sha256:{alpha}\nbeta==1.0 --hash=sha256:{beta}\n")
        return lock

    def test_sync_installs_pinned_releases(self, lock: Path, environment: Path, each_uv: Path) -> None:
        sync(environment, lock, uv=each_uv)
        assert _installed(environment) == {"alpha==1-0", "beta==1-0"}

    def test_sync_removes_unlisted_packages(self, lock: Path, environment: Path, each_uv: Path, tmp_path: Path) -> None:
        sync(environment, lock, uv=each_uv)
        (tmp_path / "smaller.txt").write_text(lock.read_text().splitlines()[1])
        sync(environment, tmp_path / "smaller.txt", uv=each_uv)
        assert _installed(environment) == {"beta==1-0"}

    def test_sync_installs_from_files_with_same_releases(
        self, lock: Path, environment: Path, each_uv: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "smaller.txt").write_text(lock.read_text().splitlines()[1])
        sync(environment, lock, tmp_path / "smaller.txt", uv=each_uv)
        assert _installed(environment) == {"alpha==1-0", "beta==1-0"}

    def test_sync_with_missing_release_names_it_and_solution(
        self, lock: Path, environment: Path, each_uv: Path
    ) -> None:
        lock.write_text(lock.read_text().replace("beta==1.0", "beta==1.5"))
        said = self._failure(environment, lock, each_uv)
        assert "beta==1.5" in said

    def test_sync_with_changed_hash_names_package_and_solution(
        self, lock: Path, environment: Path, each_uv: Path
    ) -> None:
        lock.write_text(lock.read_text()[:-3] + "00\n")
        said = self._failure(environment, lock, each_uv)
        assert "beta==1.0" in said
        assert "ash" in said

    def test_sync_with_unreachable_index_names_it_and_solution(
        self, lock: Path, environment: Path, each_uv: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
        said = self._failure(environment, lock, each_uv)
        assert "http://127.0.0.1:9/" in said
        assert "efused" in said

    def _failure(self, environment: Path, lock: Path, program: Path) -> str:
        with pytest.raises(Failure) as failure:
            sync(environment, lock, uv=program)
        said = str(failure.value)
        assert "\n" not in said
        assert said.endswith(uv.REMEDY)
        return said

    def test_sync_uses_certificates_of_pip(
        self, lock: Path, environment: Path, each_uv: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        certificate = _self_signed(tmp_path)
        with _served(tmp_path / "index", certificate) as url:
            monkeypatch.setenv("PIP_INDEX_URL", url)
            monkeypatch.delenv("SSL_CERT_FILE", raising=False)
            with pytest.raises(Failure, match="ertificate"):
                sync(environment, lock, uv=each_uv)
            monkeypatch.setenv("PIP_CERT", str(certificate[0]))
            sync(environment, lock, uv=each_uv)
        assert _installed(environment) == {"alpha==1-0", "beta==1-0"}


def _self_signed(folder: Path) -> tuple[Path, Path]:
    if not shutil.which("openssl"):
        pytest.skip("nothing here makes certificates")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    # uv takes no certificate that is an authority for that of a server.
    command += ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.mark.longrun
@pytest.mark.parametrize("name", [*GROUPS, *(f"test-django-{django}" for django in OTHER_DJANGOS)])
def test_oldest_uv_installs_exactly_pinned_packages(name: str, tmp_path: Path) -> None:
    """The index offers newer releases of nearly all of it, a day after the files were compiled."""
    python = "3.12" if "django" in name else f"{sys.version_info[0]}.{sys.version_info[1]}"
    command = ("sync", "--python", sys.executable, "--python-version", python, "--target", tmp_path / "packages")
    uv.run_uv("Installing", *command, "--require-hashes", REQUIREMENTS / f"{name}.txt", uv=_fetched_uv("uv-oldest"))
    found = (tmp_path / "packages").glob("*.dist-info")
    installed = {tuple(each.name.removesuffix(".dist-info").lower().rsplit("-", 1)) for each in found}
    here = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    text = (REQUIREMENTS / f"{name}.txt").read_text().replace("\\\n", "")
    pins = [Requirement(line.partition("--hash")[0]) for line in text.splitlines() if "==" in line]
    named = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(here)]
    assert installed == {
        (pin.name.lower().replace("-", "_").replace(".", "_"), str(pin.specifier).removeprefix("==")) for pin in named
    }


class TestPinnedUv:
    @pytest.fixture
    def lock(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Name a uv that is a small wheel, for a machine as this one."""
        monkeypatch.setattr(uv.sys, "platform", "linux")
        monkeypatch.setattr(uv.platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(uv.platform, "libc_ver", lambda: ("glibc", "2.36"))
        wheel = tmp_path / KNOWN_WHEEL
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"uv-1.2.3.data/scripts/{uv.PROGRAM}", "#!/bin/sh\necho it runs\n")
        lock = tmp_path / "uv.txt"
        lock.write_text(f"uv==1.2.3 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
        return lock

    @pytest.fixture
    def without_pip(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(uv, "find_spec", lambda _name: None)

    def _offer(self, index: Path, wheel: Path) -> None:
        (index / "uv").mkdir()
        shutil.copy(wheel, index / "uv" / KNOWN_WHEEL)
        foreign = "uv-1.2.3-py3-none-macosx_11_0_arm64.whl"
        links = [f'<a href="{name}#sha256=0">{name}</a>' for name in (foreign, KNOWN_WHEEL)]
        (index / "uv" / "index.html").write_text("<br>".join(links))

    def test_fetched_uv_without_pip_is_downloaded_and_kept(
        self, index: Path, lock: Path, tmp_path: Path, without_pip: None
    ) -> None:
        self._offer(index, tmp_path / KNOWN_WHEEL)
        program = uv.fetched_uv(lock, tmp_path / "home")
        assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "it runs\n"
        shutil.rmtree(index / "uv")
        assert uv.fetched_uv(lock, tmp_path / "home") == program

    def test_fetched_uv_with_wrong_hash_is_refused_and_not_kept(
        self, index: Path, lock: Path, tmp_path: Path, without_pip: None
    ) -> None:
        self._offer(index, tmp_path / KNOWN_WHEEL)
        (index / "uv" / KNOWN_WHEEL).write_bytes(b"something else")
        with pytest.raises(Failure, match=r"has a hash that requirements/uv.txt does not name"):
            uv.fetched_uv(lock, tmp_path / "home")
        assert not list((tmp_path / "home").rglob("uv"))

    def test_fetched_uv_without_matching_wheel_names_solution(
        self, index: Path, lock: Path, tmp_path: Path, without_pip: None
    ) -> None:
        (index / "uv").mkdir()
        (index / "uv" / "index.html").write_text("")
        with pytest.raises(Failure, match=r"has no uv 1\.2\.3 for this machine.*PIP_INDEX_URL"):
            uv.fetched_uv(lock, tmp_path / "home")

    def test_fetched_uv_without_index_names_solution_and_hides_password(
        self, lock: Path, tmp_path: Path, without_pip: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PIP_INDEX_URL", "http://me:secret@127.0.0.1:9/")
        with pytest.raises(Failure, match=r"http://127\.0\.0\.1:9/uv/: .*PIP_INDEX_URL") as failure:
            uv.fetched_uv(lock, tmp_path / "home")
        assert "secret" not in str(failure.value)

    def test_fetched_uv_accepts_untrusted_certificate_with_matching_hash(
        self, index: Path, lock: Path, tmp_path: Path, without_pip: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._offer(index, tmp_path / KNOWN_WHEEL)
        with _served(index, _self_signed(tmp_path)) as url:
            monkeypatch.setenv("PIP_INDEX_URL", url)
            assert uv.fetched_uv(lock, tmp_path / "home").exists()

    @pytest.mark.parametrize(
        ("system", "machine", "libc", "tag"),
        [
            ("linux", "x86_64", "glibc", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
            ("linux", "aarch64", "glibc", "manylinux_2_28_aarch64"),
            ("linux", "x86_64", "", "musllinux_1_1_x86_64"),
            ("darwin", "arm64", "", "macosx_11_0_arm64"),
            ("darwin", "x86_64", "", "macosx_10_12_x86_64"),
            ("win32", "AMD64", "", "win_amd64"),
        ],
    )
    def test_wheel_for_current_machine_is_chosen(
        self, system: str, machine: str, libc: str, tag: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uv.sys, "platform", system)
        monkeypatch.setattr(uv.platform, "machine", lambda: machine)
        monkeypatch.setattr(uv.platform, "libc_ver", lambda: (libc, ""))
        assert uv._fits_this_machine(f"uv-0.13.9-py3-none-{tag}.whl")
        assert not uv._fits_this_machine("uv-0.13.9-py3-none-manylinux_2_31_riscv64.whl")
        assert not uv._fits_this_machine("uv-0.13.9.tar.gz")


class TestUvOnPath:
    @pytest.fixture
    def put_on_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
        def put(said: str) -> Path:
            program = tmp_path / "bin" / "uv"
            program.parent.mkdir()
            program.write_text(f"#!/bin/sh\n{said}\n")
            program.chmod(0o755)
            monkeypatch.setenv("PATH", str(program.parent), prepend=":")
            return program

        return put

    def test_find_uv_uses_uv_on_path(self, put_on_path: Callable[[str], Path]) -> None:
        oldest = uv._pin(uv.OLDEST_LOCK)[0]
        program = put_on_path(f"echo 'uv {oldest} (0123 2024-11-07)'")
        assert uv.find_uv() == program

    @pytest.mark.parametrize("said", ["echo 'uv 0.4.30'", "exit 127"])
    def test_find_uv_skips_old_or_broken_uv_on_path(self, said: str, put_on_path: Callable[[str], Path]) -> None:
        program = put_on_path(said)
        assert uv.find_uv() != program


class TestPipSettings:
    def test_pip_settings_are_read_from_file_and_environment(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        file, certificates = tmp_path / "pip.conf", tmp_path / "own.pem"
        certificates.touch()
        file.write_text(
            f"[global]\nindex-url = http://127.0.0.1:9/100%/\ncert = {certificates}\ntimeout = 7\n"
            "[install]\nextra-index-url =\n    http://one/\n    http://two/\n"
        )
        monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
        settings = read_pip_settings()
        assert settings.index_url == "http://127.0.0.1:9/100%/"
        assert settings.extra_index_urls == ("http://one/", "http://two/")
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:10/")
        assert read_pip_settings().index_url == "http://127.0.0.1:10/"
        for name in ("SSL_CERT_FILE", "UV_HTTP_TIMEOUT"):
            monkeypatch.delenv(name, raising=False)
        assert settings.uv_environment["SSL_CERT_FILE"] == str(certificates)
        assert settings.uv_environment["UV_HTTP_TIMEOUT"] == "7"

    @pytest.mark.parametrize("name", ["PIP_CERT", "PIP_CLIENT_CERT", "REQUESTS_CA_BUNDLE"])
    def test_pip_settings_with_missing_certificate_name_variable(
        self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv(name, str(tmp_path / "missing.pem"))
        with pytest.raises(Failure, match=rf"missing\.pem does not exist: correct .*{name}"):
            read_pip_settings()

    def test_pip_settings_keep_environment_of_uv(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "pips.pem").touch()
        monkeypatch.setenv("PIP_CERT", str(tmp_path / "pips.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", "/etc/everybodys.pem")
        assert "SSL_CERT_FILE" not in read_pip_settings().uv_environment

    def test_pip_settings_translate_options_to_uv(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path} {tmp_path}/missing")
        monkeypatch.setenv("PIP_TRUSTED_HOST", "inside:8443")
        options = read_pip_settings().uv_options
        assert "--no-index" in options
        assert options[options.index("--find-links") + 1] == str(tmp_path)
        assert f"{tmp_path}/missing" not in options
        assert options[options.index("--allow-insecure-host") + 1] == "inside:8443"

    def test_pip_settings_with_invalid_file_raise_failure(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "pip.conf").write_text("index-url = somewhere\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        with pytest.raises(Failure, match=r"pip\.conf cannot be read"):
            read_pip_settings()


class TestLock:
    """With one small file, which is compiled by the real uv from the index that is configured."""

    @pytest.fixture
    def requirements(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "requirements"
        folder.mkdir()
        shutil.copy(REQUIREMENTS / "uv.txt", folder)
        monkeypatch.setattr(requirements_lock, "REQUIREMENTS", folder)
        monkeypatch.setattr(requirements_lock, "TARGETS", requirements_lock.TARGETS[:1])
        return folder

    @pytest.mark.longrun
    def test_lock_check_with_current_file_passes(self, requirements: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert requirements_lock.lock(["--check"]) == 0
        assert "are what pyproject.toml says" in capsys.readouterr().out

    @pytest.mark.longrun
    def test_lock_check_with_outdated_file_names_it_and_solution(self, requirements: Path) -> None:
        changed = (requirements / "uv.txt").read_text() + f"six==1.17.0 --hash=sha256:{'0' * 64}\n"
        (requirements / "uv.txt").write_text(changed)
        with pytest.raises(Failure, match=r"\(uv\.txt\): run python3 run\.py lock"):
            requirements_lock.lock(["--check"])
        assert (requirements / "uv.txt").read_text() == changed
        requirements_lock.lock([])
        assert (requirements / "uv.txt").read_text() == (REQUIREMENTS / "uv.txt").read_text()

    @pytest.mark.longrun
    def test_lock_check_with_unknown_file_names_it(self, requirements: Path) -> None:
        (requirements / "left-over.txt").write_text("")
        with pytest.raises(Failure, match=r"\(left-over\.txt\)"):
            requirements_lock.lock(["--check"])
