"""The fixture for pytest; it imports our models only when a test asks for it."""

from typing import Any

import pytest


@pytest.fixture
def sent_messages(db: None) -> Any:
    """Return `messages_extends.testing`: sent_to, assert_sent_to, assert_nothing_sent."""
    from messages_extends import testing

    return testing
