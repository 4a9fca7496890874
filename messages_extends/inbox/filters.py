"""The filter of the inbox."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.messages.constants import DEFAULT_LEVELS

from messages_extends.constants import PERSISTENT_MESSAGE_LEVELS, base_level, describe_level
from messages_extends.inbox.items import KINDS, Kind
from messages_extends.models.message import MessageQuerySet
from messages_extends.models.publication import PublicationQuerySet

# A queryset of messages or of publications; both have methods such as `newest_first` and `unread_by`.
Branch = MessageQuerySet | PublicationQuerySet

Branches = Mapping[Kind, Branch]


@dataclass(frozen=True)
class InboxFilter:
    """A filter of the inbox. Raises ValueError, with the allowed values, for an unknown kind or level."""

    unread: bool = False
    level: int | None = None
    kind: Kind | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is not one of {', '.join(KINDS)}.")
        if self.level is not None and not self._levels:
            allowed = ", ".join(describe_level(level) for level in DEFAULT_LEVELS.values())
            raise ValueError(f"level {describe_level(self.level)} is not one of {allowed}.")

    def of(self, branches: Branches) -> dict[Kind, Branch]:
        chosen = {kind: branch for kind, branch in branches.items() if self.kind in (None, kind)}
        if self.level is None:
            return chosen
        return {kind: branch.filter(level__in=self._levels) for kind, branch in chosen.items()}

    @property
    def _levels(self) -> list[int]:
        """The persistent levels with the same base level as `level`."""
        return [each for each in PERSISTENT_MESSAGE_LEVELS if base_level(each) == base_level(self.level or 0)]
