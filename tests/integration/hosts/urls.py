"""One page that shows messages and adds one, at every host name, the public one included."""

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import engines
from django.urls import include, path

PAGE = '{{ user.username }} {% include "messages_extends/includes/alerts_bootstrap.html" %}'


def home(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return HttpResponse(engines["django"].from_string(PAGE).render({}, request))
    to = request.POST.get("to")
    user = get_user_model()._default_manager.get(username=to) if to else None
    messages.add_message(request, int(request.POST["level"]), request.POST["text"], user=user)
    return HttpResponseRedirect("/")


urlpatterns = [
    path("", home),
    path("admin/", admin.site.urls),
    path("messages/", include("messages_extends.urls")),
]
