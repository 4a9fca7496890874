"""Validation of texts, links, tags and times before anything is written."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from django.conf import settings
from django.utils import timezone, translation
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.functional import Promise
from django.utils.html import conditional_escape
from django.utils.safestring import SafeData

from messages_extends.constants import PERSISTENT_MESSAGE_LEVELS, describe_level
from messages_extends.models.content import Content, Display
from messages_extends.texts.links import is_link
from messages_extends.texts.rendering import Params

MAX_TEXT: Final = 10_000
# The limit for the interface of django-messages-extends, which had none.
MAX_LEGACY_TEXT: Final = 100_000
UTC: Final = dt.UTC
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
DISPLAYS: Final = frozenset(Display.values)
# What PostgreSQL cannot store: NUL and lone surrogates.
UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
ESCAPED_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
LIMITS: Final[dict[str, int]] = {"message": MAX_TEXT} | {
    name: getattr(Content._meta.get_field(name), "max_length")  # noqa: B009 - not declared by the type of the field
    for name in ("extra_tags", "url", "key", "title", "url_label", "category", "group")
}


def clean_content(
    text: str | Promise,
    *,
    level: int,
    params: Params = None,
    extra_tags: str = "",
    url: str = "",
    key: str = "",
    title: str | Promise = "",
    url_label: str | Promise = "",
    display: str | None = None,
    category: str = "",
    group: str = "",
    max_text: int = MAX_TEXT,
) -> dict[str, Any]:
    """Return the column values of a text, ready to be stored. The title of a text that is safe HTML is escaped.

    Raises ValueError, with the allowed values, for anything that must not be stored or sent to a browser.
    """
    text, title = as_stored(text, params), as_stored(title or "", params)
    columns = {
        "level": level,
        "title": conditional_escape(title) if isinstance(text, SafeData) else title,
        "message": text,
        "params": params,
        "extra_tags": str(extra_tags or ""),
        "url": str(url or ""),
        "url_label": as_stored(url_label or "", params),
        "display": Display.BANNER if display is None else display,
        "category": str(category or ""),
        "group": str(group or ""),
        "is_safe": isinstance(text, SafeData),
        "key": str(key or ""),
    }
    require_storable(columns, max_text=max_text)
    return columns


def as_stored(text: str | Promise, params: Params) -> str:
    """Return the text as a str or SafeString: in the sender's language, or as a msgid if it has params."""
    if params is None:
        return str(text)
    with translation.override(None):
        return str(text)


def require_storable(columns: Mapping[str, Any], *, max_text: int = MAX_TEXT) -> None:
    """Raise ValueError, with the allowed values, unless these column values can be stored and shown."""
    for name, most in LIMITS.items():
        # Most of them are empty.
        if value := columns[name]:
            require_characters(name, value)
            limit = max_text if name == "message" else most
            if len(value) > limit:
                raise ValueError(f"{name} has {len(value)} characters; at most {limit} are allowed.")
    if not columns["message"].strip():
        raise ValueError("message is blank: enter a text.")
    require_level(columns["level"])
    require_params(columns["params"])
    require_link(columns["url"])
    if columns["display"] not in DISPLAYS:
        raise ValueError(f"display {columns['display']!r} is not one of {', '.join(Display.values)}.")


def require_level(level: int) -> None:
    """Raise ValueError unless `level` is a persistent level."""
    if level not in PERSISTENT_MESSAGE_LEVELS:
        allowed = ", ".join(describe_level(each) for each in PERSISTENT_MESSAGE_LEVELS)
        raise ValueError(f"level {describe_level(level)} is not persistent; use one of {allowed}.")


def require_characters(name: str, value: str) -> None:
    """Raise ValueError for characters that PostgreSQL cannot store: NUL and lone surrogates."""
    if UNSTORABLE.search(value):
        raise ValueError(f"{name} contains a NUL character or a lone surrogate, which cannot be stored.")


def require_params(params: object) -> None:
    """Raise ValueError unless `params` is None, or a dictionary or list that JSON can represent."""
    if params is not None and not isinstance(params, dict | list | tuple):
        raise ValueError(f"params is a {type(params).__name__}: use a dictionary or a list.")
    if params is None:
        return
    try:
        text = json.dumps(params, allow_nan=False, ensure_ascii=False)
    except TypeError as error:
        raise ValueError(f"params may contain only strings, numbers, booleans and None: {error}.") from error
    require_characters("params", ESCAPED_NUL.sub("\0", text))


def require_link(url: str) -> None:
    """Raise ValueError unless `url` is empty, a path on this site, or an http(s) address."""
    if not is_link(url):
        raise ValueError(f"url {url!r} is not allowed: use a path on this site (/orders/5/) or an http(s) address.")


def clean_bool(name: str, value: object) -> bool:
    """Return `value` if it is True or False. Raises TypeError otherwise."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}: use True or False.")
    return value


def clean_datetime(name: str, value: object) -> datetime:
    """Return `value` in UTC or, without USE_TZ, as a naive datetime in TIME_ZONE.

    A naive `value` is interpreted in the time zone that templates show. Raises TypeError for other types, and
    ValueError for a datetime that could be stored but not loaded.
    """
    if not isinstance(value, datetime):
        raise TypeError(f"{name} is {value!r}: use a datetime.")
    at = in_utc(name, timezone.make_aware(value, shown_zone()) if timezone.is_naive(value) else value)
    return at if settings.USE_TZ else timezone.make_naive(at, timezone.get_default_timezone())


def shown_zone() -> dt.tzinfo:
    """Return the time zone in which templates show times: the current one, or without USE_TZ the default one."""
    return timezone.get_current_timezone() if settings.USE_TZ else timezone.get_default_timezone()


def in_utc(name: str, value: datetime) -> datetime:
    """Return an aware datetime in UTC. Raises ValueError unless its year is between 1900 and 8999."""
    # PostgreSQL stores years that Python cannot represent; loading such a row is an error.
    try:
        at = value.astimezone(UTC)
    except OverflowError:
        at = None
    if at is None or not EARLIEST <= at < LATEST:
        raise ValueError(f"{name} is {value}: its year must be between 1900 and 8999.")
    return at


def parse_datetime_of_page(text: str) -> datetime | None:
    """Parse a datetime that a page of this package contains; return None for anything else."""
    try:
        at = parse_datetime(text)
        # Without USE_TZ the pages contain naive datetimes.
        has_zone = at is not None and (at.tzinfo is not None or not settings.USE_TZ)
        return clean_datetime("time", at) if has_zone else None
    except ValueError:
        return None


def clean_legacy_datetime(name: str, value: object) -> datetime | None:
    """Return a datetime for any value that django-messages-extends accepted, also in the past.

    Return None for one that is too late to be stored. Raises ValueError or TypeError for invalid values.
    """
    if isinstance(value, str):
        value = parse_datetime(value) or parse_date(value) or value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, dt.time.min)
    if isinstance(value, datetime) and not EARLIEST.year <= value.year < LATEST.year:
        return None if value.year >= LATEST.year else EARLIEST
    return clean_datetime(name, value)


def clean_future_datetime(name: str, value: object, after: datetime | None = None) -> datetime:
    """Return `value` like `clean_datetime`. Raises ValueError unless it is in the future and later than `after`."""
    at = clean_datetime(name, value)
    if at <= timezone.now():
        raise ValueError(f"{name} is in the past ({at.isoformat()}): use a time in the future.")
    if after is not None and at <= after:
        raise ValueError(
            f"{name} is {at.isoformat()}; it must be later than the time of publication, {after.isoformat()}."
        )
    return at
