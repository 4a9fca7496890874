"""What the tabs of one browser call each other by, so that they can share one stream."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.crypto import salted_hmac


def broadcast_channel_name(schema: str, user: AbstractBaseUser) -> str:
    """Return a name of this user in this organisation, which tells a page nothing about either."""
    return salted_hmac("messages_extends.live.browser_channel", f"{schema}:{user.pk}", algorithm="sha256").hexdigest()[
        :32
    ]
