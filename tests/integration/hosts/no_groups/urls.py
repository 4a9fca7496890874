"""Our pages alone."""

from django.urls import include, path

urlpatterns = [path("messages/", include("messages_extends.urls"))]
