"""What an attacker sends: texts, keys, headers and cookies, as strategies of Hypothesis."""

from typing import Final
from uuid import UUID

import hypothesis.strategies as st

# Wherever a page takes this for markup, the oracle finds an element, an attribute or a script of this name.
MARK: Final = "mxinjected"

MARKUP: Final = (
    f"<{MARK}>",
    f"</textarea></title></script><{MARK}>",
    f'"><{MARK} a="',
    f"'><{MARK} a='",
    f'" {MARK}="1',
    f"' {MARK}='1",
    f" {MARK}=1 ",
    f"<script>{MARK}()</script>",
    f"<img src=x onerror={MARK}()>",
    f"]]><{MARK}>",
    f"--><{MARK}>",
    f"{{{{ {MARK} }}}}{{% {MARK} %}}",
    f"+ADw-{MARK}+AD4-",
    f"\u2028<{MARK}>\u2029",
)
ELSEWHERE: Final = (
    "http://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "http:///evil.example/",
    "https:evil.example",
    "/\t/evil.example/",
    "\x08//evil.example",
    "http://acme.localhost@evil.example/",
    "http://acme.localhost.evil.example/",
    "http://globex.localhost/",
    "//globex.localhost/",
    f"javascript:{MARK}()",
    f" JaVaScRiPt:{MARK}()",
    f"java\nscript:{MARK}()",
    f"data:text/html,<{MARK}>",
    f"vbscript:{MARK}",
    "/%0d%0aX-Injected: 1",
    "/\r\nX-Injected: 1",
    "http://[::1",
    "http://\ud800.example/",
)
FORMATS: Final = (
    "%s",
    "%d%d%d",
    "%(name)s",
    "%(",
    "%",
    "%%",
    "%n%n%n",
    "%c",
    "%*d",
    "%2147483648d",
    "%.999999999999f",
    "{0.__class__}",
    "{}",
    "%(a)x",
    "%\u0661d",
)
ODD: Final = (
    "",
    " ",
    "\0",
    "a\0b",
    "\r\n",
    "\ud800",
    "\udfff\ud800",
    "\ufeff",
    "\u202e\u2066",
    "\u0000\u0001\u007f\u0085",
    "e\u0301" * 50,
    "\U0001f4a9",
    "\U000e0001",
    "a" * 5_000,
    "0",
    "-0",
    "-1",
    "1e309",
    "NaN",
    "Infinity",
    "0x10",
    "1_000",
    "\u0661\u0662",
    "9" * 40,
    "-" + "9" * 40,
    "2147483648",
    "9223372036854775808",
    "-9223372036854775809",
    "null",
    "None",
    "true",
    "[]",
    "{}",
    '{"a": NaN}',
    "'; DROP SCHEMA acme CASCADE; --",
    '" OR 1=1 --',
    "$1",
    "\\",
    "%00",
    "..",
    "../../etc/passwd",
    "*",
    "0000-00-00T00:00",
    "9999-12-31T23:59",
    "0001-01-01T00:00",
    "2030-02-30T25:61",
    "+292278994-08-17T07:12",
    "Europe/../../etc/passwd",
    "Mars/Olympus",
    "/etc/localtime",
    "user:1",
    "user:" + "9" * 30,
    "group:\0",
    "everybody",
    "page:1:2",
)
HEADERS: Final = (
    "Referer",
    "Origin",
    "Accept",
    "Accept-Language",
    "Accept-Encoding",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-For",
    "X-Forwarded-Port",
    "Forwarded",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-Requested-With",
    "X-CSRFToken",
    "If-None-Match",
    "If-Modified-Since",
    "If-Match",
    "If-Unmodified-Since",
    "Last-Event-ID",
    "Range",
    "Authorization",
    "Cookie2",
    "User-Agent",
    "Content-Encoding",
    "Expect",
    "Script-Name",
    "Remote-User",
)
SPECIAL: Final = (
    "de;q=1, *;q=0",
    "de-" + "x-" * 200 + "de",
    "a" * 500,
    "es-ES-u-ca-gregory,en;q=" + "9" * 100,
    'W/"x", "y", *',
    '"' + "a" * 2_000,
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Thu, 99 Foo 99999 99:99:99 XXX",
    "bytes=0-,-1",
    "bytes=" + "0-1," * 100,
    "text/event-stream",
    "application/json",
    "text/event-stream, application/json, */*;q=nan",
    "XMLHttpRequest",
    "https",
    "for=1.2.3.4;host=globex.localhost;proto=https",
    "DELETE",
    "Basic ////",
    "globex.localhost",
    "::1%25evil",
    "0",
)
HOSTS: Final = (
    "ACME.localhost",
    "acme.localhost:80",
    "acme.localhost.",
    "acme.localhost:99999999",
    "globex.localhost",
    "acme.globex.localhost",
    "public.localhost",
    "localhost",
    "www.localhost",
    "evil.example",
    "acme.localhost@evil.example",
    "evil.example/acme.localhost",
    "acme.localhost#",
    "acme.localhost\t",
    "acme_localhost",
    "xn--acme-.localhost",
    f"<{MARK}>",
    f'"{MARK}="1',
    "[::1]",
    "[",
    "",
    "%00.localhost",
    "a" * 300 + ".localhost",
    "\u0130acme.localhost",
    "acme\u3002localhost",
)
BODIES: Final = (
    ("application/json", b'{"step": "send", "number": [1, {}], "message": null}'),
    ("application/json", b"[" * 10_000),
    ("text/plain", b"\xff\xfe\x00"),
    ("application/x-www-form-urlencoded", b"%ff%00&=&&a=%&message=%ed%a0%80"),
    ("application/x-www-form-urlencoded", b"a=1&" * 2_000),
    ("application/x-www-form-urlencoded; charset=utf-16", b"\xff\xfem\x00"),
    ("application/x-www-form-urlencoded; charset=\x7f", b"a=1"),
    ("application/x-www-form-urlencoded; charset=idna", b"message=" + b"a" * 300),
    ("multipart/form-data", b""),
    ("multipart/form-data; boundary=", b"--\r\n"),
    ("multipart/form-data; boundary=\xff", b"--x--"),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="message"\r\n'),
    (
        "multipart/form-data; boundary=x",
        (
            b"--x\r\nContent-Disposition: form-data; name=\"a\"; filename*=utf-9''%ff\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n!\r\n--x--\r\n"
        ),
    ),
    ("multipart/form-data; boundary=x; charset=utf-7", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'),
    ("application/xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
)
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X" * 50)

malicious = st.one_of(
    st.sampled_from(MARKUP),
    st.sampled_from(ELSEWHERE),
    st.sampled_from(FORMATS),
    st.sampled_from(ODD),
    st.text(max_size=40),
    st.integers().map(str),
    st.builds("".join, st.lists(st.sampled_from((*MARKUP, *ELSEWHERE, *FORMATS, *ODD)), max_size=3)),
)


def keys_of(kind: str, known: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Return what may stand in a path where a converter of this kind is: what there is, and what never was."""
    there = st.sampled_from(known) if known else st.just("1")
    made_up = st.uuids().map(str) if kind == "uuid" else st.integers(-(2**70), 2**70).map(str)
    twisted = st.builds(_twist, there, st.integers(0, 80), st.characters())
    return st.one_of(there, made_up, twisted, malicious.filter(bool))


def _twist(text: str, at: int, character: str) -> str:
    at %= len(text) + 1
    return text[:at] + character + text[at + 1 :]


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


# No header has a line break or a character beyond Latin-1 in it when it arrives.
header_values = st.one_of(st.sampled_from(SPECIAL), malicious).map(
    lambda text: text.encode("utf-8", "surrogatepass").decode("latin-1").replace("\r", "").replace("\n", "")
)
headers = st.dictionaries(st.sampled_from(HEADERS), header_values, max_size=4)
