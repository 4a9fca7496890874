"""A database backend that extends django-tenants' and verifies that the search path is set.

Use it as `ENGINE = "messages_extends.tenancy.backend"`.
"""

import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.utils import CursorWrapper
from django.utils.asyncio import async_unsafe
from django_tenants.postgresql_backend import base
from django_tenants.utils import quote_schema_name
from psycopg.pq import TransactionStatus

from messages_extends.exceptions import WrongTenant
from messages_extends.tenancy.tenant_settings import public_schema, tenant_database

# The pools of the parent process of a fork. The references prevent them from being closed here.
_pools_of_parent: list[object] = []


def _forget_pools() -> None:
    """Make a forked process create its own pools: the parent's pools have no threads here, and share its sockets."""
    pools: dict[str, object] = DatabaseWrapper._connection_pools
    _pools_of_parent.extend(pools.values())
    pools.clear()


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """Never read another tenant's rows after a `SET search_path` that failed or was rolled back.

    django-tenants ignores the error of a failed `SET search_path`, so that the next query runs in the schema of the
    previous tenant. With TENANT_LIMIT_SET_CALLS it also trusts a path that the server has reverted: the COMMIT of an
    aborted transaction is a ROLLBACK, which reverts the SET. In this backend

    * a failed SET raises, and the path is unknown until a SET succeeds;
    * no SET is sent in an aborted transaction, where every statement except a rollback fails;
    * the path is unknown after connecting, a rollback, a rollback to a savepoint and the commit of an aborted
      transaction.

    Connections of other aliases, such as a replica's, follow the search path of the connection TENANT_DB_ALIAS.

    The path is therefore sent once for many statements, which saves half of all round trips and is safe only with this
    backend. With TENANT_LIMIT_SET_CALLS = False it is sent before each statement.
    """

    follows_tenant = True
    search_path_set_schemas: list[str] | None

    def connect(self) -> None:
        self.search_path_set_schemas = None
        super().connect()

    @async_unsafe
    def commit(self) -> None:
        known = None if self._is_aborted() else self.search_path_set_schemas
        # Unknown until the COMMIT succeeds: one that fails by a deferred constraint rolls back.
        self.search_path_set_schemas = None
        super().commit()
        self.search_path_set_schemas = known

    def _cursor(self, name: str | None = None) -> CursorWrapper:
        if name is None:
            cursor: CursorWrapper = super()._cursor()
            return cursor
        # Set the path before opening a named cursor, which a failing SET would leave open.
        self.ensure_connection()
        self._handle_search_path()
        self._setting_search_path = True
        try:
            cursor = super()._cursor(name=name)
        finally:
            self._setting_search_path = False
        return cursor

    def _handle_search_path(self, cursor: CursorWrapper | None = None) -> None:
        if self._setting_search_path:
            return
        if self._is_aborted():
            self.search_path_set_schemas = None
            return
        if self._path_is_trusted():
            return
        self._set_search_path(cursor)

    def _set_search_path(self, cursor: CursorWrapper | None) -> None:
        path = self._get_cursor_search_paths()
        statement = "SET search_path = " + ",".join(quote_schema_name(schema) for schema in path)
        self.search_path_set_schemas = None
        # Opening a cursor calls _handle_search_path again.
        self._setting_search_path = True
        try:
            if cursor is None:
                with self.wrap_database_errors, self.connection.cursor() as own_cursor:
                    own_cursor.execute(statement)
            else:
                cursor.execute(statement)
        finally:
            self._setting_search_path = False
        self.search_path_set_schemas = path

    def _path_is_trusted(self) -> bool:
        if not self.search_path_set_schemas or not getattr(settings, "TENANT_LIMIT_SET_CALLS", True):
            return False
        # A following connection is not notified when its leader enters another schema.
        return self._leader() is self or bool(self.search_path_set_schemas == self._get_cursor_search_paths())

    def _get_cursor_search_paths(self) -> list[str]:
        leader = self._leader()
        if leader is self and not self.schema_name:
            raise ImproperlyConfigured(f"The connection {self.alias!r} has no schema: call set_tenant or set_schema.")
        path: list[str] = super()._get_cursor_search_paths() if leader is self else leader._get_cursor_search_paths()
        return path

    def _leader(self) -> base.DatabaseWrapper:
        """Return the connection whose search path this one uses: usually that of TENANT_DB_ALIAS.

        A connection that has entered a tenant itself, as `migrate_schemas --database` does, uses its own path. That is
        an error while the leader is in another tenant, because reads would go to either of them by accident.
        """
        if self.alias == tenant_database():
            return self
        leader = connections[tenant_database()]
        if not isinstance(leader, base.DatabaseWrapper):
            return self
        public = public_schema()
        if self.schema_name == public:
            return leader
        if leader.schema_name not in {public, self.schema_name}:
            raise WrongTenant(
                f"The connection {self.alias!r} has entered the schema {self.schema_name!r}, while "
                f"{leader.alias!r} is in {leader.schema_name!r}: leave the first schema, and it follows the second."
            )
        return self

    def _is_aborted(self) -> bool:
        return self.connection is not None and self.connection.pgconn.transaction_status == TransactionStatus.INERROR


# Otherwise, `migrate_schemas --executor=multiprocessing` and preloading servers would wait forever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pools)
