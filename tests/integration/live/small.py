"""The site, with room for two streams."""

from typing import Any

from config import settings as site
from config.settings import *  # noqa: F403

MESSAGES_EXTENDS = dict[str, Any](site.MESSAGES_EXTENDS, MAX_STREAMS=2)
