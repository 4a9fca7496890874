"""Which of the policy's questions may be compiled once for everybody."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.manager import BaseManager

from messages_extends.access.policy import BUILT_IN, Policy


def holds_for_everybody(kind: type[Policy]) -> bool:
    """Tell whether a class of ours answers: a host's own may answer by whatever it likes about a person."""
    return kind in BUILT_IN and has_plain_managers()


def has_plain_managers() -> bool:
    """Tell whether the user model's managers return all its rows; others may depend on the tenant, or on the time."""
    people: Any = get_user_model()
    managers = {type(people._default_manager), type(people._base_manager)}
    return all(manager.get_queryset is BaseManager.get_queryset for manager in managers)
