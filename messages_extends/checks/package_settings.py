"""Checks of the settings MESSAGE_STORAGE, MESSAGES_STORAGES and MESSAGES_EXTENDS."""

from collections.abc import Callable, Mapping
from typing import Final, cast

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name
from django.utils.module_loading import import_string

from messages_extends.access.policy import Policy
from messages_extends.checks.registry import register
from messages_extends.conf import DEFAULT_BUS, DEFAULT_POLICY, PERIODS, Settings
from messages_extends.conf import settings as own
from messages_extends.events.bus import Bus
from messages_extends.storages import FallbackStorage, PersistentStorage
from messages_extends.tenancy.schemas import is_public, user_model_has, users_are_shared

REDIS_SCHEMES: Final = ("redis://", "rediss://", "unix://")
# What a host's class must not define, and what to override instead.
NOT_QUESTIONS: Final[Mapping[str, str]] = {
    "may_message": "reachable_people",
    "may_compose": "reachable_people and reachable_groups",
    "may_announce": "announceable_groups and may_announce_to_everyone",
    "may_see_announcements": "announceable_groups, may_announce_to_everyone and reports_visible_to",
    "may_see_report": "reports_visible_to",
    "may_broadcast": "allows_broadcast",
    "may_see_broadcasts": "allows_broadcast",
    "may_see_broadcast_records": "nothing: the platform's permission decides",
    "page_access": "the questions that the pages ask",
    # Names that the questions had before.
    "recipients_for": "reachable_people",
    "groups_for": "reachable_groups",
    "audiences_for": "announceable_groups",
    "announcements_for": "reports_visible_to",
    "may_view_report": "reports_visible_to",
    "reasons": "own_reasons",
}


def own_settings() -> Mapping[str, object]:
    """Return MESSAGES_EXTENDS, or an empty dictionary if it has the wrong type, which another check reports."""
    values = getattr(settings, "MESSAGES_EXTENDS", {})
    return values if isinstance(values, Mapping) else {}


def platform_is_public() -> bool:
    return is_public(str(own_settings().get("PLATFORM_SCHEMA")))


def import_or_none(path: str) -> object:
    """Return the object at a dotted path; None if it cannot be imported."""
    try:
        return cast(object, import_string(path))
    except (ImportError, AttributeError, TypeError, ValueError):
        return None


def is_storage(candidate: object) -> bool:
    return isinstance(candidate, type) and callable(getattr(candidate, "_get", None)) and hasattr(candidate, "_store")


@register
def check_message_storage(**_kwargs: object) -> list[CheckMessage]:
    storage = import_or_none(settings.MESSAGE_STORAGE)
    if isinstance(storage, type) and issubclass(storage, FallbackStorage):
        return []
    return [
        Error(
            f"MESSAGE_STORAGE is {settings.MESSAGE_STORAGE!r}: sticky and persistent messages will not be shown.",
            hint='Set MESSAGE_STORAGE = "messages_extends.storages.FallbackStorage", or a subclass of it.',
            id="messages_extends.E040",
        )
    ]


@register
def check_storage_classes(**_kwargs: object) -> list[CheckMessage]:
    if isinstance(own.storages, str):
        return [_invalid_storages("is a string, not a list of dotted paths")]
    broken = [path for path in own.storages if not is_storage(import_or_none(path))]
    return (
        [_invalid_storages(f"names classes that cannot be imported or are not storage classes: {broken}")]
        if broken
        else []
    )


def _invalid_storages(problem: str) -> Error:
    return Error(
        f"MESSAGES_STORAGES {problem}.",
        hint="List dotted paths of classes like django.contrib.messages.storage.base.BaseStorage (_get and _store).",
        id="messages_extends.E041",
    )


@register
def check_persistent_storage(**_kwargs: object) -> list[CheckMessage]:
    storages = [import_or_none(path) for path in own.storages]
    if any(isinstance(storage, type) and issubclass(storage, PersistentStorage) for storage in storages):
        return []
    return [
        Warning(
            "MESSAGES_STORAGES has no persistent storage: persistent messages are neither saved nor shown.",
            hint='Add "messages_extends.storages.PersistentStorage", or a subclass of it.',
            id="messages_extends.W042",
        )
    ]


@register
def check_known_keys(**_kwargs: object) -> list[CheckMessage]:
    unknown = sorted(str(key) for key in own_settings() if key not in Settings.KEYS)
    if not unknown:
        return []
    return [
        Error(
            f"MESSAGES_EXTENDS has unknown keys: {', '.join(unknown)}.",
            hint=f"Correct or remove them. The known keys are {', '.join(Settings.KEYS)}.",
            id="messages_extends.E043",
        )
    ]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_class_or_path(value: object) -> bool:
    return isinstance(value, str | type)


def _is_class_path_or_none(value: object) -> bool:
    return value is None or _is_class_or_path(value)


TYPES: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "MAX_BANNERS": (_is_count, "a whole number, at least 1"),
    "MAX_STREAMS": (_is_count, "a whole number, at least 1"),
    "MAX_STREAMS_PER_USER": (_is_count, "a whole number, at least 1"),
    "MEMBERS": (
        lambda value: value is None or isinstance(value, str) or callable(value),
        "a callable or its dotted path",
    ),
    "PLATFORM_SCHEMA": (
        lambda value: value is None or (isinstance(value, str) and bool(value)),
        "the name of a schema, or None",
    ),
    "POLICY": (_is_class_or_path, "a class or its dotted path"),
    "PUSH_BUS": (_is_class_path_or_none, "a class, its dotted path, or None"),
    # The limit of a PostgreSQL channel: NOTIFY refuses longer names.
    "PUSH_NAME": (lambda value: isinstance(value, str) and 1 <= len(value.encode()) <= 63, "a string of 1 to 63 bytes"),
    "PUSH_REDIS_URL": (
        lambda value: isinstance(value, str) and value.startswith(REDIS_SCHEMES),
        f"a string that begins with {', '.join(REDIS_SCHEMES)}",
    ),
    "RETENTION_DAYS": (_is_count, "a whole number, at least 1"),
    "SEND_LIMITS": (
        lambda value: (
            value is None
            or (isinstance(value, Mapping) and PERIODS.keys() >= value.keys() and all(map(_is_count, value.values())))
        ),
        f"None, or a dictionary of {', '.join(PERIODS)} with whole numbers, at least 1",
    ),
}


@register
def check_value_types(**_kwargs: object) -> list[CheckMessage]:
    values = getattr(settings, "MESSAGES_EXTENDS", {})
    if not isinstance(values, Mapping):
        return [_wrong_type("MESSAGES_EXTENDS", values, "a dictionary")]
    return [
        _wrong_type(f'MESSAGES_EXTENDS["{key}"]', values[key], wanted)
        for key, (fits, wanted) in TYPES.items()
        if key in values and not fits(values[key])
    ]


def _wrong_type(name: str, value: object, wanted: str) -> Error:
    return Error(f"{name} is {value!r}.", hint=f"Set it to {wanted}.", id="messages_extends.E044")


@register
def check_members_required(**_kwargs: object) -> list[CheckMessage]:
    if not users_are_shared() or own_settings().get("MEMBERS"):
        return []
    return [
        Error(
            "Users are shared by all organisations, but MEMBERS is not set, which defines the members of each.",
            hint='Set MESSAGES_EXTENDS["MEMBERS"] to a callable that returns the queryset of the current tenant\'s '
            "members, or to its dotted path.",
            id="messages_extends.E045",
        )
    ]


@register
def check_members_callable(**_kwargs: object) -> list[CheckMessage]:
    members = own_settings().get("MEMBERS")
    if not isinstance(members, str) or callable(import_or_none(members)):
        return []
    return [
        Error(
            f'MESSAGES_EXTENDS["MEMBERS"] is {members!r}, which cannot be imported or called.',
            hint="Set it to the dotted path of a function without arguments that returns a queryset of users.",
            id="messages_extends.E046",
        )
    ]


@register
def check_policy(**_kwargs: object) -> list[CheckMessage]:
    value = own_settings().get("POLICY", DEFAULT_POLICY)
    candidate = import_or_none(value) if isinstance(value, str) else value
    if not _is_class_or_path(value):
        return []
    if not (isinstance(candidate, type) and issubclass(candidate, Policy)):
        problem = (
            "is not a subclass of Policy" if isinstance(candidate, type) else "cannot be imported or is not a class"
        )
        return [
            Error(
                f'MESSAGES_EXTENDS["POLICY"] is {value!r}, which {problem}.',
                hint="Use messages_extends.policy.Policy or a subclass of it.",
                id="messages_extends.E047",
            )
        ]
    wrong = [name for name in NOT_QUESTIONS if getattr(candidate, name, None) is not getattr(Policy, name, None)]
    if not wrong:
        return []
    return [
        Error(
            f"{candidate.__module__}.{candidate.__qualname__} defines {', '.join(wrong)}: a policy overrides questions "
            "alone, and what is derived from their answers is final.",
            hint=" ".join(f"In place of {name} override {NOT_QUESTIONS[name]}." for name in wrong),
            id="messages_extends.E092",
        )
    ]


@register
def check_guardian_installed(**_kwargs: object) -> list[CheckMessage]:
    if apps.is_installed("guardian"):
        return []
    return [
        Error(
            "guardian is not installed: permissions to write to others cannot be granted.",
            hint='Add "guardian" to TENANT_APPS, and "guardian.backends.ObjectPermissionBackend" to '
            "AUTHENTICATION_BACKENDS.",
            id="messages_extends.E048",
        )
    ]


@register
def check_user_groups(**_kwargs: object) -> list[CheckMessage]:
    if user_model_has("groups"):
        return []
    return [
        Warning(
            f"The user model {settings.AUTH_USER_MODEL} has no groups: sending and announcing to a group, and grants "
            "to and on groups, raise NoGroups, and the pages offer no groups.",
            hint="Add Django's PermissionsMixin to it, or a ManyToManyField to auth.Group called groups; silence this "
            "check if you send only to users and querysets of users.",
            id="messages_extends.W091",
        )
    ]


@register
def check_bus(**_kwargs: object) -> list[CheckMessage]:
    value = own_settings().get("PUSH_BUS", DEFAULT_BUS)
    candidate = import_or_none(value) if isinstance(value, str) else value
    if not _is_class_path_or_none(value) or candidate is None is value:
        return []
    if isinstance(candidate, type) and issubclass(candidate, Bus):
        return []
    return [
        Error(
            f'MESSAGES_EXTENDS["PUSH_BUS"] is {value!r}, which cannot be imported or is not a bus.',
            hint=f"Use {DEFAULT_BUS}; or messages_extends.events.redis.RedisBus, which needs the package redis "
            "(pip install django-messages-extends-tenants[redis]); or a subclass of messages_extends.events.bus.Bus; "
            "or None.",
            id="messages_extends.E049",
        )
    ]
