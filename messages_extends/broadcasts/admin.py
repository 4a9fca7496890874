"""The admin of broadcasts, which exists only on the platform."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from messages_extends.access.policy import policy
from messages_extends.admin import PublicationAdmin, ReadOnlyAdmin, RecordAdmin
from messages_extends.broadcasts.models import Broadcast, BroadcastCount, BroadcastRecord


class PlatformOnly(ReadOnlyAdmin):
    """A model that only users of the platform may view."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return policy().may_broadcast(request.user, "view")

    def has_act_permission(self, request: HttpRequest) -> bool:
        return policy().may_broadcast(request.user, "change")


@admin.register(Broadcast)
class BroadcastAdmin(PlatformOnly, PublicationAdmin):
    list_display = ("text", "level", "state", "audience", "audience_size", "author", "publish_at", "expires")


@admin.register(BroadcastCount)
class BroadcastCountAdmin(PlatformOnly):
    list_display = ("broadcast", "schema_name", "readers", "people", "counted_at")
    list_select_related = ("broadcast",)
    ordering = ("-counted_at", "-id")


@admin.register(BroadcastRecord)
class BroadcastRecordAdmin(PlatformOnly, RecordAdmin):
    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return policy().may_see_broadcast_records(request.user)
