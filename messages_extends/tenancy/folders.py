"""The subfolders of tenants that share one host (`TENANT_SUBFOLDER_PREFIX`)."""

from django.urls import get_script_prefix
from django_tenants.utils import get_subfolder_prefix


def folder_of(request: object) -> str:
    """Return the subfolder of the request's tenant as a path, such as "/t/acme/"; "" if it has a host of its own.

    The public pages are not in a subfolder.
    """
    name = getattr(getattr(request, "tenant", None), "domain_subfolder", None)
    return f"{get_script_prefix()}{get_subfolder_prefix()}/{name}/" if name else ""
