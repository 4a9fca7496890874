"""The database backend: django-tenants' own, certain of its search path.

Use it as `ENGINE = "messages_extends.tenancy.backend"`.
"""

import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.utils import CursorWrapper
from django.utils.asyncio import async_unsafe
from django_tenants.postgresql_backend import base
from django_tenants.utils import get_public_schema_name, get_tenant_database_alias, quote_schema_name
from psycopg.pq import TransactionStatus

from messages_extends.exceptions import WrongTenant

# Of a process that this one was forked from: kept, so that nothing ends them here.
_pools_of_parent: list[object] = []


def _forget_pools() -> None:
    """Have a forked process make pools of its own: in those of its parent no thread runs, and sockets are shared."""
    pools: dict[str, object] = DatabaseWrapper._connection_pools
    _pools_of_parent.extend(pools.values())
    pools.clear()


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """Never read another tenant's rows because a `SET search_path` did not take.

    django-tenants swallows the error of a failed `SET search_path`, so that a statement cancelled at the wrong
    moment is followed by a query in the previous tenant's schema (27 of 62,644 reads under a storm of
    cancellations). And with TENANT_LIMIT_SET_CALLS it goes on trusting a path that the server has taken back:
    COMMIT of an aborted transaction is a ROLLBACK, which reverts the SET. Here

    * a failed SET raises, and the path counts as unknown until one has succeeded;
    * in an aborted transaction none is sent: every statement there fails anyway, but for the rollback;
    * the path is unknown after a new connection, a rollback, a savepoint's rollback and an aborted commit.

    The connections of other aliases, such as a replica's, have the search path of the tenants' own connection
    (TENANT_DB_ALIAS), without being told.

    So the path is sent once for many statements, which is safe with this backend and with no other, and saves half of
    all round trips. TENANT_LIMIT_SET_CALLS = False has it sent before each of them.
    """

    follows_tenant = True
    search_path_set_schemas: list[str] | None

    def connect(self) -> None:
        self.search_path_set_schemas = None
        super().connect()

    @async_unsafe
    def commit(self) -> None:
        certain = None if self._is_aborted() else self.search_path_set_schemas
        # Until it has succeeded: a COMMIT that fails, by a deferred constraint, is a rollback as well.
        self.search_path_set_schemas = None
        super().commit()
        self.search_path_set_schemas = certain

    def _cursor(self, name: str | None = None) -> CursorWrapper:
        if name is None:
            cursor: CursorWrapper = super()._cursor()
            return cursor
        # A named cursor gets its path first: a SET that failed once it is open would leave it open.
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
        # Opening a cursor comes back to _handle_search_path.
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
        # Nothing is told when the connection that is followed enters another schema.
        return self._leader() is self or bool(self.search_path_set_schemas == self._get_cursor_search_paths())

    def _get_cursor_search_paths(self) -> list[str]:
        leader = self._leader()
        if leader is self and not self.schema_name:
            raise ImproperlyConfigured(f"The connection {self.alias!r} is in no schema: call set_tenant or set_schema.")
        path: list[str] = super()._get_cursor_search_paths() if leader is self else leader._get_cursor_search_paths()
        return path

    def _leader(self) -> base.DatabaseWrapper:
        """Return the connection whose search path this one has: a replica's has that of the tenants' own.

        One that has entered a tenant itself, as `migrate_schemas --database` does, keeps that one; but not beside
        another tenant, for one of both would be read by mistake.
        """
        if self.alias == get_tenant_database_alias():
            return self
        leader = connections[get_tenant_database_alias()]
        if not isinstance(leader, base.DatabaseWrapper):
            return self
        public = get_public_schema_name()
        if self.schema_name == public:
            return leader
        if leader.schema_name not in {public, self.schema_name}:
            raise WrongTenant(
                f"The connection {self.alias!r} has entered the schema {self.schema_name!r}, while "
                f"{leader.alias!r} is in {leader.schema_name!r}: leave the first, and it follows the second by itself."
            )
        return self

    def _is_aborted(self) -> bool:
        return self.connection is not None and self.connection.info.transaction_status == TransactionStatus.INERROR


# `migrate_schemas --executor=multiprocessing` would wait for ever, as would servers that load before they fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pools)
