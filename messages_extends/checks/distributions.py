"""The package that we take the place of must be gone. Imports nothing of ours: those files may be the other's."""

from importlib.metadata import PackageNotFoundError, distribution

from django.core.exceptions import ImproperlyConfigured

OLD = "django-messages-extends"
OURS = "django-messages-extends-tenants"


def refuse_old_distribution() -> None:
    """Raise ImproperlyConfigured while django-messages-extends is installed.

    Not a system check, though it has the id of one: those run too late, when the wrong models have been imported, and
    not at all under a production server.
    """
    try:
        distribution(OLD)
    except PackageNotFoundError:
        return
    raise ImproperlyConfigured(
        f"(messages_extends.E050) {OLD} is installed. It and {OURS} share the folder messages_extends, so each "
        f"overwrites files of the other. Uninstall both, then install ours: "
        f"pip uninstall {OLD} {OURS}; pip install {OURS}"
    )
