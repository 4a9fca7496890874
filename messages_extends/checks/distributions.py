"""The package that we take the place of must be gone. Imports nothing of ours: its files may have been overwritten."""

from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from django.core.checks import CheckMessage, Error, register

OLD = "django-messages-extends"
OURS = "django-messages-extends-tenants"


@register
def only_one_is_installed(**_kwargs: Any) -> list[CheckMessage]:
    try:
        distribution(OLD)
    except PackageNotFoundError:
        return []
    return [
        Error(
            f"{OLD} is installed too. It and {OURS} share the folder messages_extends, so each has overwritten files "
            "of the other.",
            hint=f"Uninstall both, then install ours: pip uninstall {OLD} {OURS}; pip install {OURS}",
            id="messages_extends.E050",
        )
    ]
