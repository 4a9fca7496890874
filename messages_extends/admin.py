"""The messages of one organisation, to look at; sending goes through the api, which asks who may."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from messages_extends.models import Message
from messages_extends.querysets import MessageQuerySet

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Message]
else:
    # Only the stubs know it as a generic class.
    ModelAdmin = admin.ModelAdmin


class ReadFilter(admin.SimpleListFilter):
    """Read or unread; Django's own filter would look through the whole table for the values there are."""

    title = _("read")
    parameter_name = "read"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("Yes")), ("0", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        return queryset.filter(read=self.value() == "1") if self.value() in ("0", "1") else queryset


@admin.register(Message)
class MessageAdmin(ModelAdmin):
    list_display = ("text", "level", "user", "sender", "created", "read_at", "expires")
    list_filter = ("level", ReadFilter, "created")
    list_select_related = ("user", "sender")
    search_fields = ("message", "key", "extra_tags")
    ordering = ("-created", "-id")
    actions = ("mark_read", "mark_unread")
    # How many there are costs a scan of the table at every page.
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Message | None = None) -> list[str]:
        return [field.name for field in Message._meta.fields]

    @admin.display(description=_("text"), ordering="message")
    def text(self, message: Message) -> str:
        text = str(message)
        return text if len(text) <= 80 else f"{text[:79]}…"

    @admin.action(description=_("Mark as read"), permissions=["change"])
    def mark_read(self, request: HttpRequest, messages: QuerySet[Message]) -> None:
        self._report(request, _as_ours(messages).mark_read())

    @admin.action(description=_("Mark as unread"), permissions=["change"])
    def mark_unread(self, request: HttpRequest, messages: QuerySet[Message]) -> None:
        self._report(request, _as_ours(messages).mark_unread())

    def _report(self, request: HttpRequest, count: int) -> None:
        self.message_user(request, ngettext("%d message was changed.", "%d messages were changed.", count) % count)


def _as_ours(messages: QuerySet[Message]) -> MessageQuerySet:
    # By primary key, because the list's own query may be joined, ordered and distinct.
    return Message.objects.filter(pk__in=messages.order_by().values("pk"))
