"""The URLs at the host name of an organisation."""

from django.contrib import admin
from django.urls import include, path

from config import views

handler400 = "config.views.bad_request"
handler500 = "config.views.server_error"

urlpatterns = [
    path("", views.home, name="home"),
    path("", include("tenants.people.urls")),
    path("organisations/", include("tenants.urls")),
    path("messages/", include("messages_extends.urls")),
    path("admin/", admin.site.urls),
]
