"""Include these at any path, with or without a namespace."""

from django.urls import path

from messages_extends.views.marking import message_acknowledge, message_mark_all_read, message_mark_read

urlpatterns = [
    path("mark_read/all/", message_mark_all_read, name="message_mark_all_read"),
    path("mark_read/<str:message_id>/", message_mark_read, name="message_mark_read"),
    path("acknowledge/<str:message_id>/", message_acknowledge, name="message_acknowledge"),
]
