"""Sets the environment of a test run before Django reads its settings."""

import os

os.environ.setdefault("SECRET_KEY", "only for tests: " + "0123456789" * 5)
os.environ.setdefault("SECURE_COOKIES", "false")
