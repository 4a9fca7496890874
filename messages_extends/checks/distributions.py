"""Check that django-messages-extends is not installed, without importing other modules of the package."""

from importlib.metadata import PackageNotFoundError, distribution

from django.core.exceptions import ImproperlyConfigured

REPLACED = "django-messages-extends"
THIS = "django-messages-extends-tenants"


def require_single_distribution() -> None:
    """Raise ImproperlyConfigured while django-messages-extends is installed.

    It has the id of a system check but is not one, because system checks run after the wrong models are imported, and
    production servers do not run them.
    """
    try:
        distribution(REPLACED)
    except PackageNotFoundError:
        return
    raise ImproperlyConfigured(
        f"(messages_extends.E050) {REPLACED} is installed. It and {THIS} both install the package messages_extends, so "
        f"each overwrites files of the other. Uninstall both, then install this one: "
        f"pip uninstall {REPLACED} {THIS}; pip install {THIS}"
    )
