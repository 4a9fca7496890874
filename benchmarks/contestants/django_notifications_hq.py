"""django-notifications-hq 1.8.3, as its README and its views have it."""

from contextlib import suppress
from typing import Any

from benchmarks.contestants.base import START, TEXT, DjangoContestant, numbered
from benchmarks.contestants.serving import serve

with suppress(ImportError):
    # It brings distutils back, which the package asks for.
    import setuptools  # type: ignore[import-untyped]  # noqa: F401

PAGE_SIZE = 20
FILL = """
    INSERT INTO notifications_notification (recipient_id, verb, level, unread, actor_content_type_id,
        actor_object_id, public, deleted, emailed, timestamp)
    SELECT %(user)s, text, 'info', unread, (
        SELECT id FROM public.django_content_type WHERE app_label = 'auth' AND model = 'user'
    ), '1', true, false, false, at FROM ({numbers}) AS numbered
"""


class NotificationsHq(DjangoContestant):
    package = "django-notifications-hq"
    message_tables = ("notifications_notification",)

    def fill(self, organisation: int, user: int, count: int, unread: str) -> None:
        with self._inside(organisation):
            self._content_type()
        values = {"user": user, "count": count, "text": TEXT, "start": START}
        self._execute(organisation, FILL.format(numbers=numbered(unread)), values)

    def _content_type(self) -> Any:
        from django.contrib.contenttypes.models import ContentType

        return ContentType.objects.get_for_model(type(self._people().first()))

    def banners(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        """Show what its live list shows: ten at most."""
        return self._measured(organisation, user, repeat, lambda person: len(self._newest(person)))

    def count(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        return self._measured(organisation, user, repeat, lambda person: person.notifications.unread().count())

    def page(self, organisation: int, user: int, number: int, repeat: int) -> dict[str, Any]:
        """Show a page as its list view does: Django's paginator."""
        from django.core.paginator import Paginator

        def page(person: Any) -> list[str]:
            found = Paginator(person.notifications.all(), PAGE_SIZE).page(number)
            return [notification.verb for notification in found.object_list]

        return self._measured(organisation, user, repeat, page)

    def mark_all(self, organisation: int, user: int) -> dict[str, Any]:
        return self._once(organisation, user, lambda person: person.notifications.mark_all_as_read())

    def mark_all_back(self, organisation: int, user: int) -> dict[str, Any]:
        """Mark all as unread: those too that had been read before."""
        return self._once(organisation, user, lambda person: person.notifications.mark_all_as_unread())

    def _tell(self, people: Any, text: str) -> None:
        from notifications.signals import notify

        notify.send(people.first(), recipient=people, verb=text)

    def _tell_one(self, user: Any, text: str) -> None:
        from notifications.signals import notify

        notify.send(user, recipient=user, verb=text)

    def _newest(self, user: Any) -> list[str]:
        return [notification.verb for notification in user.notifications.unread()[:10]]


if __name__ == "__main__":
    serve(NotificationsHq())
