"""Passages in a collection on a Qdrant server, which several retrievers share.

A point a passage, with a vector `dense` (cosine) and a vector `sparse` (BM25; the server computes
the inverse document frequencies), and a point a document, its record (`qdrant_records`).

Invariants:

- Passages carry the generation in which they were written, and their ids are made from it: no
  writer ever overwrites a passage of another. A generation counts from the one moment on in which
  the record names it, and all of its passages were stored before.
- A search checks what it found against the records. It is asked again, without what does not count,
  until every passage is of the generation that counted before the question left and after the
  answer came. So it sees a document whole, in one version, or not at all.
- What no longer counts is removed before `put` and `delete` return. Where a process died before
  that, it is unfindable, and removed by the next write of the document or by the next retriever
  that opens the collection.
- Every write is waited for until the server has applied it. What its machine keeps through loss of
  power is the server's affair; it brings its log to disk every few seconds.
- Each shard has one replica, as by Qdrant's default: the records of several could disagree.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID, uuid5
from weakref import WeakValueDictionary

from qdrant_client import AsyncQdrantClient, models
from typing_extensions import override

from motet.errors import FaultError, NotYetError, SetupError
from motet.messages import DocumentInfo, FaultType, Passage
from motet_retriever.stores.bm25 import bm25
from motet_retriever.stores.port import Branch, Found, IndexedPassage, PassageStore, Query
from motet_retriever.stores.qdrant_calls import Collection, connect, reach
from motet_retriever.stores.qdrant_records import Record, Records, equals, generation_after
from motet_retriever.stores.qdrant_schema import prepare

__all__ = ["QdrantServerStore"]

BATCH = 256
"""Passages written at once: some 2 MB of JSON at 384 dimensions."""
ATTEMPTS = 5
"""Times that a document is written, if other writers keep taking it over."""
ROUNDS = 6
"""Times that a search is asked while what it finds changes; then it leaves out what does."""
SEEN = 100_000
"""Documents whose generation is remembered, some 20 MB."""
FORSAKEN_AFTER_S = 600
"""Seconds after which a claim is taken for one of a process that died, when a store is opened."""


class _Close(Protocol):
    async def __call__(self) -> None: ...


class QdrantServerStore(PassageStore):
    """Passages on a server."""

    @classmethod
    async def open(
        cls, url: str, *, api_key: str | None, collection: str, model: str, dimension: int
    ) -> QdrantServerStore:
        """The store in `collection`, made if it is not there, for embeddings by `model`.

        Raises:
            NotYetError: The server does not answer, or refuses the key.
            SetupError: It is too old, or the collection is for embeddings of another model or
                dimension, or for something else.
        """
        client = connect(url, api_key)
        try:
            return await cls.over(client, collection, model, dimension, close=client.close)
        except FaultError as error:
            await client.close()
            raise (NotYetError if error.fault.retryable else SetupError)(
                f"The collection {collection!r} at {url} cannot be used. {error.fault.message} "
                "Start a Qdrant server, set MOTET_RETRIEVER_URL and MOTET_RETRIEVER_API_KEY to one "
                "that runs, or leave the URL out for the embedded store."
            ) from None
        except BaseException:
            await client.close()
            raise

    @classmethod
    async def over(
        cls,
        client: AsyncQdrantClient,
        collection: str,
        model: str,
        dimension: int,
        *,
        close: _Close | None = None,
    ) -> QdrantServerStore:
        """The store over a client, which `close` closes."""
        there = Collection(client, collection)
        await reach(client)
        await prepare(there, model, dimension)
        store = cls(there, dimension, close)
        await store._sweep()
        return store

    def __init__(self, collection: Collection, dimension: int, close: _Close | None = None) -> None:
        """Use `open`."""
        self._ask = collection.ask
        self._client = collection.client
        self._name = collection.name
        self._records = Records(collection)
        self._dimension = dimension
        self._words = bm25()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._seen: dict[str, tuple[int, float]] = {}
        """The generation of a document that counted, and when that was known."""
        self._close = close

    @override
    async def put(self, document: DocumentInfo, passages: Sequence[IndexedPassage]) -> None:
        async with self._turn(document.source):
            for _ in range(ATTEMPTS):
                if await self._put(document, passages):
                    return
        raise FaultError.of(
            FaultType.UNAVAILABLE,
            f"Others keep writing {document.source!r} at the same time.",
            retryable=True,
        )

    @override
    async def delete(self, sources: Sequence[str]) -> dict[str, int]:
        there: dict[str, int] = {}
        for source in dict.fromkeys(sources):
            async with self._turn(source):
                passages = await self._delete(source)
            if passages is not None:
                there[source] = passages
        return there

    @override
    async def find(self, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        records = await self._records.get(sources)
        return {
            source: record.document
            for source, record in records.items()
            if record.document is not None
        }

    @override
    async def page(self, limit: int, after: str | None) -> tuple[list[DocumentInfo], str | None]:
        return await self._records.page(limit, None if after is None else UUID(after))

    @override
    async def search(self, query: Query) -> Mapping[Branch, Sequence[Found]]:
        stale: set[tuple[str, int]] = set()
        found: dict[Branch, list[models.ScoredPoint]] = {}
        settled: set[tuple[str, int]] = set()
        for _ in range(ROUNDS):
            asked = time.monotonic()
            found = await self._propose(query, stale)
            versions = {_version(point) for points in found.values() for point in points}
            current = await self._current({source for source, _ in versions})
            settled = {
                (source, generation)
                for source, generation, since in current
                if since is not None and since <= asked
            }
            if versions <= settled:
                break
            stale |= versions - {(source, generation) for source, generation, _ in current}
        return {
            branch: [
                Found(_passage(point), point.score)
                for point in points
                if _version(point) in settled
            ]
            for branch, points in found.items()
        }

    @override
    async def flush(self) -> None:
        """Nothing waits here: see the invariants."""

    @override
    async def close(self) -> None:
        close, self._close = self._close, None
        if close is not None:
            await close()

    def _turn(self, source: str) -> asyncio.Lock:
        """Writers of this process do not contend for a claim."""
        return self._turns.setdefault(source, asyncio.Lock())

    async def _put(self, document: DocumentInfo, passages: Sequence[IndexedPassage]) -> bool:
        """Whether the new version counts; not if another writer took the document over."""
        claim = await self._records.claim(document.source, make=True)
        assert claim is not None  # noqa: S101  # it was made
        assert claim.pending is not None  # noqa: S101
        generation = claim.pending
        committed = None
        try:
            written = await self._write(claim, passages)
            if written is not None:
                committed = await self._records.change(
                    written, document=document, generation=generation
                )
            if committed is not None:
                await self._settle(committed)
        except BaseException:
            with contextlib.suppress(FaultError):
                await self._abandon(document.source, generation)
            raise
        if committed is None:
            await self._abandon(document.source, generation)
        return committed is not None

    async def _write(self, claim: Record, passages: Sequence[IndexedPassage]) -> Record | None:
        """Stores passages under a claim, renewed with each batch; None when it is lost."""
        renewed: Record | None = claim
        for first in range(0, len(passages), BATCH):
            if first:
                renewed = await self._records.change(claim)
            if renewed is None:
                return None
            claim = renewed
            points = [self._point(each, claim) for each in passages[first : first + BATCH]]
            await self._ask(self._client.upsert, self._name, points=points)
        return claim

    async def _delete(self, source: str) -> int | None:
        """The number of passages that were there; None without such a document."""
        while True:
            claim = await self._records.claim(source, make=False)
            if claim is None:
                return None
            gone = await self._records.change(claim, document=None, generation=None)
            if gone is not None:
                await self._settle(gone)
                return None if claim.document is None else claim.document.passages

    async def _settle(self, claim: Record) -> None:
        """Leaves of a document what counts, and ends the claim."""
        await self._remove(
            [
                equals("source", claim.source),
                models.FieldCondition(key="generation", range=models.Range(lte=claim.pending)),
            ],
            [] if claim.generation is None else [equals("generation", claim.generation)],
        )
        if claim.document is None:
            await self._records.remove(claim)
        else:
            await self._records.change(claim, pending=None)

    async def _abandon(self, source: str, generation: int) -> None:
        """Ends a claim whose state is not known; leaves nothing of it unless it was committed."""
        record = (await self._records.get([source])).get(source)
        if record is not None and record.pending == generation:
            await self._settle(record)
        elif record is None or record.generation != generation:
            await self._remove([equals("source", source), equals("generation", generation)], [])

    async def _remove(
        self, which: list[models.FieldCondition], but: list[models.FieldCondition]
    ) -> None:
        selector = models.Filter(must=[equals("kind", "passage"), *which], must_not=[*but])
        await self._ask(self._client.delete, self._name, points_selector=selector)

    async def _sweep(self) -> None:
        """Ends the claims of processes that died."""
        for record in await self._records.forsaken(generation_after(0) - FORSAKEN_AFTER_S * 10**6):
            claim = await self._records.take(record)
            if claim is not None:
                await self._settle(claim)

    async def _propose(
        self, query: Query, stale: set[tuple[str, int]]
    ) -> dict[Branch, list[models.ScoredPoint]]:
        """What each branch finds, with what does not count, less `stale`."""
        asked: dict[Branch, list[float] | models.SparseVector] = {}
        found: dict[Branch, list[models.ScoredPoint]] = {}
        if query.vector is not None:
            asked["dense"] = query.vector.tolist()
        if query.words is not None:
            words = self._words.embed_query(query.words)
            if words.indices:
                asked["sparse"] = models.SparseVector(indices=words.indices, values=words.values)
            else:
                found["sparse"] = []
        within = models.Filter(
            must=[models.FieldCondition(key="source", match=models.MatchAny(any=[*query.sources]))]
            if query.sources
            else None,
            must_not=[
                models.Filter(must=[equals("source", source), equals("generation", generation)])
                for source, generation in sorted(stale)
            ]
            or None,
        )
        requests = [
            models.QueryRequest(
                query=each, using=branch, limit=query.limit, filter=within, with_payload=True
            )
            for branch, each in asked.items()
        ]
        if requests:
            answers = await self._ask(self._client.query_batch_points, self._name, requests)
            found |= {branch: answer.points for branch, answer in zip(asked, answers, strict=True)}
        return found

    async def _current(self, sources: set[str]) -> list[tuple[str, int, float | None]]:
        """The generations that count, each with since when this store has known it."""
        records = await self._records.get(sorted(sources))
        now = time.monotonic()
        if len(self._seen) > SEEN:
            self._seen.clear()
        current: list[tuple[str, int, float | None]] = []
        for source, record in records.items():
            if record.generation is None:
                continue
            known, since = self._seen.get(source, (None, now))
            if known != record.generation:
                since = now
                self._seen[source] = (record.generation, now)
            current.append((source, record.generation, since))
        return current

    def _point(self, indexed: IndexedPassage, claim: Record) -> models.PointStruct:
        passage = indexed.passage
        if len(indexed.vector) != self._dimension:
            raise ValueError(
                f"An embedding has dimension {len(indexed.vector)}, not {self._dimension}."
            )
        vector: dict[str, Any] = {"dense": indexed.vector.tolist()}
        words = self._words.embed_document(indexed.words)
        if words.indices:
            vector["sparse"] = models.SparseVector(indices=words.indices, values=words.values)
        return models.PointStruct(
            id=str(uuid5(UUID(passage.id), str(claim.pending))),
            vector=vector,
            payload={
                "kind": "passage",
                "passage": passage.id,
                "generation": claim.pending,
                **passage.model_dump(mode="json", exclude={"id", "score", "branches"}),
            },
        )


def _version(point: models.ScoredPoint) -> tuple[str, int]:
    payload = point.payload or {}
    return payload["source"], payload["generation"]


def _passage(point: models.ScoredPoint) -> Passage:
    payload = point.payload or {}
    return Passage.model_validate({**payload, "id": payload["passage"]})
