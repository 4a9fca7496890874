"""django-messages-extends 0.6.3, as its README and its views have it. Its modules have the names of ours."""

from importlib import import_module
from typing import Any

from benchmarks.contestants.base import START, TEXT, DjangoContestant, numbered
from benchmarks.contestants.serving import serve

FILL = """
    INSERT INTO messages_extends_message (user_id, message, level, extra_tags, created, modified, read)
    SELECT %(user)s, text, 19, '', at, at, NOT unread FROM ({numbers}) AS numbered
"""


class MessagesExtends063(DjangoContestant):
    package = "django-messages-extends"
    message_tables = ("messages_extends_message",)

    def fill(self, organisation: int, user: int, count: int, unread: str) -> None:
        values = {"user": user, "count": count, "text": TEXT, "start": START}
        self._execute(organisation, FILL.format(numbers=numbered(unread)), values)

    def banners(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        return self._measured(organisation, user, repeat, lambda person: len(self._shown(person)))

    def count(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        """Count by its model: its documentation knows no count."""
        model = import_module("messages_extends.models").Message

        def count(person: Any) -> int:
            return int(model.objects.filter(user=person).exclude(read=True).count())

        return self._measured(organisation, user, repeat, count)

    def mark_all(self, organisation: int, user: int) -> dict[str, Any]:
        view = import_module("messages_extends.views").message_mark_all_read
        return self._once(organisation, user, lambda person: view(self._request(person)))

    def _tell(self, people: Any, text: str) -> None:
        from django.contrib import messages

        level = import_module("messages_extends.constants").INFO_PERSISTENT
        request = self._request(people.first())
        for user in people.iterator():
            messages.add_message(request, level, text, user=user)  # type: ignore[call-arg]

    def _tell_one(self, user: Any, text: str) -> None:
        from django.contrib import messages

        level = import_module("messages_extends.constants").INFO_PERSISTENT
        messages.add_message(self._request_once(user), level, text, user=user)  # type: ignore[call-arg]

    def _request_once(self, user: Any) -> Any:
        """Return a request with a storage of its own, as if it had just come in; making a request is no part of it."""
        from django.contrib.messages.storage import default_storage

        if not hasattr(self, "_kept"):
            self._kept = self._request(user)
        self._kept.user, self._kept._messages = user, default_storage(self._kept)
        return self._kept

    def _newest(self, user: Any) -> list[str]:
        # It shows all of them, in the order of the table.
        shown = sorted(self._shown(user), key=lambda message: (message.created, message.pk), reverse=True)
        return [str(message) for message in shown[:10]]

    def _shown(self, user: Any) -> list[Any]:
        from django.contrib.messages import get_messages

        return list(get_messages(self._request(user)))

    def _request(self, user: Any) -> Any:
        from django.contrib.messages.storage import default_storage
        from django.test import RequestFactory

        request: Any = RequestFactory().get("/")
        request.user, request.session = user, {}
        request._messages = default_storage(request)
        return request


if __name__ == "__main__":
    serve(MessagesExtends063())
