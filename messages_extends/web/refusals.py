"""How a page says that what its form asks for was not done: what was entered stays in it."""

from django.http import HttpResponse

from messages_extends.exceptions import RateLimitExceeded


def refused(page: HttpResponse, error: Exception) -> HttpResponse:
    """Give a form's page the status of what is in the way: 400, or 429 with the time to wait."""
    page.status_code = 400
    if isinstance(error, RateLimitExceeded):
        page.status_code = 429
        page["Retry-After"] = str(error.retry_after)
    return page
