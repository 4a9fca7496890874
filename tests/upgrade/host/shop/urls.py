"""The pages of messages, and no others."""

from django.urls import include, path

urlpatterns = [path("messages/", include("messages_extends.urls"))]
