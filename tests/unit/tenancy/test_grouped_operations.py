"""Many operations of a migration in one step: what comes out is what they make one by one."""

from collections.abc import Iterator

import pytest
from django.db import connection, migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django_tenants.utils import schema_context

from messages_extends.tenancy.grouped_operations import GroupedOperations

# One that tenants have tables of.
LABEL = "messages_extends"
KEY = models.BigAutoField(primary_key=True)


def first() -> list[Operation]:
    book = models.ForeignKey("messages_extends.Book", models.CASCADE)
    return [
        migrations.CreateModel("Book", [("id", KEY), ("title", models.CharField(max_length=20))]),
        migrations.CreateModel("Page", [("id", KEY), ("book", book)]),
    ]


def second() -> list[Operation]:
    return [
        migrations.AddField("book", "price", models.IntegerField(null=True)),
        migrations.AlterField("book", "title", models.CharField(max_length=30, blank=True)),
        migrations.AddIndex("book", models.Index(fields=["price"], name="book_by_price")),
        migrations.AddConstraint("page", models.UniqueConstraint(fields=["book", "id"], name="page_once")),
    ]


class CountingState(ProjectState):
    """Counts how often models are made anew."""

    reloads = 0

    def _reload(self, related_models: object) -> None:
        self.reloads += 1
        super()._reload(related_models)  # type: ignore[misc]


def state_after(*operations: Operation) -> CountingState:
    state = CountingState()
    len(state.apps.get_models())
    for each in operations:
        each.state_forwards(LABEL, state)
    return state


def columns(table: str) -> set[str]:
    with connection.cursor() as cursor:
        return {column.name for column in connection.introspection.get_table_description(cursor, table)}


def constraints(table: str) -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.get_constraints(cursor, table))


@pytest.fixture
def _in_acme(acme: object) -> Iterator[None]:
    with schema_context("acme"):
        yield


def run(operation: Operation, before: ProjectState, after: ProjectState, direction: str = "database_forwards") -> None:
    with connection.schema_editor() as editor:
        getattr(operation, direction)(LABEL, editor, before, after)


def test_grouped_operations_reach_same_state_with_one_model_reload() -> None:
    one_by_one = state_after(*first(), *second())
    together = state_after(GroupedOperations(first()), GroupedOperations(second()))
    assert together == one_by_one
    assert (one_by_one.reloads, together.reloads) == (6, 2)
    book = together.apps.get_model(LABEL, "Book")
    assert {field.name for field in book._meta.get_fields()} == {"id", "title", "price", "page"}


def test_grouped_operations_restore_reload_model_after_failure() -> None:
    state = state_after(GroupedOperations(first()))
    wrong = GroupedOperations([migrations.AddField("nothing", "price", models.IntegerField())])
    with pytest.raises(KeyError):
        wrong.state_forwards(LABEL, state)
    assert "reload_model" not in vars(state)


@pytest.mark.usefixtures("_in_acme")
def test_grouped_operations_migrate_database_forwards_and_backwards() -> None:
    empty, made, changed = state_after(), state_after(*first()), state_after(*first(), *second())
    run(GroupedOperations(first()), empty, made)
    run(GroupedOperations(second()), made, changed)
    assert columns("messages_extends_book") == {"id", "title", "price"}
    assert "book_by_price" in constraints("messages_extends_book")
    assert "page_once" in constraints("messages_extends_page")
    run(GroupedOperations(second()), changed, made, "database_backwards")
    assert columns("messages_extends_book") == {"id", "title"}
    assert "page_once" not in constraints("messages_extends_page")
    run(GroupedOperations(first()), made, empty, "database_backwards")
    with connection.cursor() as cursor:
        assert not {"messages_extends_book", "messages_extends_page"} & set(
            connection.introspection.table_names(cursor)
        )


def test_grouped_operations_describe_joins_descriptions() -> None:
    assert GroupedOperations(second()).describe().startswith("Add field price to book; Alter field title on book; ")
    assert GroupedOperations(second()).reversible
