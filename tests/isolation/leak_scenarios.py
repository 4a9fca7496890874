"""The ways in which a schema for each tenant is known to leak, and the tests that have them in hand.

Each was seen with django-tenants 4.0.1. A premise shows that it does happen without our mitigation; the others that it
does not with ours. `test_leak_scenarios` holds the names to the tests that there are.
"""

from dataclasses import dataclass
from typing import Final

SEARCH_PATH = "tests/isolation/test_search_path.py::"
THREADS = "tests/isolation/test_threads.py::"
TABLES = "tests/isolation/test_missing_tables.py::"
OBJECTS = "tests/isolation/test_objects.py::"
PERMISSIONS = "tests/isolation/test_permissions.py::"
COOKIES = "tests/isolation/test_cookies.py::"
DEFERRED = "tests/isolation/test_deferred.py::"
ASYNC = "tests/isolation/test_async_work.py::"
SHARED = "tests/isolation/test_shared_rows.py::"
PGBOUNCER = "tests/isolation/test_pgbouncer.py::"
RULES = "tests/isolation/test_tenant_context_rules.py::"
CHECKS = "tests/unit/checks/test_checks.py::"


@dataclass(frozen=True)
class LeakScenario:
    what: str
    premises: tuple[str, ...]
    mitigations: tuple[str, ...]


LEAK_SCENARIOS: Final = (
    LeakScenario(
        "`with tenant:` in two threads at once",
        (f"{THREADS}test_tenant_with_statement_swaps_schemas_of_two_threads",),
        (
            f"{THREADS}test_reference_tenant_model_refuses_with_statement",
            f"{THREADS}test_context_per_block_restores_schema_of_each_thread",
            f"{THREADS}test_threads_read_messages_of_own_tenant_only",
            f"{RULES}test_package_code_enters_tenants_by_context_functions_only",
        ),
    ),
    LeakScenario(
        "a function decorated with `@schema_context`",
        (f"{THREADS}test_decorated_function_leaves_thread_in_public_schema",),
        (f"{RULES}test_package_code_enters_tenants_by_context_functions_only",),
    ),
    LeakScenario(
        "an error caught inside `atomic` while SET is sent once only",
        (
            f"{SEARCH_PATH}test_django_tenants_backend_reads_previous_schema_after_caught_error",
            f"{SEARCH_PATH}test_django_tenants_backend_reads_previous_schema_after_failed_commit",
        ),
        (
            f"{SEARCH_PATH}test_package_backend_reads_current_schema_after_caught_error",
            f"{SEARCH_PATH}test_package_backend_reads_current_schema_after_failed_commit",
            f"{CHECKS}test_checks_report_wrong_database_connection_settings",
        ),
    ),
    LeakScenario(
        "a `SET search_path` that fails",
        (f"{SEARCH_PATH}test_django_tenants_backend_reads_previous_schema_after_cancelled_set",),
        (
            f"{SEARCH_PATH}test_package_backend_raises_after_cancelled_set_then_reads_schema",
            f"{SEARCH_PATH}test_package_backend_raises_after_cancelled_set_in_atomic",
        ),
    ),
    LeakScenario(
        "a transaction or savepoint that is opened before the first cursor and rolled back",
        (),
        (
            f"{SEARCH_PATH}test_transaction_rollback_before_first_cursor_keeps_schema",
            f"{SEARCH_PATH}test_savepoint_rollback_keeps_schema",
        ),
    ),
    LeakScenario(
        "a tenant's table that is missing",
        (f"{TABLES}test_missing_table_is_replaced_by_table_of_public_schema",),
        (
            f"{TABLES}test_missing_table_raises_programming_error_on_read_and_write",
            f"{TABLES}test_tenant_apps_are_not_shared_apps",
        ),
    ),
    LeakScenario(
        "a callback registered for the commit in another schema",
        (f"{DEFERRED}test_on_commit_callback_runs_in_schema_current_at_commit",),
        (f"{DEFERRED}test_change_event_names_schema_of_change",),
    ),
    LeakScenario(
        "a queryset that is evaluated in another schema",
        (f"{DEFERRED}test_queryset_reads_schema_current_at_evaluation",),
        (
            f"{DEFERRED}test_inbox_in_other_tenant_raises_wrong_tenant",
            f"{DEFERRED}test_export_read_in_other_tenant_raises_wrong_tenant",
        ),
    ),
    LeakScenario(
        "an object that is saved or refreshed in another schema",
        (f"{OBJECTS}test_unbound_model_save_in_other_tenant_overwrites_row",),
        (
            f"{OBJECTS}test_message_refuses_use_in_other_tenant",
            f"{OBJECTS}test_recipient_of_other_tenant_is_refused",
        ),
    ),
    LeakScenario(
        "a cursor that was opened before the schema changed",
        (f"{DEFERRED}test_cursor_opened_before_schema_change_reads_previous_schema",),
        (f"{DEFERRED}test_package_code_opens_cursors_in_with_blocks_of_one_schema",),
    ),
    LeakScenario(
        "PgBouncer in transaction mode",
        (f"{PGBOUNCER}test_transaction_pooling_reads_schema_of_other_client",),
        (
            f"{PGBOUNCER}test_session_pooling_reads_own_schema",
            f"{CHECKS}test_checks_report_wrong_database_connection_settings",
        ),
    ),
    LeakScenario(
        "content types of each tenant's own, and a process-wide cache of them",
        (f"{PERMISSIONS}test_content_type_cache_with_tenant_tables_returns_id_of_other_tenant",),
        (
            f"{PERMISSIONS}test_content_types_exist_in_public_schema_only",
            f"{PERMISSIONS}test_object_permissions_of_two_threads_stay_in_their_tenants",
        ),
    ),
    LeakScenario(
        "guardian's own cache of content types",
        (f"{PERMISSIONS}test_content_type_cache_with_tenant_tables_returns_id_of_other_tenant",),
        (f"{PERMISSIONS}test_object_permission_counts_in_its_tenant_only",),
    ),
    LeakScenario(
        "guardian in the shared list",
        (f"{PERMISSIONS}test_object_permissions_in_public_schema_count_in_other_tenant",),
        (f"{PERMISSIONS}test_object_permission_counts_in_its_tenant_only",),
    ),
    LeakScenario(
        "guardian's anonymous user, kept for ever",
        (f"{SHARED}test_guardian_anonymous_user_is_cached_across_tenants",),
        (
            f"{SHARED}test_anonymous_user_has_no_permissions_and_runs_no_queries",
            f"{PERMISSIONS}test_guardian_creates_no_anonymous_user",
        ),
    ),
    LeakScenario(
        "the primary key of a permission",
        (f"{PERMISSIONS}test_permission_ids_may_differ_between_tenants",),
        ("tests/unit/access/test_policy.py::test_policy_with_wrong_content_type_cache_answers_correctly",),
    ),
    LeakScenario(
        "a cache that is asked on the event loop",
        (f"{ASYNC}test_cache_on_event_loop_returns_value_of_other_tenant",),
        (f"{ASYNC}test_package_code_uses_no_cache",),
    ),
    LeakScenario(
        "a session cookie at another tenant",
        (f"{COOKIES}test_session_cookie_without_binding_logs_in_at_cloned_tenant",),
        (
            f"{COOKIES}test_session_engine_alone_refuses_session_cookie_at_cloned_tenant",
            f"{COOKIES}test_user_session_hash_alone_refuses_session_cookie_at_cloned_tenant",
        ),
    ),
    LeakScenario(
        "a messages cookie at another tenant",
        (f"{COOKIES}test_django_storage_shows_messages_cookie_at_other_tenant",),
        (
            f"{COOKIES}test_messages_cookie_is_neither_shown_nor_deleted_at_other_tenant",
            f"{COOKIES}test_renamed_messages_cookie_is_not_read_at_other_tenant",
        ),
    ),
    LeakScenario(
        "a tenant that was cloned with its password hashes",
        (f"{COOKIES}test_session_cookie_without_binding_logs_in_at_cloned_tenant",),
        (f"{COOKIES}test_session_survives_use_of_its_cookie_at_other_tenant",),
    ),
    LeakScenario(
        "a shared user who is deleted from one schema",
        (),
        (
            "tests/integration/hosts/shared_users/test_shared_users.py::test_deleting_user_cleans_up_every_schema",
            "tests/unit/models/test_foreign_keys.py::test_deleting_user_deletes_received_and_keeps_sent_messages",
        ),
    ),
    LeakScenario(
        "a shared table that names a tenant's user",
        (f"{SHARED}test_shared_table_referencing_user_cannot_be_created",),
        (f"{SHARED}test_shared_models_reference_no_tenant_models",),
    ),
    LeakScenario(
        "a content type that is deleted while tenants have permissions on it",
        (f"{SHARED}test_content_type_referenced_by_tenant_permissions_cannot_be_deleted",),
        (f"{SHARED}test_package_tables_reference_no_public_tables",),
    ),
    LeakScenario(
        "a row of public that tenants name",
        (f"{SHARED}test_content_type_referenced_by_tenant_permissions_cannot_be_deleted",),
        (
            f"{SHARED}test_package_tables_reference_no_public_tables",
            f"{SHARED}test_other_schemas_reference_no_tenant_tables",
        ),
    ),
    LeakScenario(
        "the schema set in one await, the query in the next",
        (f"{ASYNC}test_reused_thread_keeps_schema_of_previous_task",),
        (
            f"{ASYNC}test_asend_in_tasks_writes_to_given_schema_when_thread_changes_schema",
            "tests/integration/test_async.py::test_message_from_thread_in_other_tenant_is_stored_in_request_tenant",
        ),
    ),
    LeakScenario(
        "a schema context around async queries",
        (f"{ASYNC}test_schema_context_on_event_loop_does_not_affect_queries",),
        (f"{ASYNC}test_asend_on_event_loop_writes_to_given_schema",),
    ),
    LeakScenario(
        "work that outlives the response",
        (f"{ASYNC}test_background_task_without_schema_runs_in_public",),
        (f"{ASYNC}test_asend_in_tasks_writes_to_given_schema_when_thread_changes_schema",),
    ),
    LeakScenario(
        "streams that query, and a small pool",
        (f"{ASYNC}test_querying_streams_exhaust_connection_pool",),
        (f"{ASYNC}test_open_streams_hold_no_database_connection",),
    ),
    LeakScenario(
        "a synchronous stream, and another tenant's request between its chunks",
        (f"{ASYNC}test_sync_stream_reads_schema_of_later_request_between_chunks",),
        (f"{ASYNC}test_package_code_uses_no_streaming_http_response",),
    ),
    LeakScenario(
        "persistent connections under ASGI",
        (),
        (
            f"{CHECKS}test_check_w013_reports_persistent_connections_under_asgi",
            "tests/unit/test_asgi.py::test_asgi_handler_returns_connections_after_broken_stream",
        ),
    ),
)
