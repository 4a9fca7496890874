"""How tests read the HTML of a page."""

from django.http import HttpResponseBase


def text_of(response: HttpResponseBase) -> str:
    """Return the HTML with one space where the template has line breaks and indentation, and none before a `>`."""
    content: bytes = getattr(response, "content")  # noqa: B009 - a streaming response has none
    return " ".join(content.decode().split()).replace(" >", ">")


def content_of(response: HttpResponseBase) -> str:
    """Return the HTML after the banners, which repeat what the page itself may be about."""
    return text_of(response).split("</section>", 1)[1]
