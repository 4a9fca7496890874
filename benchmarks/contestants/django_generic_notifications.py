"""django-generic-notifications, as its README has it, with its channel for the website only."""

from typing import Any

from benchmarks.contestants.base import START, TEXT, DjangoContestant, numbered
from benchmarks.contestants.serving import serve

PAGE_SIZE = 20
FILL = """
    WITH written AS (
        INSERT INTO generic_notifications_notification (recipient_id, notification_type, added, read, subject, text,
            url, metadata)
        SELECT %(user)s, 'news', at, CASE WHEN unread THEN NULL ELSE at END, '', text, '', '{{}}'
        FROM ({numbers}) AS numbered RETURNING id
    )
    INSERT INTO generic_notifications_notificationchannel (notification_id, channel) SELECT id, 'website' FROM written
"""


class GenericNotifications(DjangoContestant):
    package = "django-generic-notifications"
    message_tables = ("generic_notifications_notification", "generic_notifications_notificationchannel")

    def __init__(self) -> None:
        super().__init__()
        from generic_notifications.channels import EmailChannel
        from generic_notifications.types import NotificationType, register

        class News(NotificationType):  # type: ignore[misc]
            key = "news"
            name = description = "News"
            forbidden_channels = [EmailChannel]

        self.news = register(News)

    def fill(self, organisation: int, user: int, count: int, unread: str) -> None:
        values = {"user": user, "count": count, "text": TEXT, "start": START}
        self._execute(organisation, FILL.format(numbers=numbered(unread)), values)

    def banners(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        """Show ten: its own function takes a limit."""
        return self._measured(organisation, user, repeat, lambda person: len(self._newest(person)))

    def count(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        from generic_notifications.utils import get_unread_count

        return self._measured(organisation, user, repeat, get_unread_count)

    def page(self, organisation: int, user: int, number: int, repeat: int) -> dict[str, Any]:
        """Show a page of its queryset by Django's paginator: it has none of its own."""
        from django.core.paginator import Paginator
        from generic_notifications.utils import get_notifications

        def page(person: Any) -> list[str]:
            found = Paginator(get_notifications(person), PAGE_SIZE).page(number)
            return [notification.get_text() for notification in found.object_list]

        return self._measured(organisation, user, repeat, page)

    def mark_all(self, organisation: int, user: int) -> dict[str, Any]:
        from generic_notifications.utils import mark_notifications_as_read

        return self._once(organisation, user, mark_notifications_as_read)

    def _tell(self, people: Any, text: str) -> None:
        from generic_notifications import send_notifications

        send_notifications(people, self.news, text=text)

    def _tell_one(self, user: Any, text: str) -> None:
        from generic_notifications import send_notification

        send_notification(user, self.news, text=text)

    def _newest(self, user: Any) -> list[str]:
        from generic_notifications.utils import get_notifications

        return [notification.get_text() for notification in get_notifications(user, unread_only=True, limit=10)]


if __name__ == "__main__":
    serve(GenericNotifications())
