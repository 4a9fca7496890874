"""A bus that uses Redis publish/subscribe, for more traffic than the PostgreSQL bus can carry.

It requires the extra: `pip install django-messages-extends-tenants[redis]`.
"""

from collections.abc import AsyncGenerator, Sequence
from functools import cached_property
from typing import ClassVar, Final

from django.db import connections
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from messages_extends.conf import settings
from messages_extends.events.bus import Bus
from messages_extends.tenancy.databases import write_database

# An idle connection is checked after this time, and has the same time to answer.
IDLE_CHECK_S: Final = 10
SOCKET_TIMEOUT_S: Final = 5


class RedisBus(Bus):
    """Publish to one channel of the server at PUSH_REDIS_URL."""

    limit: ClassVar[int] = 60_000

    @property
    def name(self) -> str:
        # Channels are shared by all databases of a Redis server, and possibly by several products.
        return f"{settings.push_name}:{connections[write_database()].settings_dict['NAME']}"

    @cached_property
    def _redis(self) -> Redis:
        # One retry and a short timeout: a request waits for this after its commit.
        return Redis.from_url(
            settings.push_redis_url,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
        )

    def publish(self, texts: Sequence[str]) -> None:
        with self._redis.pipeline(transaction=False) as pipeline:
            for text in texts:
                pipeline.publish(self.name, text)
            pipeline.execute()

    async def listen(self) -> AsyncGenerator[str | None]:
        retry = AsyncRetry(NoBackoff(), 0)
        url = settings.push_redis_url
        async with (
            AsyncRedis.from_url(url, socket_connect_timeout=SOCKET_TIMEOUT_S, retry=retry) as redis,
            redis.pubsub() as watcher,
        ):
            await watcher.subscribe(self.name)
            asked = False
            while True:
                message = await watcher.get_message(timeout=IDLE_CHECK_S)
                if message is None:
                    if asked:
                        raise ConnectionError("Redis does not answer.")
                    await watcher.ping()
                elif message["type"] == "subscribe":
                    yield None
                elif message["type"] == "message":
                    yield message["data"].decode()
                asked = message is None
