"""The names of the time zones that this machine knows."""

from functools import cache
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


@cache
def time_zones() -> tuple[str, ...]:
    # The local time zone of the machine and placeholders are not places.
    return tuple(sorted(available_timezones() - {"localtime", "Factory"}))


def is_time_zone(name: str) -> bool:
    return name in _known()


def validate_time_zone(name: str) -> None:
    """Raise an error for a time zone that is not available."""
    if not is_time_zone(name):
        raise ValidationError(
            _("“%(name)s” is not a time zone: use a name such as Europe/Berlin or UTC."), params={"name": name[:100]}
        )


@cache
def _known() -> frozenset[str]:
    return frozenset(time_zones())
