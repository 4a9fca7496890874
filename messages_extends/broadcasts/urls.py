"""The console's addresses; `messages_extends.urls` includes them."""

from django.urls import path

from messages_extends.web import broadcasts

urlpatterns = [
    path("", broadcasts.BroadcastList.as_view(), name="broadcasts"),
    path("new/", broadcasts.NewBroadcast.as_view(), name="broadcast_new"),
    path("organisations/", broadcasts.Organisations.as_view(), name="broadcast_organisations"),
    path("<uuid:pk>/", broadcasts.BroadcastPage.as_view(), name="broadcast"),
    path("<uuid:pk>/edit/", broadcasts.EditBroadcast.as_view(), name="broadcast_edit"),
    path("<uuid:pk>/retract/", broadcasts.RetractBroadcast.as_view(), name="broadcast_retract"),
    path("<uuid:pk>/count/", broadcasts.CountBroadcast.as_view(), name="broadcast_count"),
]
