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

import time
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import numpy as np
from qdrant_client import AsyncQdrantClient, models
from typing_extensions import override

from motet.messages import DocumentInfo, Filter, Passage, Principal
from motet_retriever.stores.bm25 import bm25
from motet_retriever.stores.collections import EmbeddingModel
from motet_retriever.stores.port import (
    Branch,
    Found,
    IndexedPassage,
    PassageStore,
    Query,
    StoredDocument,
)
from motet_retriever.stores.qdrant_calls import Close, Collection, connect, reach, reaching
from motet_retriever.stores.qdrant_filters import translate
from motet_retriever.stores.qdrant_payload import (
    INDEXED_PASSAGE,
    PASSAGE,
    document_id,
    found_by,
    indexed_of,
    named_by,
    passage_of,
    seen_by,
)
from motet_retriever.stores.qdrant_records import TERMS, Record, Records
from motet_retriever.stores.qdrant_schema import prepare
from motet_retriever.stores.qdrant_writer import ATTEMPTS, BATCH, Writer, busy

__all__ = ["QdrantServerStore"]

ROUNDS = 6
"""Times that a search is asked while what it finds changes; then it leaves out what does."""
SEEN = 100_000
"""Documents whose generation is remembered, some 20 MB."""
STORED = [*PASSAGE, "passage_id", "document", "version"]
"""The part of a payload that a search looks at."""


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
        async with reaching(url, collection, client.close):
            there = EmbeddingModel(model, dimension)
            return await cls.over(client, collection, there, close=client.close)

    @classmethod
    async def over(
        cls,
        client: AsyncQdrantClient,
        collection: str,
        model: EmbeddingModel,
        *,
        close: Close | None = None,
    ) -> QdrantServerStore:
        """The store over a client, which `close` closes."""
        there = Collection(client, collection)
        await reach(client)
        indexed = await prepare(there, model)
        store = cls(there, model, close)
        store._writer.indexed.update(indexed)
        await store._writer.sweep()
        return store

    def __init__(
        self, collection: Collection, model: EmbeddingModel, close: Close | None = None
    ) -> None:
        """Use `open`."""
        self._ask = collection.ask
        self._client = collection.client
        self._name = collection.name
        self._records = Records(collection)
        self._words = bm25(model.words)
        self._writer = Writer(collection, self._records, model, self._words)
        self._seen: dict[str, tuple[int, float]] = {}
        """The generation of a document that counted, and when that was known."""
        self._close = close

    @override
    async def put(
        self, principal: Principal, document: DocumentInfo, passages: Sequence[IndexedPassage]
    ) -> None:
        await self._writer.replace(principal, document, passages)

    @override
    async def fail(self, principal: Principal, document: DocumentInfo) -> None:
        await self._writer.replace(principal, document, None)

    @override
    async def delete(self, principal: Principal, sources: Sequence[str]) -> dict[str, int]:
        there: dict[str, int] = {}
        for source in await self.find(principal, sources):
            passages = await self._writer.delete(principal, source)
            if passages is not None:
                there[source] = passages
        return there

    @override
    async def find(self, principal: Principal, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        return await self._records.find(principal, sources)

    @override
    async def page(
        self, principal: Principal, limit: int, after: str | None
    ) -> tuple[list[DocumentInfo], str | None]:
        return await self._records.page(principal, limit, None if after is None else UUID(after))

    @override
    async def search(self, query: Query) -> Mapping[Branch, Sequence[Found]]:
        stale: set[tuple[str, int]] = set()
        found: dict[Branch, list[models.ScoredPoint]] = {}
        settled: set[tuple[str, int]] = set()
        for _ in range(ROUNDS):
            asked = time.monotonic()
            found = await self._propose(query, stale)
            versions = {_version(point) for points in found.values() for point in points}
            current = await self._current({document for document, _ in versions})
            settled = {
                (document, generation)
                for document, generation, since in current
                if since is not None and since <= asked
            }
            if versions <= settled:
                break
            stale |= versions - {(document, generation) for document, generation, _ in current}
        return {
            branch: [_found(point) for point in points if _version(point) in settled]
            for branch, points in found.items()
        }

    @override
    async def read(
        self, principal: Principal, source: str, *, where: Filter | None = None, limit: int = 1000
    ) -> list[Passage]:
        name = document_id(principal.tenant, source)
        for _ in range(ROUNDS):
            record = (await self._records.get([name])).get(name)
            if record is None or record.generation is None:
                return []
            points, _ = await self._ask(
                self._client.scroll,
                self._name,
                scroll_filter=models.Filter(
                    must=[
                        TERMS.one_of("document", [name]),
                        TERMS.one_of("version", [record.generation]),
                        TERMS.one_of("to", seen_by(principal, "passage")),
                        *([] if where is None else [translate(TERMS, where)]),
                    ]
                ),
                limit=limit,
                order_by=models.OrderBy(key="number.position"),
                with_payload=PASSAGE,
            )
            after = (await self._records.get([name])).get(name)
            if after is not None and after.generation == record.generation:
                return [passage_of(point.payload) for point in points]
        raise busy(source)

    @override
    async def newest(self, principal: Principal, where: Filter | None, limit: int) -> list[Passage]:
        points, _ = await self._ask(
            self._client.scroll,
            self._name,
            scroll_filter=models.Filter(
                must=[
                    TERMS.one_of("to", seen_by(principal, "passage")),
                    *([] if where is None else [translate(TERMS, where)]),
                ]
            ),
            # Some may be of versions that do not count.
            limit=limit + BATCH,
            order_by=models.OrderBy(key="moment.time", direction=models.Direction.DESC),
            with_payload=STORED,
        )
        current = await self._current({_version(point)[0] for point in points})
        counts = {(document, generation) for document, generation, _ in current}
        return [passage_of(each.payload) for each in points if _version(each) in counts][:limit]

    @override
    async def get(self, principal: Principal, ids: Sequence[str]) -> dict[str, Passage]:
        found: dict[str, Passage] = {}
        wanted = list(dict.fromkeys(ids))
        for first in range(0, len(wanted), BATCH):
            some = wanted[first : first + BATCH]
            which = [
                TERMS.one_of("passage_id", some),
                TERMS.one_of("to", seen_by(principal, "passage", "section", "document")),
            ]
            points, _ = await self._ask(
                self._client.scroll,
                self._name,
                scroll_filter=models.Filter(must=which),
                # One passage may be there in a version that counts and in others that do not.
                limit=BATCH * ATTEMPTS,
                with_payload=STORED,
            )
            current = await self._current({_version(point)[0] for point in points})
            counts = {(document, generation) for document, generation, _ in current}
            passages = [passage_of(each.payload) for each in points if _version(each) in counts]
            found |= {passage.id: passage for passage in passages}
        return found

    @override
    async def export(
        self, limit: int, after: str | None, *, passages: bool = True
    ) -> tuple[list[StoredDocument], str | None]:
        records, following = await self._records.all(limit, None if after is None else UUID(after))
        if not passages:
            found = ((each.tenant, each.document) for each in records)
            return [StoredDocument(by, each, []) for by, each in found if each], following
        documents = [await self._stored(record) for record in records]
        return [each for each in documents if each is not None], following

    async def _stored(self, record: Record | None) -> StoredDocument | None:
        """A document, read in steps, anew if it changes between them; None if it is gone."""
        while record is not None and record.document is not None:
            found: list[IndexedPassage] = []
            offset = None
            while True:
                points, offset = await self._ask(
                    self._client.scroll,
                    self._name,
                    scroll_filter=models.Filter(
                        must=[
                            TERMS.one_of("document", [record.id]),
                            TERMS.one_of("version", [record.generation or 0]),
                        ]
                    ),
                    limit=BATCH,
                    offset=offset,
                    with_payload=INDEXED_PASSAGE,
                    with_vectors=["dense"],
                )
                found += [indexed_of(each.payload, _dense(each)) for each in points]
                if offset is None:
                    break
            after = (await self._records.get([record.id])).get(record.id)
            if after is not None and (after.generation, after.document) == (
                record.generation,
                record.document,
            ):
                found.sort(key=lambda each: each.passage.position)
                return StoredDocument(record.tenant, record.document, found)
            record = after
        return None

    @override
    async def flush(self) -> None:
        """Nothing waits here: see the invariants."""

    @override
    async def close(self) -> None:
        close, self._close = self._close, None
        if close is not None:
            await close()

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
        which = [TERMS.one_of("to", found_by(query))]
        if query.sources:
            which.append(TERMS.one_of("document", named_by(query)))
        if query.where is not None:
            which.append(translate(TERMS, query.where))
        within = models.Filter(
            must=which,
            must_not=[
                TERMS.join(
                    must=[TERMS.one_of("document", [name]), TERMS.one_of("version", [generation])]
                )
                for name, generation in sorted(stale)
            ]
            or None,
        )
        requests = [
            models.QueryRequest(
                query=each,
                using=branch,
                limit=query.limit,
                filter=within,
                params=models.SearchParams(exact=True) if query.exact else None,
                with_payload=STORED,
                with_vector=["dense"] if query.vectors else False,
            )
            for branch, each in asked.items()
        ]
        if requests:
            answers = await self._ask(self._client.query_batch_points, self._name, requests)
            found |= {branch: answer.points for branch, answer in zip(asked, answers, strict=True)}
        return found

    async def _current(self, documents: set[str]) -> list[tuple[str, int, float | None]]:
        """The generations that count, each with since when this store has known it."""
        records = await self._records.get(sorted(documents))
        now = time.monotonic()
        if len(self._seen) > SEEN:
            self._seen.clear()
        current: list[tuple[str, int, float | None]] = []
        for name, record in records.items():
            if record.generation is None:
                continue
            known, since = self._seen.get(name, (None, now))
            if known != record.generation:
                since = now
                self._seen[name] = (record.generation, now)
            current.append((name, record.generation, since))
        return current


def _version(point: models.ScoredPoint | models.Record) -> tuple[str, int]:
    payload = point.payload or {}
    return payload["document"], payload["version"]


def _dense(point: models.ScoredPoint | models.Record) -> list[float]:
    return cast("Any", point.vector)["dense"]


def _found(point: models.ScoredPoint) -> Found:
    vector = None
    if isinstance(point.vector, dict):
        vector = np.asarray(_dense(point), np.float32)
    payload = point.payload or {}
    return Found(payload["passage"].encode(), point.score, vector, id=payload["passage_id"])
