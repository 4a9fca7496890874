"""From what a caller names to people: the edges of it."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from messages_extends.api import send
from messages_extends.models import Message
from tenants.models import Tenant
from tests.factories import MakeUser


@pytest.mark.parametrize("key", ["", "k"])
class TestEmptyQuerySets:
    """Whom a query does not find is no error, also where Django sees that without asking the database."""

    @pytest.mark.parametrize("filters", [{"pk__in": []}, {"pk__in": [404]}])
    def test_send_to_queryset_without_results_sends_nothing(
        self, in_acme: Tenant, filters: dict[str, Any], key: str
    ) -> None:
        assert send(get_user_model()._default_manager.filter(**filters), "Hello", key=key) == 0
        assert not Message.objects.exists()

    def test_send_to_empty_queryset_or_list_sends_nothing(self, in_acme: Tenant, make_user: MakeUser, key: str) -> None:
        alice = make_user()
        empty: list[Any] = [get_user_model()._default_manager.none(), []]
        for nobody in empty:
            assert send(nobody, "Hello", key=key) == 0
            assert send(nobody, "Hello", sender=alice, key=key) == 0
        assert not Message.objects.exists()
