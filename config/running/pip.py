"""pip as a file that runs: the one this Python brings along, or one that is fetched; nothing is installed for it.

Debian's Python brings none along unless python3-venv is installed. A pip is a wheel, and a wheel is a zip that runs.
"""

import hashlib
import os
import re
import ssl
import sysconfig
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urljoin
from urllib.request import urlopen

from config.running.failures import Failure
from config.running.folders import state_dir

WHEEL = "pip-26.3-py3-none-any.whl"
SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
# Where pip itself looks when nothing else is configured.
INDEX = "https://pypi.org/simple"
REMEDY = "Check the network and pip's configuration (PIP_INDEX_URL, PIP_PROXY, pip.conf), then run it again."


def runnable_pip() -> Path:
    """Return a file that `python FILE/pip` runs; raise Failure if there is none and none can be fetched."""
    return bundled() or fetched()


def bundled() -> Path | None:
    """Return the wheel that comes with this Python, or with the distribution's."""
    ensurepip = find_spec("ensurepip")
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR")]
    if ensurepip and ensurepip.origin:
        folders.append(str(Path(ensurepip.origin).parent / "_bundled"))
    wheels = [wheel for folder in folders if folder for wheel in Path(folder).glob("pip-*.whl")]
    return wheels[0] if wheels else None


def fetched() -> Path:
    """Return the pinned wheel, fetched from the index the first time; its hash is held against ours."""
    wheel = state_dir() / WHEEL
    if not (wheel.exists() and _hash(wheel.read_bytes()) == SHA256):
        wheel.parent.mkdir(parents=True, exist_ok=True)
        draft = wheel.with_name(f"{WHEEL}.{os.getpid()}")
        draft.write_bytes(_fetch())
        draft.replace(wheel)
    return wheel


def _fetch() -> bytes:
    page = f"{(configured('index-url') or INDEX).rstrip('/')}/pip/"
    link = re.search(rf'href="([^"#]*{re.escape(WHEEL)})', _get(page).decode(errors="replace"))
    if link is None:
        raise Failure(f"Fetching pip failed: the index has no {WHEEL}. {REMEDY}")
    wheel = _get(urljoin(page, link[1]))
    if _hash(wheel) != SHA256:
        raise Failure(f"Fetching pip failed: what came is not the {WHEEL} that we know. {REMEDY}")
    return wheel


def configured(option: str) -> str | None:
    """Return what the person has told pip, by its variables or in its files."""
    files = ConfigParser(interpolation=None)
    home = Path.home()
    own = (home / ".pip/pip.conf", home / ".config/pip/pip.conf", os.environ.get("PIP_CONFIG_FILE", ""))
    files.read(["/etc/pip.conf", *own])
    variable = f"PIP_{option.upper().replace('-', '_')}"
    return os.environ.get(variable) or files.get("global", option, fallback=None)


def _get(url: str) -> bytes:
    try:
        return _read(url, ssl.create_default_context(cafile=configured("cert")))
    except (URLError, TimeoutError, ValueError) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
            return _get_on_trust(url)
        raise _failed(error) from error


def _get_on_trust(url: str) -> bytes:
    """Fetch without asking who answers: Debian's bare Python has no certificates, and the hash decides what is run."""
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    try:
        return _read(url, anybody)
    except (URLError, TimeoutError) as error:
        raise _failed(error) from error


def _read(url: str, context: ssl.SSLContext) -> bytes:
    with urlopen(url, timeout=60, context=context) as answer:  # noqa: S310 - the person's own index
        return bytes(answer.read())


def _failed(error: Exception) -> Failure:
    return Failure(f"Fetching pip failed: {getattr(error, 'reason', error)}. {REMEDY}")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
