"""The real django-messages-extends 0.6.3, in a folder of its own that is made once."""

import os
from pathlib import Path

import pytest

from config.running.failures import Failure
from config.running.packages import REQUIREMENTS, folder_with


def published_package() -> Path:
    """Return a folder that holds 0.6.3 and the Django of the lock, and nothing of this repository.

    Where it cannot be fetched the test is skipped; in CI (CI=true) it fails.
    """
    try:
        return folder_with("published", REQUIREMENTS / "serve.txt", Path(__file__).with_name("published.txt"))
    except Failure as failure:
        reason = f"django-messages-extends 0.6.3 could not be installed: {failure}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
