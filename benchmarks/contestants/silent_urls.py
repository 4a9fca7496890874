"""One page that shows no message, to somebody who is logged in."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


def silent(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.user.pk}")


urlpatterns = [path("", silent)]
