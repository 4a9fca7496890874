"""uv, which installs every package: the one on PATH, or a pinned one in a folder of its own.

The pinned one is a single wheel without dependencies. pip fetches it where there is a pip; elsewhere it is read from
the index. Its hash is in requirements/uv.txt either way.
"""

import hashlib
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import zipfile
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener, getproxies

from config.running.failures import Failure, explain_output
from config.running.folders import PROJECT, state_dir
from config.running.pip_settings import PipSettings, read_pip_settings
from config.running.progress import say

LOCK = PROJECT / "requirements" / "uv.txt"
# Names the oldest release that can install the other files, which a test verifies. Older ones on PATH are not used.
OLDEST_LOCK = PROJECT / "requirements" / "uv-oldest.txt"
# The default index of pip.
DEFAULT_INDEX = "https://pypi.org/simple"
REMEDY = "Check the network and pip's configuration (PIP_INDEX_URL, PIP_PROXY, PIP_CERT, pip.conf), then run it again."
PROGRAM = "uv.exe" if os.name == "nt" else "uv"


def run_uv(task: str, *arguments: str | Path, uv: Path | None = None) -> str:
    """Run a command of `uv pip` with pip's index, proxy and certificates; return its output.

    `task` is the beginning of the line about a failure.
    """
    settings = read_pip_settings()
    command = [uv or find_uv(), "--color=never", "pip", *arguments, *settings.uv_options]
    env = os.environ | settings.uv_environment
    with subprocess.Popen(
        command, env=env, stdout=-1, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    ) as process:
        printed = []
        try:
            for line in process.stdout or ():
                printed.append(line)
                _show_progress(line)
        finally:
            process.terminate()
    output = "".join(printed)
    if process.returncode:
        raise explain_output(task, _one_line(output) or output, remedy=REMEDY)
    return output


def _show_progress(line: str) -> None:
    """Show the long downloads, which uv names."""
    if line.strip().startswith("Downloading "):
        say(f"  {line.strip()}")


def _one_line(output: str) -> str:
    """Return uv's error with its causes, which name the package, as one line; empty if there is none."""
    lines = iter(output.splitlines())
    message = next((line for line in lines if line.lstrip().startswith(("error:", "\N{MULTIPLICATION SIGN}"))), "")
    message = message.lstrip(" \N{MULTIPLICATION SIGN}")
    for line in lines:
        if line.lstrip().startswith("hint:"):
            break
        # Each cause begins with one of these; other lines are wrapped.
        if cause := re.match(r"\s*(?:Caused by:|cause:|[├╰]─▶)\s*(.*)", line):
            message = f"{message.rstrip('.:')}: {cause[1]}"
        else:
            message = f"{message} {line.strip(' │')}"
    message = message.removeprefix("error: ").strip()
    return f"error: {message}" if message else ""


def find_uv() -> Path:
    """Return the uv to install with; fetch the pinned one if there is none; raise Failure if that fails."""
    return _on_path() or pinned_uv()


def _on_path() -> Path | None:
    found = shutil.which("uv")
    if found is None:
        return None
    try:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    version = re.match(r"uv (\d+\.\d+\.\d+)", said)
    return Path(found) if version and _key(version[1]) >= _key(_pin(OLDEST_LOCK)[0]) else None


def _key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def pinned_uv() -> Path:
    """Return the uv that requirements/uv.txt names, fetched the first time."""
    return fetched_uv(LOCK, state_dir() / "uv")


def fetched_uv(lock: Path, home: Path) -> Path:
    """Return the uv that a requirements file names; it is kept in a folder below `home`."""
    version, hashes = _pin(lock)
    program = home / version / PROGRAM
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
            say(f"  Fetching uv {version}, which installs the packages")
            wheel = (
                _fetched_by_pip(lock, Path(scratch)) if find_spec("pip") else _fetched(version, hashes, Path(scratch))
            )
            _unpack(wheel, program, Path(scratch))
    return program


def _pin(lock: Path) -> tuple[str, set[str]]:
    text = lock.read_text()
    (version,) = re.findall(r"^uv==(\S+)", text, re.MULTILINE)
    return version, set(re.findall(r"sha256:([0-9a-f]{64})", text))


def _fetched_by_pip(lock: Path, folder: Path) -> Path:
    options = ["--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    done = subprocess.run(
        # -P prevents imports from the current folder.
        [sys.executable, "-P", "-m", "pip", "download", *options, "--dest", str(folder), "--requirement", str(lock)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("uv-*.whl"))
    if done.returncode or not wheels:
        raise explain_output("Fetching uv with pip", done.stdout, remedy=REMEDY)
    return wheels[0]


def _fetched(version: str, hashes: set[str], folder: Path) -> Path:
    settings = read_pip_settings()
    if settings.no_index:
        raise Failure(
            "Fetching uv failed: pip is configured to use no index (no-index). Put uv on PATH, or change that."
        )
    for index in (settings.index_url or DEFAULT_INDEX, *settings.extra_index_urls):
        page = f"{index.rstrip('/')}/uv/"
        links = re.findall(r'href="([^"#]+)', _get(page, settings).decode(errors="replace"))
        for link in links:
            name = unquote(link.rpartition("/")[2])
            if name.startswith(f"uv-{version}-") and _fits_this_machine(name):
                return _write(_get(urljoin(page, link), settings), name, hashes, folder)
    raise Failure(f"Fetching uv failed: the index has no uv {version} for this machine. Put uv on PATH, or: {REMEDY}")


def _write(wheel: bytes, name: str, hashes: set[str], folder: Path) -> Path:
    if hashlib.sha256(wheel).hexdigest() not in hashes:
        raise Failure(f"Fetching uv failed: {name} has a hash that requirements/uv.txt does not name. {REMEDY}")
    (folder / name).write_bytes(wheel)
    return folder / name


def _fits_this_machine(wheel: str) -> bool:
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "win32":
        tag = {"x86_64": "win_amd64", "aarch64": "win_arm64"}.get(machine, "win32")
    elif sys.platform == "darwin":
        tag = rf"macosx_\d+_\d+_{'arm64' if machine == 'aarch64' else machine}"
    else:
        libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
        tag = rf"{libc}_\d+_\d+_{machine}"
    return bool(re.search(rf"-py3-none-(\S+\.)?{tag}(\.\S+)?\.whl$", wheel))


def _unpack(wheel: Path, program: Path, scratch: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        (member,) = (name for name in files.namelist() if name.endswith(f".data/scripts/{PROGRAM}"))
        draft = Path(files.extract(member, scratch))
    draft.chmod(0o755)
    # Atomic, because another process may do the same at this moment.
    draft.replace(program)


def _get(url: str, settings: PipSettings) -> bytes:
    try:
        return _read(url, settings, ssl.create_default_context(cafile=settings.cert or None))
    except (URLError, TimeoutError, ValueError) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
            return _get_unverified(url, settings)
        raise _failed(url, error) from None


def _get_unverified(url: str, settings: PipSettings) -> bytes:
    """Download without verifying the certificate, because Debian's minimal Python has no certificates.

    Nothing that is downloaded is trusted: the index only contains the wheel's URL, and the wheel's hash is verified.
    """
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    try:
        return _read(url, settings, unverified)
    except (URLError, TimeoutError) as error:
        raise _failed(url, error) from None


def _read(url: str, settings: PipSettings, context: ssl.SSLContext) -> bytes:
    proxies = {"http": settings.proxy, "https": settings.proxy} if settings.proxy else getproxies()
    opener = build_opener(ProxyHandler(proxies), HTTPSHandler(context=context))
    address, login = _without_login(url)
    headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else {}
    with opener.open(Request(address, headers=headers), timeout=60) as answer:  # noqa: S310 - the person's own index
        return bytes(answer.read())


def _without_login(url: str) -> tuple[str, str]:
    """Split a URL into the URL without user and password, which may be shown, and "user:password"."""
    parts = urlsplit(url)
    login, _at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=host).geturl(), unquote(login)


def _failed(url: str, error: Exception) -> Failure:
    return Failure(f"Fetching uv failed: {_without_login(url)[0]}: {getattr(error, 'reason', error)}. {REMEDY}")
