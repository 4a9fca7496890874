"""Every mitigation that keeps organisations apart: how to take it out, and the tests that then must fail.

`python3 run.py mutate` does so, one after the other; nothing in the product knows of it. What is named here are tests
whose failure is the leak itself, not an accident of the removal.
"""

import contextlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

from tests.isolation.leak_scenarios import (
    ASYNC,
    COOKIES,
    DEFERRED,
    OBJECTS,
    PERMISSIONS,
    SEARCH_PATH,
    SHARED,
    TABLES,
    THREADS,
)

CROSS_TENANT_ACCESS = "tests/isolation/test_cross_tenant_access.py::"
PROVISIONING = "tests/integration/tenants/test_provisioning.py::"
ATTEMPTS = "tests/integration/tenants/test_login_attempts.py::"
BROADCASTS = "tests/unit/sending/test_broadcasts.py::"


@dataclass(frozen=True)
class Mitigation:
    """`remove` runs once, when Django is set up; `sql` before each test, within its transaction."""

    name: str
    caught_by: tuple[str, ...]
    remove: Callable[[], Any] = lambda: None
    sql: tuple[str, ...] = ()


def _replace(target: str, value: Any) -> None:
    """Put something in the place of what the dotted path names, for the rest of the process."""
    patch(target, value).start()


# The search path ----------------------------------------------------------------------------------------------------

BACKEND: Final = "messages_extends.tenancy.backend.base.DatabaseWrapper"


def _swallow_failed_paths() -> None:
    from messages_extends.tenancy.backend.base import DatabaseWrapper

    send = DatabaseWrapper._set_search_path

    def send_and_go_on(self: Any, cursor: Any) -> None:
        with contextlib.suppress(Exception):
            send(self, cursor)

    _replace(f"{BACKEND}._set_search_path", send_and_go_on)


def _trust_the_path_after_a_commit() -> None:
    from django_tenants.postgresql_backend import base

    _replace(f"{BACKEND}.commit", base.DatabaseWrapper.commit)


def _trust_the_path_in_an_aborted_commit() -> None:
    _replace(f"{BACKEND}._is_aborted", lambda _self: False)


def _trust_the_path_of_a_new_connection() -> None:
    from django_tenants.postgresql_backend import base

    _replace(f"{BACKEND}.connect", base.DatabaseWrapper.connect)


def _open_named_cursors_first() -> None:
    from django_tenants.postgresql_backend import base

    _replace(f"{BACKEND}._cursor", base.DatabaseWrapper._cursor)


def _share_one_way_back() -> None:
    """Enter schemas by one object that all threads share, as `with tenant:` does."""
    from django_tenants.utils import schema_context

    contexts: dict[str, Any] = {}
    _replace(
        "messages_extends.tenancy.schemas.in_schema",
        lambda schema: contexts.setdefault(schema, schema_context(schema)),
    )


# Objects ------------------------------------------------------------------------------------------------------------


def _forget_where_objects_come_from() -> None:
    _replace("messages_extends.tenancy.origin.schema_of_origin", lambda _instance: None)


def _save_anywhere() -> None:
    from django.db.models import Model

    for name in ("save_base", "refresh_from_db", "delete"):
        _replace(f"messages_extends.tenancy.origin.TenantBound.{name}", getattr(Model, name))


def _save_people_anywhere() -> None:
    for module in ("origin", "managers"):
        _replace(f"tenants.people.{module}.check_tenant", lambda *_instance: None)


def _enter_by_the_tenant_itself() -> None:
    from django_tenants.models import TenantMixin

    _replace("tenants.models.Tenant.__enter__", TenantMixin.__enter__)


def _let_inboxes_answer_anywhere() -> None:
    for module in ("inbox.inbox", "queries.compiled"):
        _replace(f"messages_extends.{module}.check_tenant", lambda _user: None)


def _read_exports_anywhere() -> None:
    _replace("messages_extends.maintenance.personal_data._only_in", lambda _schema, rows: rows)


def _look_the_schema_up_at_the_commit() -> None:
    from django.db import transaction

    from messages_extends.events import changes

    def wake(**whom: Any) -> None:
        users = frozenset(str(key) for key in whom.get("users", ()))

        def publish() -> None:
            changes.PendingEvents([changes.ChangeEvent(changes.current_schema(), users)]).publish()

        transaction.on_commit(publish)

    _replace("messages_extends.events.changes.notify_changed", wake)


def _ask_the_connection_for_the_schema() -> None:
    _replace("messages_extends.storages.in_schema", lambda _schema: nullcontext())


def _query_where_the_thread_was_left() -> None:
    _replace("messages_extends.api._in_schema", lambda _schema, act: act())


def _connect() -> None:
    from django.db import connection

    connection.ensure_connection()


def _query_while_streaming() -> None:
    from asgiref.sync import sync_to_async

    from messages_extends.live.streams import Stream

    write = Stream._write_update

    async def write_and_query(self: Any, send: Any) -> None:
        await sync_to_async(_connect, thread_sensitive=False)()
        await write(self, send)

    _replace("messages_extends.live.streams.Stream._write_update", write_and_query)


# Sessions and cookies -----------------------------------------------------------------------------------------------


def _sign_sessions_alike() -> None:
    salt = property(lambda self: "django.contrib.sessions." + type(self).__qualname__)
    _replace("messages_extends.tenancy.sessions.SessionStore.key_salt", salt)


def _keep_the_key_of_another_schemas_session() -> None:
    from django.contrib.sessions.backends import db

    _replace("messages_extends.tenancy.sessions.SessionStore.decode", db.SessionStore.decode)


def _hash_people_alike() -> None:
    from django.contrib.auth.base_user import AbstractBaseUser

    _replace("tenants.people.models.User._get_session_auth_hash", AbstractBaseUser._get_session_auth_hash)


def _bind_cookies(*, name: bool, salt: bool) -> Callable[[], None]:
    def remove() -> None:
        from messages_extends import storages

        bind = storages.CookieBinding.__init__

        def bind_half(self: Any, request: Any, *args: Any, **kwargs: Any) -> None:
            bind(self, request, *args, **kwargs)
            if not name:
                self.cookie_name = type(self).cookie_name
            if not salt:
                self.key_salt = type(self).key_salt
                self.signer = storages.cookie.signing.get_cookie_signer(salt=self.key_salt)

        _replace("messages_extends.storages.CookieBinding.__init__", bind_half)

    return remove


def _name_session_messages_alike() -> None:
    from messages_extends import storages

    bindings = tuple(pair for pair in storages.BINDINGS if pair[1] is not storages.SessionBinding)
    _replace("messages_extends.storages.BINDINGS", bindings)


# Which organisation -------------------------------------------------------------------------------------------------


def _open_every_organisation() -> None:
    _replace("tenants.models.Tenant.is_open", property(lambda _self: True))


def _lead_every_host_to_one_organisation() -> None:
    _replace(
        "tenants.models.DomainQuerySet.for_host",
        lambda self, _host: self.filter(domain="acme.localhost").select_related("tenant"),
    )


# Whose --------------------------------------------------------------------------------------------------------------


def _find_everybodys_messages() -> None:
    _replace("messages_extends.models.message.MessageQuerySet.for_user", lambda self, _user: self.all())


def _show_every_broadcast_to_all() -> None:
    _replace(
        "messages_extends.broadcasts.models.BroadcastQuerySet.addressed_to", lambda self, *_args, **_options: self.all()
    )


def _let_everybody_write_to_everybody() -> None:
    from messages_extends.policy import AllowAll

    _replace("messages_extends.policy.Policy.reachable_people", AllowAll.reachable_people)


def _let_tenants_broadcast() -> None:
    from messages_extends.access import policy

    _replace(
        "messages_extends.access.policy._is_granted_by_platform",
        lambda sender, codename: policy._is_granted(sender, policy.Right("broadcasts", codename)),
    )


def _let_tenants_code_broadcast() -> None:
    from messages_extends.access import guards

    ask = guards.require_may_broadcast
    for module in ("messages_extends.access.guards", "messages_extends.access.publications"):
        _replace(
            f"{module}.require_may_broadcast",
            lambda sender, action="add": None if sender is None else ask(sender, action),
        )


def _show_messages_to_administrators() -> None:
    _replace("messages_extends.models.message.MessageQuerySet.without_content", lambda self: self.all())


def _give_what_is_not_held() -> None:
    from django.contrib.auth.models import Group

    _replace("tenants.people.holdings.Holdings.include", lambda *_holdings: True)
    _replace("tenants.people.holdings.Holdings.included_groups", lambda _self: Group.objects.all())


def _grant_what_is_not_held() -> None:
    _replace("messages_extends.policy.Policy.may_give", lambda *_question: True)


def _let_caches_keep_pages() -> None:
    _replace("messages_extends.storages.keep_private", lambda *_answer: None)


def _show_any_link() -> None:
    for module in ("models.content", "inbox.items"):
        _replace(f"messages_extends.{module}.shown_link", lambda url: url)


# How often ----------------------------------------------------------------------------------------------------------


def _count_without_waiting() -> None:
    _replace("messages_extends.access.rate_limits.LOCK_SENDER", "SELECT 1")


def _count_attempts_of_all_together() -> None:
    _replace("tenants.people.attempts.Attempt.begin", classmethod(lambda cls, *_whose: cls([], "")))


def _share_a_model_that_names_people() -> None:
    from django.apps import apps
    from django.conf import settings
    from django.db import models

    class Note(models.Model):
        writer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")

        class Meta:
            app_label = "broadcasts"
            # There is no table: it is the relation that is looked for.
            managed = False

    assert Note in apps.get_models()


OWN_CONTENT_TYPES: Final = """
CREATE TABLE acme.django_content_type AS SELECT id + 1000 AS id, app_label, model FROM public.django_content_type
"""
NO_RULE_FOR_MESSAGES: Final = """
DO $$ DECLARE name text; BEGIN
    SELECT conname INTO name FROM pg_constraint
    JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
    WHERE contype = 'f' AND attname = 'user_id' AND conrelid = 'acme.messages_extends_message'::regclass;
    EXECUTE format('ALTER TABLE acme.messages_extends_message DROP CONSTRAINT %I', name);
END $$
"""

MITIGATIONS: Final = (
    Mitigation(
        "a path that could not be set is an error",
        (f"{SEARCH_PATH}test_package_backend_raises_after_cancelled_set_then_reads_schema",),
        _swallow_failed_paths,
    ),
    Mitigation(
        "the path is unknown after a commit that failed",
        (
            f"{SEARCH_PATH}test_package_backend_reads_current_schema_after_failed_commit",
            f"{SEARCH_PATH}test_package_backend_reads_current_schema_after_caught_error",
        ),
        _trust_the_path_after_a_commit,
    ),
    Mitigation(
        "an aborted transaction is seen",
        (f"{SEARCH_PATH}test_package_backend_reads_current_schema_after_caught_error",),
        _trust_the_path_in_an_aborted_commit,
    ),
    Mitigation(
        "a new connection has no path",
        (f"{SEARCH_PATH}test_package_backend_sets_search_path_on_replaced_raw_connection",),
        _trust_the_path_of_a_new_connection,
    ),
    Mitigation(
        "a named cursor gets its path first",
        (f"{SEARCH_PATH}test_package_backend_raises_django_error_after_cancelled_named_cursor",),
        _open_named_cursors_first,
    ),
    Mitigation(
        "each block has its own way back",
        (
            f"{THREADS}test_context_per_block_restores_schema_of_each_thread",
            f"{THREADS}test_threads_read_messages_of_own_tenant_only",
        ),
        _share_one_way_back,
    ),
    Mitigation(
        "people know where they come from",
        (
            f"{OBJECTS}test_recipient_of_other_tenant_is_refused",
            f"{CROSS_TENANT_ACCESS}test_api_refuses_objects_of_other_tenant",
        ),
        _forget_where_objects_come_from,
    ),
    Mitigation(
        "rows are saved where they were loaded",
        (f"{OBJECTS}test_message_refuses_use_in_other_tenant",),
        _save_anywhere,
    ),
    Mitigation(
        "people and groups are saved where they were loaded",
        (f"{OBJECTS}test_users_and_groups_refuse_writes_in_other_tenant",),
        _save_people_anywhere,
    ),
    Mitigation(
        "a tenant is no context of its own",
        (f"{THREADS}test_reference_tenant_model_refuses_with_statement",),
        _enter_by_the_tenant_itself,
    ),
    Mitigation(
        "an inbox answers in its own organisation",
        (f"{DEFERRED}test_inbox_in_other_tenant_raises_wrong_tenant",),
        _let_inboxes_answer_anywhere,
    ),
    Mitigation(
        "an export is read in its own organisation",
        (f"{DEFERRED}test_export_read_in_other_tenant_raises_wrong_tenant",),
        _read_exports_anywhere,
    ),
    Mitigation(
        "a hint takes its schema along",
        (f"{DEFERRED}test_change_event_names_schema_of_change",),
        _look_the_schema_up_at_the_commit,
    ),
    Mitigation(
        "a storage goes where its request belongs",
        (f"{OBJECTS}test_fallback_storage_uses_tenant_of_request",),
        _ask_the_connection_for_the_schema,
    ),
    Mitigation(
        "async code passes its schema by value",
        (
            f"{ASYNC}test_asend_on_event_loop_writes_to_given_schema",
            f"{ASYNC}test_asend_in_tasks_writes_to_given_schema_when_thread_changes_schema",
        ),
        _query_where_the_thread_was_left,
    ),
    Mitigation(
        "streams do not query",
        (f"{ASYNC}test_open_streams_hold_no_database_connection",),
        _query_while_streaming,
    ),
    Mitigation(
        "sessions are signed for their schema",
        (
            f"{COOKIES}test_session_engine_alone_refuses_session_cookie_at_cloned_tenant",
            "tests/unit/tenancy/test_sessions.py::test_session_in_other_schema_is_empty_and_saves_under_new_key",
        ),
        _sign_sessions_alike,
    ),
    Mitigation(
        "a session of elsewhere is not overwritten",
        ("tests/unit/tenancy/test_sessions.py::test_session_in_other_schema_is_empty_and_saves_under_new_key",),
        _keep_the_key_of_another_schemas_session,
    ),
    Mitigation(
        "people's session hash holds their schema",
        (f"{COOKIES}test_user_session_hash_alone_refuses_session_cookie_at_cloned_tenant",),
        _hash_people_alike,
    ),
    Mitigation(
        "the messages cookie's signature holds the schema",
        (f"{COOKIES}test_renamed_messages_cookie_is_not_read_at_other_tenant",),
        _bind_cookies(name=True, salt=False),
    ),
    Mitigation(
        "the messages cookie's name holds the schema",
        (f"{COOKIES}test_messages_cookie_is_neither_shown_nor_deleted_at_other_tenant",),
        _bind_cookies(name=False, salt=True),
    ),
    Mitigation(
        "messages in the session have their schema in their key",
        (
            "tests/unit/storages/test_storages.py::TestTenantBinding::test_session_messages_are_not_shown_in_other_tenant",
        ),
        _name_session_messages_alike,
    ),
    Mitigation(
        "a tenant's table is nowhere else",
        (
            f"{TABLES}test_missing_table_raises_programming_error_on_read_and_write",
            f"{TABLES}test_public_schema_has_no_table_of_tenant_apps",
        ),
        sql=("CREATE TABLE public.messages_extends_message (LIKE acme.messages_extends_message INCLUDING ALL)",),
    ),
    Mitigation(
        "content types are in public alone",
        (
            f"{PERMISSIONS}test_content_types_exist_in_public_schema_only",
            f"{PERMISSIONS}test_content_type_has_same_id_in_all_schemas",
        ),
        sql=(OWN_CONTENT_TYPES,),
    ),
    Mitigation(
        "grants are in each tenant's own table",
        (f"{PERMISSIONS}test_object_permission_counts_in_its_tenant_only",),
        sql=(
            "CREATE TABLE public.guardian_userobjectpermission (LIKE acme.guardian_userobjectpermission INCLUDING ALL)",
            "DROP TABLE acme.guardian_userobjectpermission",
            "DROP TABLE globex.guardian_userobjectpermission",
        ),
    ),
    Mitigation(
        "guardian has no anonymous user",
        (f"{SHARED}test_anonymous_user_has_no_permissions_and_runs_no_queries",),
        lambda: _replace("guardian.conf.settings.ANONYMOUS_USER_NAME", "nobody@example.com"),
    ),
    Mitigation(
        "no shared model names people",
        (f"{SHARED}test_shared_models_reference_no_tenant_models",),
        _share_a_model_that_names_people,
    ),
    Mitigation(
        "the database deletes what is somebody's",
        ("tests/unit/models/test_foreign_keys.py::test_foreign_keys_to_users_and_groups_have_delete_rules",),
        sql=(NO_RULE_FOR_MESSAGES,),
    ),
    Mitigation(
        "an organisation that is not open answers 503",
        (f"{PROVISIONING}test_suspended_tenant_returns_503_until_resumed",),
        _open_every_organisation,
    ),
    Mitigation(
        "each request enters its own organisation",
        (f"{COOKIES}test_session_engine_alone_refuses_session_cookie_at_cloned_tenant",),
        _lead_every_host_to_one_organisation,
    ),
    Mitigation(
        "a message is found through its owner",
        (f"{CROSS_TENANT_ACCESS}TestMarking::test_marking_views_return_404_for_messages_of_others",),
        _find_everybodys_messages,
    ),
    Mitigation(
        "a broadcast is for whom it is for",
        (
            f"{BROADCASTS}TestBroadcast::test_broadcast_to_selected_tenants_reaches_only_those_tenants",
            f"{BROADCASTS}TestReading::test_mark_read_of_broadcast_for_other_tenant_returns_404",
        ),
        _show_every_broadcast_to_all,
    ),
    Mitigation(
        "people write to those that they may write to",
        (f"{CROSS_TENANT_ACCESS}TestComposing::test_compose_answers_unreachable_recipients_as_missing",),
        _let_everybody_write_to_everybody,
    ),
    Mitigation(
        "the platform's people broadcast, at the platform",
        (f"{BROADCASTS}TestWhoMay::test_broadcast_refuses_tenant_superuser",),
        _let_tenants_broadcast,
    ),
    Mitigation(
        "a tenant's code does not broadcast",
        (f"{BROADCASTS}TestWhoMay::test_broadcast_refuses_code_in_tenant_schema",),
        _let_tenants_code_broadcast,
    ),
    Mitigation(
        "the database lets no tenant write broadcasts",
        (f"{BROADCASTS}TestGuards::test_broadcast_tables_refuse_writes_from_tenant_schema",),
        sql=tuple(
            f"DROP TRIGGER public_only ON public.broadcasts_{table}"
            for table in ("broadcast", "broadcasttenant", "broadcastcount", "broadcastrecord")
        ),
    ),
    Mitigation(
        "administrators do not read messages",
        (f"{CROSS_TENANT_ACCESS}TestAdministration::test_admin_message_pages_hide_message_text",),
        _show_messages_to_administrators,
    ),
    Mitigation(
        "forms give no more than their user holds",
        (
            "tests/integration/tenants/test_privilege_escalation.py::test_admin_forms_refuse_permissions_not_held_by_editor",
        ),
        _give_what_is_not_held,
    ),
    Mitigation(
        "who grants holds it themselves",
        ("tests/integration/web/test_grants.py::TestGrant::test_grant_form_refuses_target_beyond_own_grants",),
        _grant_what_is_not_held,
    ),
    Mitigation(
        "a page with somebody's messages is private",
        ("tests/integration/web/test_cache_control.py::test_host_page_with_messages_is_private",),
        _let_caches_keep_pages,
    ),
    Mitigation(
        "a link is checked when it is shown",
        (
            "tests/unit/storages/test_storages.py::TestPersistent::test_message_hides_unsafe_url_stored_without_validation",
        ),
        _show_any_link,
    ),
    Mitigation(
        "records are kept",
        ("tests/unit/models/test_audit.py::test_audit_record_refuses_update_and_delete_by_sql",),
        sql=("DROP TRIGGER append_only ON acme.messages_extends_auditrecord",),
    ),
    Mitigation(
        "what one sender does at once waits its turn",
        ("tests/integration/test_rate_limits.py::test_concurrent_sends_do_not_exceed_limit",),
        _count_without_waiting,
    ),
    Mitigation(
        "failures to log in are counted",
        (f"{ATTEMPTS}test_login_after_too_many_failures_refuses_correct_password",),
        _count_attempts_of_all_together,
    ),
)
