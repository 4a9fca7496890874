"""One page that names who is logged in, shows their messages, and adds one."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import engines
from django.urls import include, path

PAGE = "user: {{ user.email }}; messages: {% for message in messages %}{{ message }}; {% endfor %}"


def page(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return HttpResponse(engines["django"].from_string(PAGE).render({}, request))
    messages.add_message(request, int(request.POST["level"]), request.POST["text"])
    return HttpResponseRedirect("/")


urlpatterns = [path("", page), path("messages/", include("messages_extends.urls"))]
