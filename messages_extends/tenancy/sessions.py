"""A session engine that binds Django's database sessions to the schema in which they were created.

Use it as `SESSION_ENGINE = "messages_extends.tenancy.sessions"`.
"""

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends import db

from messages_extends.exceptions import NoSessionTable
from messages_extends.tenancy.schemas import current_schema, is_shared, tenant_has_app


class SessionStore(db.SessionStore):
    """Store a session that can be read only in the schema in which it was created.

    The schema is read when the store is created, in the thread of the session middleware, because the event loop's
    connection is always in the public schema. It is part of the signature's salt, so that a session of another schema
    (in a shared session table or a cloned tenant) cannot be decoded. Such a row is not changed.

    In a schema without a session table, usually the public schema, a session is always empty and saving it raises
    NoSessionTable.
    """

    def __init__(self, session_key: str | None = None) -> None:
        self.schema = current_schema()
        self.has_table = is_shared("sessions") or tenant_has_app("sessions", self.schema)
        super().__init__(session_key)

    @property
    def key_salt(self) -> str:
        return f"messages_extends.sessions:{self.schema}"

    def decode(self, session_data: bytes | str) -> dict[str, object]:
        data = super().decode(session_data)
        if not data:
            # Drop the key, because saving would overwrite the session of the other schema.
            self._session_key = None
        return data

    def load(self) -> dict[str, object]:
        return super().load() if self.has_table else self._load_nothing()

    async def aload(self) -> dict[str, object]:
        return await super().aload() if self.has_table else self._load_nothing()

    def exists(self, session_key: str) -> bool:
        return self.has_table and super().exists(session_key)

    async def aexists(self, session_key: str) -> bool:
        return await sync_to_async(self.exists)(session_key)

    def save(self, must_create: bool = False) -> None:
        if not self.has_table:
            raise NoSessionTable
        super().save(must_create)

    async def asave(self, must_create: bool = False) -> None:
        if not self.has_table:
            raise NoSessionTable
        await super().asave(must_create)

    def delete(self, session_key: str | None = None) -> None:
        if self.has_table:
            super().delete(session_key)

    async def adelete(self, session_key: str | None = None) -> None:
        await sync_to_async(self.delete)(session_key)

    def _load_nothing(self) -> dict[str, object]:
        self._session_key = None
        return {}
