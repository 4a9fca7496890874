"""Many changes of models in one step of a migration.

After each step Django makes its models of that time anew, with all that refer to them: a hundredth of a second for each
of some fifty steps, whenever an organisation is made.
"""

from collections.abc import Sequence

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


class GroupedOperations(Operation):
    """Operations that do not build on each other, and can be written as SQL.

    Forwards each sees the models before all of them, and after all of them.
    """

    reversible = True
    serialization_expand_args = ["operations"]

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        changed: dict[tuple[str, str], bool] = {}

        def note(app: str, model: str, delay: bool = False) -> None:
            changed[app, model] = delay and changed.get((app, model), True)

        # In the instance's own dictionary, where it hides the class's.
        vars(state)["reload_model"] = note
        try:
            for each in self.operations:
                each.state_forwards(app_label, state)
        finally:
            del vars(state)["reload_model"]
        # Those that refer to them may be made anew later where no relation is among the changes.
        state.reload_models(list(changed), delay=all(changed.values()))

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        for each in self.operations:
            each.database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Go back one by one: what takes an index away asks for the columns of just before."""
        states = [to_state]
        for each in self.operations:
            states.append(states[-1].clone())
            each.state_forwards(app_label, states[-1])
        for each, before, after in reversed(list(zip(self.operations, states, states[1:], strict=False))):
            each.database_backwards(app_label, schema_editor, after, before)

    def describe(self) -> str:
        return "; ".join(each.describe() for each in self.operations)
