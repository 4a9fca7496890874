"""The URLs of the pages; include them at any path, with or without a namespace.

The names are in the namespace `messages_extends`, so that they do not conflict with those of the host project. The two
names of django-messages-extends are also available without a namespace.
"""

from django.urls import URLPattern, URLResolver, include, path

from messages_extends.links import APP_NAME
from messages_extends.web import compose, fragments, grants, inbox, marking, sent, stream, triage
from messages_extends.web.announcements import AnnouncementKind, SentAnnouncementKind
from messages_extends.web.publications import PublicationList, publication_urls

pages: list[URLPattern | URLResolver] = [
    path("", inbox.inbox, name="inbox"),
    path("panel/", inbox.panel, name="message_panel"),
    path("badge/", fragments.badge, name="message_badge"),
    path("banners/", fragments.message_banners, name="message_banners"),
    path("stream/", stream.stream, name="message_stream"),
    path("mark_read/all/", marking.message_mark_all_read, name="message_mark_all_read"),
    path("mark_read/<str:message_id>/", marking.message_mark_read, name="message_mark_read"),
    path("mark_unread/<str:message_id>/", marking.message_mark_unread, name="message_mark_unread"),
    path("acknowledge/<str:message_id>/", marking.message_acknowledge, name="message_acknowledge"),
    path("compose/", compose.compose, name="message_compose"),
    path("compose/recipients/", compose.recipients, name="message_recipients"),
    path("sent/", sent.message_sent, name="message_sent"),
    path("sent/<int:message_id>/recall/", sent.message_recall, name="message_recall"),
    path(
        "sent/announcements/",
        PublicationList.as_view(kind_class=SentAnnouncementKind),
        name="sent_announcements",
    ),
    path("grants/", grants.message_grants, name="message_grants"),
    path("grants/remove/", grants.message_grant_remove, name="message_grant_remove"),
    path("grants/why/", grants.message_why, name="message_why"),
    path("grants/people/<str:field>/", grants.message_grant_people, name="message_grant_people"),
    path("triage/", triage.message_triage, name="message_triage"),
    path("undo/", marking.message_undo, name="message_undo"),
    *publication_urls(AnnouncementKind, "announcements/"),
    path("broadcasts/", include("messages_extends.broadcasts.urls")),
]

urlpatterns = [
    path("mark_read/all/", marking.message_mark_all_read, name="message_mark_all_read"),
    path("mark_read/<str:message_id>/", marking.message_mark_read, name="message_mark_read"),
    path("", include((pages, APP_NAME))),
]
