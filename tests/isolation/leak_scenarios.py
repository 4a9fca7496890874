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
RULES = "tests/isolation/test_house_rules.py::"
CHECKS = "tests/unit/checks/test_checks.py::"


@dataclass(frozen=True)
class LeakScenario:
    what: str
    premises: tuple[str, ...]
    mitigations: tuple[str, ...]


LEAK_SCENARIOS: Final = (
    LeakScenario(
        "`with tenant:` in two threads at once",
        (f"{THREADS}test_a_with_on_the_tenant_itself_swaps_the_tenants_of_two_threads",),
        (
            f"{THREADS}test_the_tenant_of_the_reference_product_refuses_a_with",
            f"{THREADS}test_a_context_made_for_the_block_brings_each_thread_back",
            f"{THREADS}test_eight_threads_read_their_own_tenant_and_no_other",
            f"{RULES}test_our_code_enters_a_tenant_by_a_context_of_its_own_only",
        ),
    ),
    LeakScenario(
        "a function decorated with `@schema_context`",
        (f"{THREADS}test_a_decorated_function_leaves_a_thread_in_public",),
        (f"{RULES}test_our_code_enters_a_tenant_by_a_context_of_its_own_only",),
    ),
    LeakScenario(
        "an error caught inside `atomic` while SET is sent once only",
        (
            f"{SEARCH_PATH}test_theirs_reads_the_tenant_before_after_an_error_caught_inside_atomic",
            f"{SEARCH_PATH}test_theirs_reads_the_tenant_before_after_a_commit_that_failed",
        ),
        (
            f"{SEARCH_PATH}test_ours_reads_its_tenant_after_an_error_caught_inside_atomic",
            f"{SEARCH_PATH}test_ours_reads_its_tenant_after_a_commit_that_failed",
            f"{CHECKS}test_the_connection_is_checked",
        ),
    ),
    LeakScenario(
        "a `SET search_path` that fails",
        (f"{SEARCH_PATH}test_theirs_reads_the_tenant_before_after_a_cancelled_set",),
        (
            f"{SEARCH_PATH}test_ours_raises_after_a_cancelled_set_and_then_reads_its_tenant",
            f"{SEARCH_PATH}test_ours_raises_after_a_cancelled_set_inside_atomic",
        ),
    ),
    LeakScenario(
        "a transaction or savepoint that is opened before the first cursor and rolled back",
        (),
        (
            f"{SEARCH_PATH}test_a_transaction_opened_before_the_first_cursor_and_rolled_back_keeps_its_tenant",
            f"{SEARCH_PATH}test_a_savepoint_rolled_back_keeps_the_tenant",
        ),
    ),
    LeakScenario(
        "a tenant's table that is missing",
        (f"{TABLES}test_with_a_table_in_public_as_well_a_missing_one_is_silently_replaced_by_it",),
        (
            f"{TABLES}test_a_missing_table_is_an_error_when_read_and_when_written",
            f"{TABLES}test_an_app_of_the_tenants_is_in_their_list_alone",
        ),
    ),
    LeakScenario(
        "a callback registered for the commit in another schema",
        (f"{DEFERRED}test_a_callback_runs_in_the_schema_that_is_current_at_the_commit",),
        (f"{DEFERRED}test_a_hint_names_the_schema_of_the_change",),
    ),
    LeakScenario(
        "a queryset that is evaluated in another schema",
        (f"{DEFERRED}test_a_queryset_reads_where_it_is_evaluated",),
        (
            f"{DEFERRED}test_an_inbox_answers_in_its_own_organisation_only",
            f"{DEFERRED}test_what_is_handed_over_is_read_in_its_own_organisation_only",
        ),
    ),
    LeakScenario(
        "an object that is saved or refreshed in another schema",
        (f"{OBJECTS}test_an_object_that_is_not_bound_overwrites_the_row_of_another_tenant",),
        (
            f"{OBJECTS}test_a_message_of_one_tenant_is_refused_in_another_and_changes_nothing",
            f"{OBJECTS}test_a_user_of_one_tenant_is_refused_in_another_and_nothing_is_written",
        ),
    ),
    LeakScenario(
        "a cursor that was opened before the schema changed",
        (f"{DEFERRED}test_a_cursor_that_was_opened_before_reads_the_schema_before",),
        (f"{DEFERRED}test_our_code_opens_a_cursor_for_one_block_in_one_schema",),
    ),
    LeakScenario(
        "PgBouncer in transaction mode",
        (f"{PGBOUNCER}test_in_transaction_mode_one_reads_where_another_was",),
        (
            f"{PGBOUNCER}test_in_session_mode_each_reads_its_own",
            f"{CHECKS}test_the_connection_is_checked",
        ),
    ),
    LeakScenario(
        "content types of each tenant's own, and a process-wide cache of them",
        (f"{PERMISSIONS}test_with_content_types_of_its_own_a_tenant_has_other_ids_and_the_cache_carries_them_over",),
        (
            f"{PERMISSIONS}test_content_types_are_in_the_public_schema_alone",
            f"{PERMISSIONS}test_two_threads_of_two_tenants_are_granted_their_own_permissions_only",
        ),
    ),
    LeakScenario(
        "guardian's own cache of content types",
        (f"{PERMISSIONS}test_with_content_types_of_its_own_a_tenant_has_other_ids_and_the_cache_carries_them_over",),
        (f"{PERMISSIONS}test_a_grant_in_one_tenant_means_nothing_in_another",),
    ),
    LeakScenario(
        "guardian in the shared list",
        (f"{PERMISSIONS}test_with_grants_in_public_one_in_acme_counts_in_globex",),
        (f"{PERMISSIONS}test_a_grant_in_one_tenant_means_nothing_in_another",),
    ),
    LeakScenario(
        "guardian's anonymous user, kept for ever",
        (f"{SHARED}test_guardians_anonymous_user_kept_for_ever_is_that_of_the_first_tenant",),
        (
            f"{SHARED}test_without_it_who_is_not_logged_in_holds_nothing_and_costs_no_query",
            f"{PERMISSIONS}test_guardian_makes_no_anonymous_user",
        ),
    ),
    LeakScenario(
        "the primary key of a permission",
        (f"{PERMISSIONS}test_a_permission_has_another_id_elsewhere_so_none_is_stored",),
        ("tests/unit/access/test_policy.py::test_a_cache_of_content_types_that_is_wrong_changes_no_answer",),
    ),
    LeakScenario(
        "a cache that is asked on the event loop",
        (f"{ASYNC}test_a_cache_asked_on_the_event_loop_answers_with_another_tenants_value",),
        (f"{ASYNC}test_our_code_puts_nothing_into_a_cache",),
    ),
    LeakScenario(
        "a session cookie at another tenant",
        (f"{COOKIES}test_without_binding_the_cookie_of_one_tenant_logs_in_at_its_clone",),
        (
            f"{COOKIES}test_the_session_engine_alone_keeps_the_cookie_of_one_tenant_from_its_clone",
            f"{COOKIES}test_the_users_hash_alone_keeps_the_cookie_of_one_tenant_from_its_clone",
        ),
    ),
    LeakScenario(
        "a messages cookie at another tenant",
        (f"{COOKIES}test_with_djangos_storage_the_messages_cookie_of_one_tenant_is_shown_at_another",),
        (
            f"{COOKIES}test_the_messages_cookie_of_one_tenant_is_neither_shown_nor_destroyed_at_another",
            f"{COOKIES}test_a_messages_cookie_renamed_to_that_of_another_tenant_is_not_read_there",
        ),
    ),
    LeakScenario(
        "a tenant that was cloned with its password hashes",
        (f"{COOKIES}test_without_binding_the_cookie_of_one_tenant_logs_in_at_its_clone",),
        (f"{COOKIES}test_the_session_at_home_survives_a_visit_elsewhere",),
    ),
    LeakScenario(
        "a shared user who is deleted from one schema",
        (),
        (
            "tests/integration/hosts/shared_users/test_shared_users.py::test_deleting_a_user_from_any_schema_cleans_every_schema",
            "tests/unit/models/test_foreign_keys.py::test_who_is_deleted_takes_their_messages_and_leaves_what_they_wrote",
        ),
    ),
    LeakScenario(
        "a shared table that names a tenant's user",
        (f"{SHARED}test_a_shared_table_that_names_a_user_cannot_be_made",),
        (f"{SHARED}test_no_shared_model_names_anything_of_a_tenant",),
    ),
    LeakScenario(
        "a content type that is deleted while tenants have permissions on it",
        (f"{SHARED}test_a_content_type_cannot_be_deleted_while_tenants_have_permissions_on_it",),
        (f"{SHARED}test_no_table_of_ours_hangs_on_a_row_of_public",),
    ),
    LeakScenario(
        "a row of public that tenants name",
        (f"{SHARED}test_a_content_type_cannot_be_deleted_while_tenants_have_permissions_on_it",),
        (
            f"{SHARED}test_no_table_of_ours_hangs_on_a_row_of_public",
            f"{SHARED}test_nothing_in_public_or_elsewhere_hangs_on_a_row_of_a_tenant",
        ),
    ),
    LeakScenario(
        "the schema set in one await, the query in the next",
        (f"{ASYNC}test_a_thread_that_several_share_is_where_the_last_one_left_it",),
        (
            f"{ASYNC}test_what_is_sent_by_a_task_goes_where_it_says_whatever_the_thread_did",
            "tests/integration/test_async.py::test_a_thread_left_in_another_tenant_does_not_matter",
        ),
    ),
    LeakScenario(
        "a schema context around async queries",
        (f"{ASYNC}test_a_context_entered_on_the_event_loop_means_nothing_to_its_queries",),
        (f"{ASYNC}test_what_is_sent_from_the_event_loop_goes_where_it_says",),
    ),
    LeakScenario(
        "work that outlives the response",
        (f"{ASYNC}test_what_outlives_the_response_runs_in_public",),
        (f"{ASYNC}test_what_is_sent_by_a_task_goes_where_it_says_whatever_the_thread_did",),
    ),
    LeakScenario(
        "streams that query, and a small pool",
        (f"{ASYNC}test_streams_that_query_leave_no_connection_for_an_ordinary_request",),
        (f"{ASYNC}test_open_streams_hold_no_connection",),
    ),
    LeakScenario(
        "a synchronous stream, and another tenant's request between its chunks",
        (f"{ASYNC}test_later_chunks_of_a_synchronous_stream_come_from_the_tenant_served_since",),
        (f"{ASYNC}test_our_code_streams_no_response_of_djangos",),
    ),
    LeakScenario(
        "persistent connections under ASGI",
        (),
        (
            f"{CHECKS}test_persistent_connections_under_asgi_are_reported",
            "tests/unit/test_asgi.py::test_ours_gives_every_one_back",
        ),
    ),
)
