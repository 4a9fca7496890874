"""Rate limits for failed logins and for e-mails, against guessing passwords and flooding mailboxes.

Failed logins are limited per account and per address, and e-mails per mailbox and per address. Each organisation counts
in its own table, which all processes share. An attempt is recorded before it is made, so that concurrent attempts count
each other; a successful login deletes it.
"""

import ipaddress
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Self

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from tenants.people.models import LoginAttempt


class Kind(Enum):
    """The kinds of attempts, which are counted separately: password links must not prevent invitations."""

    LOGIN = ""
    FORGOTTEN = "forgotten "
    INVITATION = "invitation "


@dataclass(frozen=True)
class Limits:
    """The limits within a number of seconds: per account or mailbox, and per address."""

    per_account: int
    per_address: int
    seconds: int

    @classmethod
    def of(cls, kind: Kind) -> Self:
        name = "LOGIN_FAILURES" if kind is Kind.LOGIN else "EMAILS"
        return cls(*(getattr(settings, f"{name}_{limit}") for limit in ("PER_ACCOUNT", "PER_ADDRESS", "SECONDS")))


class TooManyAttempts(Exception):
    """Too many attempts for this account or from this address; `retry_after` is the number of seconds to wait."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts: try again in {retry_after} seconds.")
        self.retry_after = retry_after

    @property
    def minutes(self) -> int:
        return math.ceil(self.retry_after / 60)


class Attempt:
    """An attempt to log in, which counts as failed until it succeeds, or to have an e-mail sent."""

    def __init__(self, rows: list[LoginAttempt], account: str, limits: Limits) -> None:
        self._keys, self._account, self._window = [row.pk for row in rows], account, timedelta(seconds=limits.seconds)

    @classmethod
    def begin(cls, request: HttpRequest | None, email: str, kind: Kind = Kind.LOGIN) -> "Attempt":
        """Count an attempt. Raises TooManyAttempts, without counting it, if there have been too many."""
        allowed = Limits.of(kind)
        account, address = _hash(f"{kind.value}account", email.casefold()), _address_of(request)
        limits = {account: allowed.per_account}
        if address:
            limits[_hash(f"{kind.value}address", address)] = allowed.per_address
        _forget_old()
        attempt = cls(LoginAttempt.objects.bulk_create(LoginAttempt(by=by) for by in limits), account, allowed)
        now = timezone.now()
        free_at = max(filter(None, (attempt._free_at(by, limit) for by, limit in limits.items())), default=now)
        if free_at > now:
            attempt._take_back()
            raise TooManyAttempts(math.ceil((free_at - now).total_seconds()))
        return attempt

    def succeeded(self) -> None:
        """Delete this attempt and the account's failures, but not the address's, which may be those of an attacker."""
        LoginAttempt.objects.filter(by=self._account).delete()
        self._take_back()

    def _take_back(self) -> None:
        LoginAttempt.objects.filter(pk__in=self._keys).delete()

    def _free_at(self, by: str, limit: int) -> datetime | None:
        """Return the time at which this attempt will be allowed; None if it is allowed now."""
        others = LoginAttempt.objects.filter(by=by, at__gt=timezone.now() - self._window).exclude(pk__in=self._keys)
        at = others.order_by("-at").values_list("at", flat=True)[limit - 1 : limit].first()
        return None if at is None else at + self._window


def _forget_old() -> None:
    longest = timedelta(seconds=max(Limits.of(kind).seconds for kind in Kind))
    # Without waiting for a request that does the same.
    with transaction.atomic():
        old = LoginAttempt.objects.filter(at__lte=timezone.now() - longest).select_for_update(skip_locked=True)
        LoginAttempt.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:1_000])).delete()


def _hash(kind: str, value: str) -> str:
    """Return a hash of an account or an address, so that no e-mail address is stored because it was entered."""
    return salted_hmac(f"tenants.people.attempts.{kind}", value, algorithm="sha256").hexdigest()


def _address_of(request: Any) -> str:
    """Return the client's IP address, or the network of an IPv6 address, which has many. Empty if unknown."""
    with suppress(ValueError, AttributeError):
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
        return str(ipaddress.ip_network((address, 64), strict=False) if address.version == 6 else address)
    return ""
