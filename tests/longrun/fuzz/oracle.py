"""What no answer may be: an error, somebody's markup, a way to elsewhere, another organisation's."""

import re
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit

from tests.longrun.fuzz.inputs import MARK

SCRIPTED: Final = re.compile(r"(?i)[\s\x00-\x20]*(j\s*a\s*v\s*a|v\s*b)\s*s\s*c\s*r\s*i\s*p\s*t\s*:|[\s\x00-\x20]*data:")
ADDRESSES: Final = {"href", "src", "action", "formaction", "srcset", "data", "poster", "http-equiv"}
REDIRECTS: Final = (301, 302, 303, 307, 308)
TOKENS: Final = re.compile(
    r"""(csrfmiddlewaretoken"\s+value|name="number"\s+value|data-mx-now|data-mx-version|snapshot"\s+value)="[^"]*\""""
)


class Injected(HTMLParser):
    """Looks for what became an element, an attribute, or an address that runs."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._element = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._element = tag
        if MARK in tag:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if MARK in name or (name.startswith("on") and MARK in (value or "")):
                self.found.append(f"{name}= in <{tag}>")
            if name in ADDRESSES and SCRIPTED.match(value or ""):
                self.found.append(f"{name}={value!r} in <{tag}>")

    def handle_data(self, data: str) -> None:
        # JSON in a page is data; a browser runs no other script of ours than a file.
        if self._element == "script" and f"<{MARK}" in data:
            self.found.append(f"script: {data[:80]!r}")

    def handle_endtag(self, tag: str) -> None:
        self._element = ""


def faults(response: Any, host: str, path: str, canaries: tuple[str, ...]) -> list[str]:
    """Return what is wrong with an answer to `path` at `host`, where no one of `canaries` may be seen."""
    return [
        *_errors(response),
        *_markup(response),
        *_ways_out(response, host, path),
        *(f"canary {canary}" for canary in canaries if canary in _all(response)),
    ]


def _errors(response: Any) -> list[str]:
    if response.status_code < 500 or response.status_code == 503:
        return []
    error = getattr(response, "exc_info", None)
    return [f"{response.status_code}: {place_of(error) if error else response.content[:200]!r}"]


def place_of(error: Any) -> str:
    """Say which error it was, and where ours or a library's code raised it."""
    kind, value, traceback = error
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return f"{kind.__name__} in {code.co_filename.rpartition('/')[2]}:{code.co_name}: {str(value)[:120]}"


def _markup(response: Any) -> list[str]:
    text = text_of(response)
    kind = response.headers.get("Content-Type", "")
    if MARK not in text and "script:" not in text.lower():
        return []
    if "html" not in kind:
        return [] if response.headers.get("X-Content-Type-Options") == "nosniff" else [f"sniffable {kind}"]
    parser = Injected()
    parser.feed(text)
    parser.close()
    return [f"markup {found}" for found in parser.found]


def _ways_out(response: Any, host: str, path: str) -> list[str]:
    found = []
    if any("injected" in name.lower() for name in response.headers):
        found.append("a header of the attacker's")
    location = response.headers.get("Location", "")
    if response.status_code in REDIRECTS and leads_away(location, host, path):
        found.append(f"redirect to {location[:120]!r}")
    return found


def leads_away(location: str, host: str, path: str) -> bool:
    """Tell whether a browser at this address would be led to another host, reading it as browsers do."""
    browsers = re.sub(r"[\t\r\n]", "", location).strip("".join(map(chr, range(33)))).replace("\\", "/")
    # More slashes than two are two.
    browsers = re.sub(r"(?i)^(https?:)?/{2,}", r"\1//", browsers)
    parts = urlsplit(urljoin(f"http://{host}{path}", browsers))
    if host == "localhost" and path.startswith("/find/"):
        # That is what the page is for.
        return not re.fullmatch(r"[a-z0-9-]+\.localhost", parts.hostname or "")
    return parts.scheme not in {"http", "https"} or parts.netloc.lower() != host.lower()


def text_of(response: Any) -> str:
    return "" if response.streaming else response.content.decode("utf-8", "replace")


def _all(response: Any) -> str:
    cookies = " ".join(morsel.OutputString() for morsel in response.cookies.values())
    return f"{text_of(response)} {list(response.headers.items())} {cookies}"


def answer(response: Any, *without: str) -> tuple[int, str, str]:
    """Return what somebody could tell two answers apart by, without what was asked for and what is made up anew."""
    text, location = TOKENS.sub("", text_of(response)), unquote(response.headers.get("Location", ""))
    for each in without:
        text, location = text.replace(each, "…"), location.replace(each, "…")
    return response.status_code, text, location
