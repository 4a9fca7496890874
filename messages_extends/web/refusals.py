"""Responses to forms that were valid but could not be processed."""

from django.http import HttpResponse

from messages_extends.exceptions import RateLimitExceeded


def refused(page: HttpResponse, error: Exception) -> HttpResponse:
    """Set the status of a form's page: 400, or 429 with Retry-After for an exceeded rate limit."""
    page.status_code = 400
    if isinstance(error, RateLimitExceeded):
        page.status_code = 429
        page["Retry-After"] = str(error.retry_after)
    return page
