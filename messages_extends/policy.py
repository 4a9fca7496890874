"""The policy class, which decides who may message whom; subclass it and name your class in the setting POLICY."""

from messages_extends.access.explain import Reason, explain
from messages_extends.access.membership import members
from messages_extends.access.policy import AllowAll, Policy

__all__ = ["AllowAll", "Policy", "Reason", "explain", "members"]
