"""Addresses of our own pages, whatever namespace the host included them under."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.urls import NoReverseMatch, URLResolver, get_resolver, get_script_prefix, get_urlconf, reverse
from django_tenants.utils import get_subfolder_prefix

from messages_extends.tenancy.middleware import folder_of

# The namespace of our pages, inside whatever namespace the host included them under.
APP_NAME: Final = "messages_extends"


def reverse_own(name: str, *args: object) -> str:
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


def start_page(request: object) -> str:
    """Return the path of the start page of the organisation that `request` is for."""
    return folder_of(request) or get_script_prefix()


def within_organisation(url: str, request: object) -> str:
    """Return a link as a page of this organisation has to write it.

    Where organisations are folders of one host, a path begins at the folder of whoever reads it; one that begins with
    TENANT_SUBFOLDER_PREFIX, and those of static files and media, are complete already.
    """
    folder, root = folder_of(request), get_script_prefix()
    complete = [f"{root}{get_subfolder_prefix()}/", *filter(_is_path, (settings.STATIC_URL, settings.MEDIA_URL))]
    if not folder or not url.startswith("/") or url.startswith(("//", *complete)):
        return url
    return folder + url.removeprefix(root)


def _is_path(url: str | None) -> bool:
    return bool(url) and str(url).startswith("/") and url != "/"


# Where organisations are folders, each request has an object of its own for this.
@lru_cache(maxsize=32)
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
