"""Another host project on the test database: Bootstrap or no style sheet at all, with htmx, Turbo or neither.

What they bring comes from packages; nothing of theirs is kept here. A cookie says how its pages look.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from csp.constants import NONCE

from config.settings import *  # noqa: F403
from config.settings import CONTENT_SECURITY_POLICY, TEMPLATES

HOST = Path(__file__).parent


def static_files_of(package: str) -> Path:
    """Return the folder of static files of an installed package."""
    found = find_spec(package)
    assert found is not None, f"{package} is not installed"
    assert found.origin is not None
    return Path(found.origin).parent / "static"


ROOT_URLCONF = "tests.browser.host.urls"
STATICFILES_DIRS = [HOST / "static", static_files_of("js_lib_bootstrap5"), static_files_of("django_htmx")]
if turbo := os.environ.get("TURBO"):
    STATICFILES_DIRS.append(Path(turbo))
[_engine] = TEMPLATES
_options = _engine["OPTIONS"]
TEMPLATES = [
    {
        **_engine,
        "DIRS": [HOST / "templates"],
        "OPTIONS": {
            **_options,  # type: ignore[dict-item]
            "context_processors": [*_options["context_processors"], "tests.browser.host.views.look"],  # type: ignore[index]
        },
    }
]
# Bootstrap's style sheet has its icons in itself, and Turbo its progress bar's style in its script.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        **CONTENT_SECURITY_POLICY["DIRECTIVES"],
        "img-src": ["'self'", "data:"],
        "style-src": ["'self'", NONCE],  # type: ignore[list-item]
    },
}
