"""Two people who invite the same address at the same moment."""

import threading

from django.core import mail
from django.db import connection
from django_tenants.utils import schema_context

from tenants.models import Tenant
from tenants.people.invitations import invite
from tenants.people.models import Invitation, User
from tests.factories import MakeUser


def test_concurrent_invitations_of_one_address_leave_one_invitation(
    committing: None, acme: Tenant, make_user: MakeUser
) -> None:
    with schema_context("acme"):
        admin = make_user("admin")
    errors: list[Exception] = []
    ready = threading.Barrier(2)

    def act() -> None:
        try:
            with schema_context("acme"):
                ready.wait(10)
                invite(acme, "new@acme.example", User.objects.get(pk=admin.pk))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert len(mail.outbox) == 2
    with schema_context("acme"):
        assert Invitation.objects.get().email == "new@acme.example"
