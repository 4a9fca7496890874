"""The reference product's settings, without this package's apps, storage, bell and banners.

Database backend and sessions stay ours, so that what differs is the messages.
"""

from typing import Any

from config.settings import *  # noqa: F403 - all but what follows
from config.settings import BASE_DIR, SHARED_APPS, TEMPLATES, TENANT_APPS, TENANTS_ADMIN_PERMISSIONS

SHARED_APPS = [app for app in SHARED_APPS if not app.startswith("messages_extends")]
TENANT_APPS = [app for app in TENANT_APPS if not app.startswith("messages_extends")]
INSTALLED_APPS = [*TENANT_APPS, *SHARED_APPS]
TENANTS_ADMIN_PERMISSIONS = [
    name for name in TENANTS_ADMIN_PERMISSIONS if "send_" not in name and not name.startswith("messages_extends")
]
TENANTS_PLATFORM_PERMISSIONS = []
MESSAGE_STORAGE = "django.contrib.messages.storage.fallback.FallbackStorage"
ROOT_URLCONF = "benchmarks.plain.urls"
ASGI_APPLICATION = "benchmarks.plain.asgi.application"

# What Django's documentation shows messages with.
LIST = """{% if messages %}<ul class="messages">{% for message in messages %}
<li{% if message.tags %} class="{{ message.tags }}"{% endif %}>{{ message }}</li>{% endfor %}</ul>{% endif %}"""
WITHOUT_US = {
    "page.html": {
        "{% load messages_extends %}": "",
        "{% message_assets %}": "",
        "{% message_banners %}": LIST,
    },
    "includes/nav.html": {"messages_extends %}": "%}", "{% message_bell %}": ""},
}


def _template(name: str) -> str:
    template = (BASE_DIR / "config" / "templates" / name).read_text()
    for ours, instead in WITHOUT_US[name].items():
        if ours not in template:
            raise ValueError(f"{name} has no {ours} any more: say here what it has instead.")
        template = template.replace(ours, instead)
    return template


_OPTIONS: Any = TEMPLATES[0]["OPTIONS"]
_LOADERS: list[Any] = [
    ("django.template.loaders.locmem.Loader", {name: _template(name) for name in WITHOUT_US}),
    "django.template.loaders.filesystem.Loader",
    "django.template.loaders.app_directories.Loader",
]
TEMPLATES = [
    {
        **TEMPLATES[0],
        "APP_DIRS": False,
        # Compiled once, as Django does it without a list of loaders.
        "OPTIONS": {**_OPTIONS, "loaders": [("django.template.loaders.cached.Loader", _LOADERS)]},
    }
]
