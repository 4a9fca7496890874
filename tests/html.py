"""Helpers for comparing HTML."""

from django.http import HttpResponseBase


def text_of(response: HttpResponseBase) -> str:
    """Return the HTML with line breaks and indentation collapsed to one space, and none before a `>`."""
    content: bytes = getattr(response, "content")  # noqa: B009 - a streaming response has none
    return " ".join(content.decode().split()).replace(" >", ">")


def content_of(response: HttpResponseBase) -> str:
    """Return the HTML after the banners, which may contain the same text as the page."""
    return text_of(response).split("</section>", 1)[1]
