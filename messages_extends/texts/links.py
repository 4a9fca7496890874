"""Which links may be stored and shown."""

import logging
import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

logger = logging.getLogger(__name__)

# Browsers ignore line breaks, tabs, and control characters and spaces at both ends, and read a backslash as a slash.
FORBIDDEN_IN_LINKS: Final = re.compile(r"[\\\x00-\x1f\x7f]|^ | $")


def is_link(url: str) -> bool:
    """Tell whether browsers read `url` as empty, a path on this site or an http(s) address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    # Browsers read two or more slashes as the start of a host name.
    is_path = not parts.scheme and not parts.netloc and not url.startswith("//")
    is_web = parts.scheme in ("http", "https") and bool(parts.netloc)
    return (is_path or is_web) and not FORBIDDEN_IN_LINKS.search(url)


@lru_cache(maxsize=1_024)
def shown_link(url: str) -> str:
    """Return `url` if it may be shown as a link, otherwise "": rows may have been written without validation.

    A link that is not shown is logged once per process.
    """
    if is_link(url):
        return url
    logger.warning("A message has a link that is neither a path nor an http(s) address and is not shown: %.100r", url)
    return ""
