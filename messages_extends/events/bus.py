"""What carries change events from the process that changes something to those that hold streams."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar

from messages_extends.conf import settings


class Bus(ABC):
    """A way to reach every process; subclass it for another one and name it in PUSH_BUS.

    An event may get lost (a process dies between its commit and the event), and is never kept: who listens asks the
    tables after every gap.
    """

    # Bytes of one text; events that are longer are split.
    limit: ClassVar[int] = 7_999

    @abstractmethod
    def publish(self, texts: Sequence[str]) -> None:
        """Send these texts to all who listen. Called after the commit; what it raises is logged."""

    @abstractmethod
    def listen(self) -> AsyncGenerator[str | None]:
        """Yield None once everything from now on will be heard, then each text; raise when the connection is lost.

        Never wait for ever on a connection that is dead: ask it every few seconds.
        """


_made: dict[type[Bus], Bus] = {}


def current_bus() -> Bus | None:
    """Return the bus that PUSH_BUS names, one for the whole process; None where there are no live updates."""
    bus = settings.push_bus
    if bus is not None and bus not in _made:
        _made[bus] = bus()
    return None if bus is None else _made[bus]
