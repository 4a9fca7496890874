"""Addresses of our own pages, whatever namespace the host included them under."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.urls import NoReverseMatch, URLResolver, get_resolver, get_urlconf, reverse

# The namespace of our pages, inside whatever namespace the host included them under.
APP_NAME: Final = "messages_extends"


def reverse_own(name: str, *args: Any) -> str:
    """Return the path of our URL `name`; NoReverseMatch, with the remedy, if our URLs are not included."""
    namespace = own_namespace(get_urlconf() or settings.ROOT_URLCONF)
    if namespace is None:
        raise NoReverseMatch(
            "The URLs of messages_extends are not included here. Add "
            'path("messages/", include("messages_extends.urls")) to the URL configuration.'
        )
    return reverse(f"{namespace}{name}", args=args)


def reverse_if_any(name: str) -> str:
    """Return the path of our URL `name`, "" where there is none."""
    try:
        return reverse_own(name)
    except NoReverseMatch:
        return ""


@cache
def own_namespace(urlconf: Any) -> str | None:
    """Return the prefix of our names in `urlconf` ("messages_extends:", "ns:messages_extends:", ...).

    None if our URLs are not included; the first of them if they are included more than once.
    """
    return next(_prefixes(get_resolver(urlconf)), None)


def _prefixes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            # What it includes first: the host may have given our name to its own namespace around ours.
            yield from _prefixes(pattern, inner)
            if pattern.app_name == APP_NAME:
                yield inner
