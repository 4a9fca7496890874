"""One user's reading side."""

from typing import Any

import pytest

from messages_extends.api import EVERYONE, announce, inbox, send
from messages_extends.models import Message


class TestPage:
    def test_it_holds_messages_announcements_and_broadcasts(self, in_acme: Any, make_user: Any) -> None:
        alice = make_user()
        send(alice, "a message")
        announce("an announcement", to=EVERYONE)
        page = inbox(alice).page()
        assert [str(entry) for entry in page.entries] == ["an announcement", "a message"]
