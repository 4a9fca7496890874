"""The base class of buses, which carry change events to the processes that serve streams."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar

from messages_extends.conf import settings


class Bus(ABC):
    """Base class of buses; name a subclass in the setting PUSH_BUS.

    Delivery is not guaranteed: an event is lost if a process dies after its commit, and events are not stored. A
    listener reads the tables again after every gap.
    """

    # The maximum size of a text in bytes. Longer events are split.
    limit: ClassVar[int] = 7_999

    @abstractmethod
    def publish(self, texts: Sequence[str]) -> None:
        """Send these texts to all listeners. It is called after the commit, and its errors are logged."""

    @abstractmethod
    def listen(self) -> AsyncGenerator[str | None]:
        """Yield None once the subscription is active, then each text; raise when the connection is lost.

        Check an idle connection every few seconds, so that a dead one is noticed.
        """


_instances: dict[type[Bus], Bus] = {}


def current_bus() -> Bus | None:
    """Return this process's instance of the bus that PUSH_BUS names; None if live updates are off."""
    bus = settings.push_bus
    if bus is not None and bus not in _instances:
        _instances[bus] = bus()
    return None if bus is None else _instances[bus]
