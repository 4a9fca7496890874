"""What is asked for twice and done once: a form by its number, a publication by its key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone

from messages_extends.models import Submission
from messages_extends.models.publication import AnyPublication
from messages_extends.sending.constraints import translate_fk_violation
from messages_extends.tenancy.databases import atomic, for_write

# How often a publication is tried to be saved while others with its key come and go.
MAX_ATTEMPTS: Final = 3


@dataclass(frozen=True)
class Sent:
    """How much a form has written, and whether that was done `before`."""

    count: int
    before: bool


def run_once(form: UUID, write: Callable[[], int]) -> Sent:
    """Do what a page's form asks for, which returns how much that was, unless this very form has been sent before.

    A constraint decides, not a look before: of two at once, the second waits for the first and then writes nothing.
    """
    with translate_fk_violation(), atomic():
        submission, is_first = Submission.objects.get_or_create(pk=form)
        if is_first:
            submission.count = write()
            submission.save(update_fields=["count"])
    return Sent(submission.count, before=not is_first)


def get_or_create_by_key(publication: AnyPublication) -> AnyPublication | None:
    """Save a new publication; but return the one that has its key and has not ended, if there is one.

    A constraint decides, not a look before, so that of two who publish under one key at once one wins.
    """
    publications: Any = for_write(type(publication)._default_manager.all())
    same = publications.filter(key=publication.key)
    for attempt in range(MAX_ATTEMPTS):
        if publication.key:
            same.exclude(retracted_at=None, expires__gt=timezone.now()).update(key="")
        try:
            with atomic():
                publication.save(force_insert=True)
        except IntegrityError:
            existing: AnyPublication | None = same.first() if publication.key else None
            if existing is not None and not existing.has_ended():
                return existing
            # It ended while we waited for it: once more.
            if not publication.key or attempt + 1 == MAX_ATTEMPTS:
                raise
        else:
            break
    return None
