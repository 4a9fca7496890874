"""Limit failed logins and e-mails within a period, against guessing passwords and flooding mailboxes.

How often one account, and one address, may fail to log in; how many e-mails may be asked for to one mailbox, and from
one address. Each organisation counts for itself, in a table of its own that all processes share. An attempt is written
down before anything is done, so that attempts at once count each other; a login that succeeds takes it away again.
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
    """What is counted, each kind for itself: nobody prevents an invitation by asking for links to set a password."""

    LOGIN = ""
    FORGOTTEN = "forgotten "
    INVITATION = "invitation "


@dataclass(frozen=True)
class Limits:
    """How often within so many seconds: for one account or mailbox, and from one address."""

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
    """One attempt to log in, counted as a failure until it succeeds; or to have an e-mail sent."""

    def __init__(self, rows: list[LoginAttempt], account: str, limits: Limits) -> None:
        self._keys, self._account, self._window = [row.pk for row in rows], account, timedelta(seconds=limits.seconds)

    @classmethod
    def begin(cls, request: HttpRequest | None, email: str, kind: Kind = Kind.LOGIN) -> "Attempt":
        """Count an attempt; raise TooManyAttempts, which counts as none, if there have been too many."""
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
        """Forget this attempt, and the failures of the account; not those of the address, which may be a guesser's."""
        LoginAttempt.objects.filter(by=self._account).delete()
        self._take_back()

    def _take_back(self) -> None:
        LoginAttempt.objects.filter(pk__in=self._keys).delete()

    def _free_at(self, by: str, limit: int) -> datetime | None:
        """Return when there is room for this attempt beside the others; None if there is already."""
        others = LoginAttempt.objects.filter(by=by, at__gt=timezone.now() - self._window).exclude(pk__in=self._keys)
        at = others.order_by("-at").values_list("at", flat=True)[limit - 1 : limit].first()
        return None if at is None else at + self._window


def _forget_old() -> None:
    longest = timedelta(seconds=max(Limits.of(kind).seconds for kind in Kind))
    # Never waiting for another request that does the same.
    with transaction.atomic():
        old = LoginAttempt.objects.filter(at__lte=timezone.now() - longest).select_for_update(skip_locked=True)
        LoginAttempt.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:1_000])).delete()


def _hash(kind: str, value: str) -> str:
    """Return what stands for an account or an address: nobody's e-mail address is kept for having been typed in."""
    return salted_hmac(f"tenants.people.attempts.{kind}", value, algorithm="sha256").hexdigest()


def _address_of(request: Any) -> str:
    """Return the address of the browser; of IPv6 the network, for a household has billions. Empty if unknown."""
    with suppress(ValueError, AttributeError):
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
        return str(ipaddress.ip_network((address, 64), strict=False) if address.version == 6 else address)
    return ""
