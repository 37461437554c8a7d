"""Stand-ins for a Qdrant server, where none runs.

qdrant-client's local mode answers as a server does, with these differences: each call is one step
that nothing interleaves with, search is exact, document frequencies count records too, and there is
no wire. `Hesitating` takes the first away: as on a server, others get a turn around each call and
within those that touch many points.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from httpx import Headers
from qdrant_client import AsyncQdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse

__all__ = ["Died", "Hesitating", "dying", "hesitating"]

AT_ONCE = 32
"""Points that Qdrant upserts before others get a turn (UPDATE_OP_CHUNK_SIZE of its source)."""


class Died(BaseException):
    """The process is gone: nothing that it would have done happens."""


class Hesitating:
    """A client between whose steps others run."""

    def __init__(self, client: AsyncQdrantClient, lives_for: int | None = None) -> None:
        self._client = client
        self._left = lives_for

    async def upsert(self, name: str, points: Sequence[Any], **options: Any) -> None:
        self._step()
        for first in range(0, len(points), AT_ONCE):
            await self._client.upsert(name, points[first : first + AT_ONCE], **options)
            await asyncio.sleep(0)

    async def query_batch_points(self, name: str, requests: Sequence[Any]) -> list[Any]:
        self._step()
        answers: list[Any] = []
        for request in requests:
            await asyncio.sleep(0)
            answers += await self._client.query_batch_points(name, [request])
        return answers

    async def create_collection(self, name: str, **options: Any) -> None:
        self._step()
        await asyncio.sleep(0)
        try:
            await self._client.create_collection(name, **options)
        except ValueError as error:
            raise UnexpectedResponse(409, "Conflict", str(error).encode(), Headers()) from None

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self._step()
            await asyncio.sleep(0)
            result = await getattr(self._client, name)(*args, **kwargs)
            await asyncio.sleep(0)
            return result

        return call

    def _step(self) -> None:
        if self._left is not None:
            if self._left <= 0:
                raise Died
            self._left -= 1


def hesitating(client: AsyncQdrantClient) -> AsyncQdrantClient:
    """The client, with others taking their turns."""
    return cast("AsyncQdrantClient", Hesitating(client))


def dying(client: AsyncQdrantClient, calls: int) -> AsyncQdrantClient:
    """The client of a process that is killed after so many calls."""
    return cast("AsyncQdrantClient", Hesitating(client, calls))
