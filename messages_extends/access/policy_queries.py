"""Which of the policy's questions may be compiled once for everybody."""

from messages_extends.access.membership import has_plain_managers
from messages_extends.access.policy import BUILT_IN, Policy

__all__ = ["has_plain_managers", "holds_for_everybody"]


def holds_for_everybody(kind: type[Policy]) -> bool:
    """Tell whether a class of ours answers: a host's own may answer by whatever it likes about a person."""
    return kind in BUILT_IN and has_plain_managers()
