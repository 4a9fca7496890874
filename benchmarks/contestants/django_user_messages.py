"""django-user-messages, as its README has it: messages that are delivered until they are acknowledged."""

from typing import Any

from benchmarks.contestants.base import START, TEXT, DjangoContestant, numbered
from benchmarks.contestants.serving import serve

FILL = """
    INSERT INTO user_messages_message (user_id, message, level, extra_tags, _metadata, deliver_once, created_at,
        delivered_at)
    SELECT %(user)s, text, 20, '', '{{}}', false, at, CASE WHEN unread THEN NULL ELSE at END
    FROM ({numbers}) AS numbered
"""


class UserMessages(DjangoContestant):
    package = "django-user-messages"
    message_tables = ("user_messages_message",)

    def fill(self, organisation: int, user: int, count: int, unread: str) -> None:
        values = {"user": user, "count": count, "text": TEXT, "start": START}
        self._execute(organisation, FILL.format(numbers=numbered(unread)), values)

    def banners(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        return self._measured(organisation, user, repeat, lambda person: len(self._shown(person)))

    def count(self, organisation: int, user: int, repeat: int) -> dict[str, Any]:
        """Count by its model: its documentation knows no count."""
        from user_messages.models import Message

        def count(person: Any) -> int:
            return int(Message.objects.filter(user=person, delivered_at__isnull=True).count())

        return self._measured(organisation, user, repeat, count)

    def _tell(self, people: Any, text: str) -> None:
        from user_messages import api

        # Its README: "the user instance does not have to be instantiated at all".
        for key in people.values_list("pk", flat=True).iterator():
            api.info(key, text, deliver_once=False)

    def _tell_one(self, user: Any, text: str) -> None:
        from user_messages import api

        api.info(user.pk, text, deliver_once=False)

    def _newest(self, user: Any) -> list[str]:
        return [str(message) for message in reversed(self._shown(user)[-10:])]

    def _shown(self, user: Any) -> list[Any]:
        from user_messages.api import get_messages

        return list(get_messages(user=user))


if __name__ == "__main__":
    serve(UserMessages())
