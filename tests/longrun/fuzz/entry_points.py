"""Every address there is, out of the URL configuration: a new one is attacked without anybody having to say so."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from urllib.parse import quote

from django import forms
from django.conf import settings
from django.urls import URLResolver, get_resolver

PARAMETER: Final = re.compile(r"<(?:(\w+):)?(\w+)>")
# What the routes of Django's admin have of regular expressions.
NAMED_GROUP: Final = re.compile(r"\(\?P<(\w+)>[^)]*\)")
ASKED_FOR: Final = re.compile(r"request\.(?:GET|POST)(?:\.get\(|\.getlist\(|\[)\"(\w+)\"")


@dataclass(frozen=True)
class EntryPoint:
    """One address; `kinds` are the converters of what stands in its path."""

    route: str
    urlconf: str
    kinds: tuple[str, ...]

    def path(self, *arguments: str) -> str:
        """Return the path with these texts in it, whether or not the converters take them."""
        given = iter(arguments)
        return "/" + PARAMETER.sub(lambda _found: quote(next(given), safe="/"), self.route)

    @property
    def is_public(self) -> bool:
        return self.urlconf == settings.PUBLIC_SCHEMA_URLCONF


@cache
def entry_points() -> tuple[EntryPoint, ...]:
    found = (
        EntryPoint(route, urlconf, tuple(kind or "str" for kind, _name in PARAMETER.findall(route)))
        for urlconf in (settings.ROOT_URLCONF, settings.PUBLIC_SCHEMA_URLCONF)
        for route in _routes(get_resolver(urlconf).url_patterns)
    )
    # Two of our addresses have two names.
    return tuple(dict.fromkeys(found))


def _routes(patterns: Any, prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + _plain(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        else:
            yield route


def _plain(route: str) -> str:
    return NAMED_GROUP.sub(r"<\1>", route).removeprefix("^").removesuffix("$")


@cache
def names_asked_for() -> tuple[str, ...]:
    """Return the names that views of ours ask a request for by themselves."""
    names: set[str] = set()
    for root in ("messages_extends", "tenants", "config"):
        for source in (settings.BASE_DIR / root).rglob("*.py"):
            names |= set(ASKED_FOR.findall(source.read_text("utf-8")))
    return tuple(sorted(names))


@cache
def known_names() -> tuple[str, ...]:
    """Return those, and the names of all fields that any form has."""
    # Loads the modules that have forms.
    assert entry_points()
    names = {name for form in _subclasses(forms.BaseForm) for name in getattr(form, "base_fields", ())}
    return tuple(sorted({*names, *names_asked_for()}))


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)
