"""The console's addresses; `messages_extends.urls` includes them."""

from django.urls import path

from messages_extends.broadcasts import views

urlpatterns = [
    path("", views.BroadcastList.as_view(), name="broadcasts"),
    path("new/", views.NewBroadcast.as_view(), name="broadcast_new"),
    path("organisations/", views.Organisations.as_view(), name="broadcast_organisations"),
    path("<uuid:pk>/", views.BroadcastPage.as_view(), name="broadcast"),
    path("<uuid:pk>/edit/", views.EditBroadcast.as_view(), name="broadcast_edit"),
    path("<uuid:pk>/retract/", views.RetractBroadcast.as_view(), name="broadcast_retract"),
    path("<uuid:pk>/count/", views.CountBroadcast.as_view(), name="broadcast_count"),
]
