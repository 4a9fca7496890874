"""The name of the BroadcastChannel over which the tabs of a browser share one stream."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.crypto import salted_hmac


def broadcast_channel_name(schema: str, user: AbstractBaseUser) -> str:
    """Return a name for this user in this tenant that reveals neither of them."""
    return salted_hmac("messages_extends.live.browser_channel", f"{schema}:{user.pk}", algorithm="sha256").hexdigest()[
        :32
    ]
