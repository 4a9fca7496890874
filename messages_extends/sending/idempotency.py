"""Prevent duplicates: of a submitted form by its UUID, and of a publication by its key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone

from messages_extends.models import Submission
from messages_extends.models.publication import AnyPublication
from messages_extends.sending.constraints import translate_fk_violation
from messages_extends.tenancy.databases import atomic, using_primary

# The number of attempts to save a publication while concurrent ones with its key end.
MAX_ATTEMPTS: Final = 3


@dataclass(frozen=True)
class Sent:
    """The number of messages that a form has sent, and whether this submission was a duplicate."""

    count: int
    is_duplicate: bool


def run_once(form: UUID, write: Callable[[], int]) -> Sent:
    """Run `write`, which returns a count, unless this form has been submitted before.

    A constraint decides, so that the second of two concurrent requests waits for the first and then writes nothing.
    """
    with translate_fk_violation(), atomic():
        submission, is_first = Submission.objects.get_or_create(pk=form)
        if is_first:
            submission.count = write()
            submission.save(update_fields=["count"])
    return Sent(submission.count, is_duplicate=not is_first)


def get_or_create_by_key(publication: AnyPublication) -> AnyPublication | None:
    """Save a new publication, or return the existing one with its key that has not ended.

    A constraint decides, so that only one of two concurrent requests with the same key publishes.
    """
    publications: Any = using_primary(type(publication)._default_manager.all())
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
            # The existing one ended meanwhile: try again.
            if not publication.key or attempt + 1 == MAX_ATTEMPTS:
                raise
        else:
            break
    return None
