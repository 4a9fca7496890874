"""The console's addresses; `messages_extends.urls` includes them."""

from django.urls import path

from messages_extends.web.broadcasts import BroadcastKind, CountBroadcast
from messages_extends.web.publications import publication_urls

urlpatterns = [
    *publication_urls(BroadcastKind),
    path("<uuid:pk>/count/", CountBroadcast.as_view(), name="broadcast_count"),
]
