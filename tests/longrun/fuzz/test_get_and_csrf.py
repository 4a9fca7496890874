"""At every address there is: nothing changes by a GET, nor by the form of another site."""

from collections.abc import Iterator

import pytest
from django.test import Client

from tests.isolation.test_cross_tenant_access import dump
from tests.longrun.fuzz.entry_points import entry_points
from tests.longrun.fuzz.targets import Targets, make_targets

pytestmark = pytest.mark.django_db

PEOPLE = ("administrator", "operator")


@pytest.fixture
def targets(acme: object, globex: object) -> Targets:
    return make_targets()


def paths(targets: Targets) -> Iterator[str]:
    """Yield every address, with keys of another organisation and of one's own."""
    for entry_point in entry_points():
        keys = [targets.keys.get(kind, targets.keys["str"]) for kind in entry_point.kinds]
        yield from {entry_point.path(*(each[0] for each in keys)), entry_point.path(*(each[-1] for each in keys))}


def clients(targets: Targets) -> Iterator[Client]:
    for person in PEOPLE:
        client = targets.client(person)
        client.handler.enforce_csrf_checks = True
        yield client


def test_get_of_every_url_changes_no_row(targets: Targets) -> None:
    before = dump()
    statuses = {client.get(path).status_code for client in clients(targets) for path in paths(targets)}
    assert 200 in statuses
    assert dump() == before


def test_post_without_csrf_token_to_every_url_changes_no_row(targets: Targets) -> None:
    before = dump()
    values = {"username": "reader@acme.example", "password": "x", "email": "reader@acme.example", "post": "yes"}
    answers = [(path, client.post(path, values).status_code) for client in clients(targets) for path in paths(targets)]
    assert {status for _path, status in answers} <= {302, 301, 403, 404, 405}
    assert dump() == before
