"""Read pip's configuration of package sources, so that uv uses the same ones.

Only the options about sources are read. The files and variables, and their order, are documented at
https://pip.pypa.io/en/stable/topics/configuration/
"""

import os
import sys
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path

from config.running.failures import Failure


@dataclass(frozen=True)
class PipSettings:
    """The sources of packages, and proxy and certificates; empty unless pip is configured."""

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    proxy: str = ""
    cert: str = ""
    client_cert: str = ""
    timeout: str = ""

    @property
    def uv_options(self) -> list[str]:
        """Return the equivalent options of uv."""
        return [
            *(["--index-url", self.index_url] if self.index_url else []),
            *(word for url in self.extra_index_urls for word in ("--extra-index-url", url)),
            *(word for place in self.find_links for word in ("--find-links", place)),
            *(["--no-index"] if self.no_index else []),
            *(word for host in self.trusted_hosts for word in ("--allow-insecure-host", host)),
            # Like pip, use every index. Other packages cannot be installed by mistake, because hashes are required.
            *("--index-strategy", "unsafe-best-match"),
        ]

    @property
    def uv_environment(self) -> dict[str, str]:
        """Return the equivalent environment variables of uv, except those that are already set."""
        variables = {
            "SSL_CERT_FILE": self.cert,
            "SSL_CLIENT_CERT": self.client_cert,
            "HTTP_PROXY": self.proxy,
            "HTTPS_PROXY": self.proxy,
            "UV_HTTP_TIMEOUT": self.timeout,
        }
        return {
            name: value
            for name, value in variables.items()
            if value and not (name in os.environ or name.lower() in os.environ)
        }


def read_pip_settings() -> PipSettings:
    """Read pip's environment variables and configuration files; raise Failure for a file that cannot be read."""
    options = _options()
    # requests, which pip uses, reads the two variables.
    cert = options.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or ""
    client_cert = options.get("client-cert", "")
    for file in filter(None, (cert, client_cert)):
        if not Path(file).exists():
            raise Failure(
                f"The certificate file {file} does not exist: correct PIP_CERT, PIP_CLIENT_CERT, REQUESTS_CA_BUNDLE or "
                "CURL_CA_BUNDLE, whichever names it, or pip's configuration file."
            )
    return PipSettings(
        index_url=options.get("index-url", ""),
        extra_index_urls=tuple(options.get("extra-index-url", "").split()),
        find_links=tuple(place for place in options.get("find-links", "").split() if _exists(place)),
        no_index=options.get("no-index", "").lower() in {"1", "true", "yes", "on"},
        trusted_hosts=tuple(options.get("trusted-host", "").split()),
        proxy=options.get("proxy", ""),
        cert=cert,
        client_cert=client_cert,
        timeout=options.get("default-timeout") or options.get("timeout", ""),
    )


def _options() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in _files():
        parser = ConfigParser(interpolation=None)
        try:
            parser.read(file)
        except (Error, UnicodeDecodeError) as error:
            raise Failure(f"pip's configuration file {file} cannot be read: {' '.join(str(error).split())}") from None
        for section in ("global", "download", "install"):
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for name, value in os.environ.items():
        if name.startswith("PIP_") and value:
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return found


def _files() -> list[Path]:
    """List pip's configuration files from the least to the most important."""
    if (chosen := os.environ.get("PIP_CONFIG_FILE")) == os.devnull:
        return []
    name = "pip.ini" if os.name == "nt" else "pip.conf"
    home = Path.home()
    if os.name == "nt":
        site = [Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "pip"]
        user = [home / "pip", Path(os.environ.get("APPDATA", home / "AppData/Roaming")) / "pip"]
    elif sys.platform == "darwin":
        site = [Path("/Library/Application Support/pip")]
        user = [home / ".pip", home / ".config/pip", home / "Library/Application Support/pip"]
    else:
        places = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
        site = [*(Path(place) / "pip" for place in reversed(places.split(os.pathsep))), Path("/etc")]
        user = [home / ".pip", Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip"]
    files = [folder / name for folder in (*site, *user, Path(sys.prefix))]
    return [*files, *([Path(chosen)] if chosen else [])]


def _exists(place: str) -> bool:
    """Tell whether a location of --find-links exists: pip ignores a missing folder, and uv would fail."""
    return "://" in place or Path(place).exists()
