"""Refuse requests before they reach a form."""

import codecs

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin


class Utf8Middleware(MiddlewareMixin):
    """Answer 400 to a body in another charset than UTF-8.

    No browser sends one to our pages. Django decodes it with whatever codec is named, and raises where that fails, in
    its error page for bad requests as well.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        charset = (request.content_params or {}).get("charset", "utf-8")
        return None if _is_utf8(charset) else render(request, "400.html", status=400)


def _is_utf8(charset: str) -> bool:
    try:
        return codecs.lookup(charset).name == "utf-8"
    except (LookupError, ValueError):
        return False
