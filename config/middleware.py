"""Refuse requests before they reach a form."""

import codecs

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin


class Utf8Middleware(MiddlewareMixin):
    """Respond with 400 to a body with a charset other than UTF-8.

    Browsers send none to these pages. Django decodes it with any codec that the request names, and raises an error if
    that fails, also in its page for bad requests.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        charset = (request.content_params or {}).get("charset", "utf-8")
        return None if _is_utf8(charset) else render(request, "400.html", status=400)


def _is_utf8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name == "utf-8"
    except (LookupError, ValueError):
        return False
