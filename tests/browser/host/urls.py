"""The addresses of the host."""

from django.urls import include, path

from tests.browser.host import views

urlpatterns = [
    path("", views.home),
    path("other/", views.other),
    path("alerts/", views.alerts),
    path("fragment/", views.fragment),
    path("messages/", include("messages_extends.urls")),
]
