"""What all forms for writing have in common."""

from typing import Any

import pytest
from django.utils import timezone

from messages_extends.constants import INFO_PERSISTENT
from messages_extends.web.forms import TextForm

WRITTEN = {"message": "Hello", "level": str(INFO_PERSISTENT), "url": ""}


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Kiritimati"])
@pytest.mark.parametrize("never", ["9999-12-31T23:59", "9000-01-02T13:00", "0001-01-01T00:00", "1899-12-31T00:00", "x"])
def test_text_form_reports_invalid_expires_on_field(zone: str, never: str) -> None:
    with timezone.override(zone):
        form = TextForm({**WRITTEN, "expires": never})
        assert not form.is_valid()
    assert list(form.errors) == ["expires"]


@pytest.mark.parametrize(
    "text", [{"message": "NUL \0"}, {"message": "x" * 10_001}, {"url": "javascript:x"}, {"level": "21"}]
)
def test_text_form_reports_invalid_value_on_field(text: dict[str, Any]) -> None:
    form = TextForm({**WRITTEN, **text})
    assert not form.is_valid()
    assert list(form.errors) == list(text)
