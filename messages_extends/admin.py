"""The admin of one organisation's messages, announcements and audit records: to view them, not to write."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import F, Model, Prefetch, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from messages_extends.access.policy import policy
from messages_extends.api import retract
from messages_extends.models import Announcement, AuditRecord, Message, Receipt
from messages_extends.models.audit import Action, log_event
from messages_extends.models.marks import MARKS, UNDO_FIELDS
from messages_extends.models.message import CONTENT_FIELDS, MessageQuerySet
from messages_extends.models.publication import Publication, PublicationQuerySet, State
from messages_extends.tenancy.schemas import has_messages, schema_of


class ReadFilter(admin.SimpleListFilter):
    """Filter by read or unread. Django's own filter would search the whole table for the existing values."""

    title = _("read")
    parameter_name = "read"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Any]]:
        return [("1", _("Yes")), ("0", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        return queryset.filter(read=self.value() == "1") if self.value() in {"0", "1"} else queryset


class StateFilter(admin.SimpleListFilter):
    """Filter by state: scheduled, live, expired or retracted."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Any]]:
        return [(state.value, state.label) for state in State]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        state = self.value()
        return cast(PublicationQuerySet, queryset).in_state(State(state)) if state in State.values else queryset


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A model that active members of the organisation can view. Rows are written elsewhere."""

    # The total number would need a scan of the table for every page.
    show_full_result_count = False
    # Columns that are not shown, and that a URL may not filter by either.
    private_fields: tuple[str, ...] = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        # Django allows filtering by any column of the table in the URL.
        if lookup.split(LOOKUP_SEP, maxsplit=1)[0] in self.private_fields:
            return False
        return super().lookup_allowed(lookup, value, *([request] if request else []))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_view_permission(request, obj) and _rights_count(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A form without editable fields could still be saved.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Rows are deleted by the purge, by erasing a user and by the inbox.
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may run this model's actions, which require the permission to change it."""
        return super().has_change_permission(request) and _rights_count(request)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        # Django looks up the object first, and would thereby reveal whether it exists.
        if not self.has_view_permission(request):
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [field.name for field in (*self.model._meta.fields, *self.model._meta.many_to_many)]

    @admin.display(description=_("text"), ordering="message")
    def text(self, instance: Model) -> str:
        text = str(instance)
        return text if len(text) <= 80 else f"{text[:79]}…"


def _rights_count(request: HttpRequest) -> bool:
    """Ask the policy whether this user's permissions count here, once per request: the admin asks for each model.

    They never count in schemas without messages, such as the public schema of the platform.
    """
    known = vars(request)
    if "_rights_count" not in known:
        known["_rights_count"] = has_messages(schema_of(request)) and policy().honours_model_permissions(request.user)
    return bool(known["_rights_count"])


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """Personal messages, without their texts: nothing here loads, searches or compares them.

    A superuser may reveal a message, which is logged.
    """

    list_display = ("number", "level", "user", "sender", "created", "read_at", "expires")
    list_display_links = ("number",)
    list_filter = ("level", ReadFilter, "created")
    list_select_related = ("user", "sender")
    # The recipient's marks concern nobody else, and `shows_at` reveals a snooze.
    private_fields = (*CONTENT_FIELDS, *MARKS, *UNDO_FIELDS, "shows_at")
    fields = (
        *("user", "sender", "level", "display", "category", "created", "modified", "publish_at", "expires"),
        *("read_at", "read"),
    )
    ordering = ("-created", "-id")
    actions = ("mark_read", "mark_unread")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return list(self.fields)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        login = get_user_model().USERNAME_FIELD
        return [f"user__{login}", f"sender__{login}"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return cast(MessageQuerySet, super().get_queryset(request)).without_content()

    @admin.display(description=_("number"), ordering="pk")
    def number(self, message: Message) -> int:
        return message.pk

    def has_reveal_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may read messages of others: only superusers."""
        return bool(request.user.is_superuser) and self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        reveal = self.admin_site.admin_view(require_POST(self.reveal_view))
        return [path("<path:object_id>/reveal/", reveal, name="messages_extends_message_reveal"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        context = {"may_reveal": self.has_reveal_permission(request), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def reveal_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the text of a message, after logging that."""
        if not self.has_reveal_permission(request):
            raise PermissionDenied
        envelope: Message | None = self.get_object(request, object_id)
        if envelope is None:
            raise Http404("There is no such message.")
        message = Message.objects.get(pk=envelope.pk)
        actor = cast(AbstractBaseUser, request.user)
        log_event(Action.REVEAL, actor=actor, subject=f"message {message.pk}", audience=f"user {message.user_id}")
        context = {
            **self.admin_site.each_context(request),
            "title": str(envelope),
            "opts": self.opts,
            "envelope": envelope,
            "message": message,
        }
        return TemplateResponse(request, "admin/messages_extends/message/revealed.html", context)

    @admin.action(description=_("Mark as read"), permissions=["act"])
    def mark_read(self, request: HttpRequest, messages: QuerySet[Message]) -> None:
        self._report(request, _as_ours(messages).mark_read())

    @admin.action(description=_("Mark as unread"), permissions=["act"])
    def mark_unread(self, request: HttpRequest, messages: QuerySet[Message]) -> None:
        self._report(request, _as_ours(messages).mark_unread())

    def _report(self, request: HttpRequest, count: int) -> None:
        self.message_user(request, ngettext("%d message was changed.", "%d messages were changed.", count) % count)


def _as_ours(messages: QuerySet[Message]) -> MessageQuerySet:
    # By primary key, because the query of the list may be joined, ordered and distinct.
    return Message.objects.filter(pk__in=messages.order_by().values("pk"))


class PublicationAdmin(ReadOnlyAdmin):
    """The admin of announcements and broadcasts, with their state and an action to retract them."""

    list_filter = (StateFilter, "level", "must_acknowledge")
    search_fields = ("title", "message", "key")
    ordering = ("-publish_at", "-id")
    actions = ("retract",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), "state"]

    @admin.display(description=_("state"))
    def state(self, publication: Publication) -> str:
        return str(publication.state().label)

    @admin.action(description=_("Retract"), permissions=["act"])
    def retract(self, request: HttpRequest, publications: PublicationQuerySet) -> None:
        retracted = 0
        sender = cast(AbstractBaseUser, request.user)
        for publication in publications:
            try:
                retract(publication, sender=sender)
                retracted += 1
            except PermissionDenied as error:
                self.message_user(request, str(error), messages.ERROR)
        text = ngettext("%d was retracted.", "%d were retracted.", retracted) % retracted
        self.message_user(request, text)


@admin.register(Announcement)
class AnnouncementAdmin(PublicationAdmin):
    list_display = ("text", "level", "state", "audience", "of_groups", "sender", "publish_at", "expires")
    list_select_related = ("sender",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Announcement]:
        return super().get_queryset(request).prefetch_related(Prefetch("groups", Group.objects.order_by("name")))

    @admin.display(description=_("groups"))
    def of_groups(self, announcement: Announcement) -> str:
        return ", ".join(group.name for group in announcement.groups.all())


@admin.register(Receipt)
class ReceiptAdmin(ReadOnlyAdmin):
    list_display = fields = ("user", "publication_id", "revision", "read_at")
    private_fields = (*MARKS, *UNDO_FIELDS)
    list_select_related = ("user",)
    ordering = (F("read_at").desc(nulls_last=True), "-id")


class RecordAdmin(ReadOnlyAdmin):
    """The audit log, whose records the database protects from changes."""

    list_display = ("recorded_at", "actor_name", "action", "subject", "audience", "count")
    list_filter = ("action", "recorded_at")
    search_fields = ("actor_name", "=actor_id", "subject", "=text_hash")
    ordering = ("-id",)


@admin.register(AuditRecord)
class AuditRecordAdmin(RecordAdmin):
    pass
