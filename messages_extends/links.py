"""The URLs of this package's pages, whatever namespace the host project includes them under."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.urls import NoReverseMatch, URLResolver, get_resolver, get_script_prefix, get_urlconf, reverse
from django_tenants.utils import get_subfolder_prefix

from messages_extends.tenancy.folders import folder_of

# The application namespace of the pages, inside the host project's own namespace if it has one.
APP_NAME: Final = "messages_extends"


def reverse_page(name: str, *args: object) -> str:
    """Return the path of the page `name`. Raises NoReverseMatch if `messages_extends.urls` is not included."""
    namespace = own_namespace(get_urlconf() or settings.ROOT_URLCONF)
    if namespace is None:
        raise NoReverseMatch(
            "The URLs of messages_extends are not included. Add "
            'path("messages/", include("messages_extends.urls")) to the URL configuration.'
        )
    return reverse(f"{namespace}{name}", args=args)


def reverse_if_any(name: str) -> str:
    """Return the path of the page `name`, or "" if there is none."""
    try:
        return reverse_page(name)
    except NoReverseMatch:
        return ""


def start_page(request: object) -> str:
    """Return the path of the start page of the request's tenant."""
    return folder_of(request) or get_script_prefix()


def within_organisation(url: str, request: object) -> str:
    """Return `url` with the subfolder of the request's tenant added to a path.

    It applies if tenants are subfolders of one host. A path that begins with TENANT_SUBFOLDER_PREFIX, STATIC_URL or
    MEDIA_URL is complete and returned unchanged.
    """
    folder, root = folder_of(request), get_script_prefix()
    files = [path for path in (settings.STATIC_URL, settings.MEDIA_URL) if path and path != "/" and path[0] == "/"]
    complete = [f"{root}{get_subfolder_prefix()}/", *files]
    if not folder or not url.startswith("/") or url.startswith(("//", *complete)):
        return url
    return folder + url.removeprefix(root)


# With subfolders every request has a URLconf object of its own: keep few of them.
@lru_cache(maxsize=32)
def own_namespace(urlconf: Any) -> str | None:
    """Return the namespace of the pages in `urlconf`: "messages_extends:", "host:messages_extends:", ...

    Return None if the URLs are not included, and the first namespace if they are included more than once.
    """
    return next(_prefixes(get_resolver(urlconf)), None)


def _prefixes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            # Inner namespaces first: the host project may use the same name for an outer one.
            yield from _prefixes(pattern, inner)
            if pattern.app_name == APP_NAME:
                yield inner
