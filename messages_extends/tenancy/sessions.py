"""The session engine: Django's database sessions, bound to the schema they were made in.

Use it as `SESSION_ENGINE = "messages_extends.tenancy.sessions"`.
"""

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends import db

from messages_extends.exceptions import NoSessionTable
from messages_extends.tenancy.schemas import current_schema, has_own, is_shared


class SessionStore(db.SessionStore):
    """Keep a session that only the schema it was made in can read.

    The schema is taken when the store is made, which the middleware does in the request's own thread: in an async view
    the connection of the event loop says "public". It goes into the salt of the signature, so that a row which got into
    another schema (a shared session table, a cloned organisation) means nothing there; it is left as it is.

    Where a schema has no session table, as public mostly, a store is always empty and saving into it raises
    NoSessionTable.
    """

    def __init__(self, session_key: str | None = None) -> None:
        self.schema = current_schema()
        self.has_table = is_shared("sessions") or has_own("sessions", self.schema)
        super().__init__(session_key)

    @property
    def key_salt(self) -> str:
        return f"messages_extends.sessions:{self.schema}"

    def decode(self, session_data: bytes | str) -> dict[str, object]:
        data = super().decode(session_data)
        if not data:
            # Not ours: keep the key as well, and saving would overwrite the other schema's session.
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
