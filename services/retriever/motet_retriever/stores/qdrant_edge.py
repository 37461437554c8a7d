"""Passages in Qdrant's engine inside this process (`qdrant-edge-py`).

One shard holds a point a passage, with a vector `dense` (cosine) and a vector `sparse` (BM25; the
engine computes the inverse document frequencies), and a point a document, its record, without
vectors. Why this engine: docs/decisions/0003-embedded-vector-store.md.

Invariants:

- One process has the folder open, and in it one thread touches the shard: an operation is a step
  that no other interleaves with.
- The engine logs an operation before it applies it, so one that returned survives the death of the
  process, and one cut short happened wholly or not at all; `flush` brings log and data to disk.
- A record names the version of its document that counts. Passages of others may be there only while
  the record's state is `writing`, and are removed before the next operation, at the latest when
  the folder is opened again: what is read is always settled.
- Whatever is read for a principal is asked for with `seen_by` in the engine's own query.
- The engine holds Python's global lock while it works, and its approximate index takes a minute to
  build, so none is built: a dense search looks at codes first (`edge_cache`), which are as settled
  as the shard, and searches that come together are answered together (`edge_queue`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, cast
from uuid import UUID

import numpy as np
import qdrant_edge as qdrant
from typing_extensions import override

from motet.messages import DocumentInfo, Filter, Passage, Principal
from motet_retriever.stores.bm25 import bm25
from motet_retriever.stores.collections import EmbeddingModel, FolderCollections
from motet_retriever.stores.edge_cache import CachedDocument, EdgeCache
from motet_retriever.stores.edge_queue import SearchQueue
from motet_retriever.stores.edge_search import EdgeSearch
from motet_retriever.stores.edge_shard import FORMAT, make_indexes, open_shard
from motet_retriever.stores.edge_terms import EdgeTerms
from motet_retriever.stores.folder import StoreFolder
from motet_retriever.stores.port import (
    Branch,
    Found,
    HiddenError,
    IndexedPassage,
    PassageStore,
    Query,
    StoredDocument,
)
from motet_retriever.stores.qdrant_filters import translate
from motet_retriever.stores.qdrant_payload import (
    INDEXED_PASSAGE,
    PASSAGE,
    document_id,
    finders,
    indexed_of,
    new_indexes,
    passage_of,
    passage_payload,
    point_id,
    seen_by,
    sees,
    written,
)
from motet_retriever.worker import Worker

__all__ = ["QdrantEdgeStore", "edge_collections"]

P = ParamSpec("P")
R = TypeVar("R")

BATCH = 256
"""Passages written at once: some 5 ms in which nothing else runs."""

WRITING = "writing"
"""State of a record whose document may have passages that do not count."""

TERMS = EdgeTerms()


@dataclass(frozen=True, slots=True)
class _Record:
    """What is known of a document."""

    id: str
    """Of the document, and of the record's point."""
    tenant: str
    document: DocumentInfo | None
    """None where no version counts."""
    version: int
    """Of the passages that count; versions of a document grow."""

    def point(self, state: str) -> qdrant.Point:
        info = self.document
        payload = {
            "to": [] if info is None else finders(["record"], self.tenant, info.labels),
            "record": self.id,
            "tenant": self.tenant,
            "state": state,
            "version": self.version,
            "info": None if info is None else info.model_dump_json(),
        }
        return qdrant.Point(UUID(self.id), {}, payload)


def edge_collections(path: Path) -> FolderCollections:
    """The collections in a folder, each in one of its own.

    Raises:
        SetupError: The folder cannot be used.
    """

    async def opened(path: Path, model: EmbeddingModel) -> PassageStore:
        return await QdrantEdgeStore.over(path, model)

    return FolderCollections(path, opened, format=FORMAT)


class QdrantEdgeStore(PassageStore):
    """Passages in a folder."""

    @classmethod
    async def open(cls, path: Path, *, model: str, dimension: int) -> QdrantEdgeStore:
        """The store in `path`, made if it is not there, for embeddings by `model`.

        Raises:
            SetupError: The folder is open in another process, cannot be written, or holds
                embeddings of another model or dimension.
        """
        return await cls.over(path, EmbeddingModel(model, dimension))

    @classmethod
    async def over(cls, path: Path, model: EmbeddingModel) -> QdrantEdgeStore:
        """The same, for what a collection is made by."""
        worker = Worker("passage-store")
        try:
            return await worker.run(cls, path, worker, model)
        except BaseException:
            await worker.close()
            raise

    def __init__(self, path: Path, worker: Worker, model: EmbeddingModel) -> None:
        """Blocks; `open` is the way in."""
        self._worker = worker
        self._words = bm25(model.words)
        self._unsettled: set[str] = set()
        self._closed = False
        self._folder = StoreFolder(path, {"format": FORMAT, **model.made_by})
        try:
            self._shard = open_shard(path, model.dimension)
            self._indexed = {*self._shard.info().payload_schema}
            self._shard.optimize()  # gives back the room of what was deleted
            self._cache = EdgeCache(path / "cache", model.dimension)
            self._searching = EdgeSearch(self._shard, self._cache, self._words)
            self._searches = SearchQueue(partial(self._step, self._searching.answer))
            self._unsettled.update(self._interrupted())
            self._settle_all()
            self._searching.catch_up()
        except BaseException:
            self._folder.release()
            raise

    @override
    async def put(
        self, principal: Principal, document: DocumentInfo, passages: Sequence[IndexedPassage]
    ) -> None:
        await self._step(self._put, principal, document, passages)

    @override
    async def fail(self, principal: Principal, document: DocumentInfo) -> None:
        await self._step(self._fail, principal, document)

    @override
    async def delete(self, principal: Principal, sources: Sequence[str]) -> dict[str, int]:
        return await self._step(self._delete, principal, sources)

    @override
    async def find(self, principal: Principal, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        return await self._step(self._find, principal, sources)

    @override
    async def page(
        self, principal: Principal, limit: int, after: str | None
    ) -> tuple[list[DocumentInfo], str | None]:
        cursor = None if after is None else UUID(after)
        return await self._step(self._page, principal, limit, cursor)

    @override
    async def search(self, query: Query) -> Mapping[Branch, Sequence[Found]]:
        return await self._searches.answer(query)

    @override
    async def read(
        self, principal: Principal, source: str, *, where: Filter | None = None, limit: int = 1000
    ) -> list[Passage]:
        return await self._step(self._read, principal, source, where, limit)

    @override
    async def newest(self, principal: Principal, where: Filter | None, limit: int) -> list[Passage]:
        return await self._step(self._newest, principal, where, limit)

    @override
    async def get(self, principal: Principal, ids: Sequence[str]) -> dict[str, Passage]:
        return await self._step(self._get, principal, ids)

    @override
    async def export(
        self, limit: int, after: str | None, *, passages: bool = True
    ) -> tuple[list[StoredDocument], str | None]:
        cursor = None if after is None else UUID(after)
        names, following = await self._step(self._names, limit, cursor)
        documents = [await self._stored(name, passages) for name in names]
        return [each for each in documents if each is not None], following

    async def _stored(self, name: str, passages: bool) -> StoredDocument | None:
        """A document, read in steps, anew if it changes between them; None if it is gone."""
        record = await self._step(self._record, name)
        while record is not None and record.document is not None:
            found: list[IndexedPassage] = []
            after: UUID | None = None
            while passages:
                some, following = await self._step(self._parts, record, after)
                found += some
                if following is None:
                    break
                after = UUID(following)
            now = await self._step(self._record, name) if passages else record
            if now == record:
                found.sort(key=lambda each: each.passage.position)
                return StoredDocument(record.tenant, record.document, found)
            record = now
        return None

    @override
    async def flush(self) -> None:
        await self._step(self._shard.flush)

    @override
    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._worker.run(self._close)
            await self._worker.close()

    # What follows runs in the worker's thread.

    async def _step(self, func: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs `func` on a settled shard."""

        def settled() -> R:
            self._settle_all()
            return func(*args, **kwargs)

        return await self._worker.run(settled)

    def _put(
        self, principal: Principal, document: DocumentInfo, passages: Sequence[IndexedPassage]
    ) -> None:
        name = document_id(principal.tenant, document.source)
        before = self._record(name) or _Record(name, principal.tenant, None, 0)
        if before.document is not None and not sees(principal, before.document.labels):
            raise HiddenError(document.source)
        after = _Record(name, principal.tenant, document, before.version + 1)
        self._index(passages)
        self._unsettled.add(name)
        self._upsert([before.point(WRITING)])
        for first in range(0, len(passages), BATCH):
            self._upsert([self._point(each, after) for each in passages[first : first + BATCH]])
        self._upsert([after.point(WRITING)])  # from here on the new version counts
        if passages:
            self._cache.put(_cached(after, passages))
        else:
            self._cache.drop(name)
        self._settle_all()

    def _index(self, passages: Sequence[IndexedPassage]) -> None:
        """Makes indexes of custom fields that are new."""
        wanted = new_indexes(self._indexed, passages)
        make_indexes(self._shard, wanted)
        self._indexed.update(wanted)

    def _fail(self, principal: Principal, document: DocumentInfo) -> None:
        there = self._record(document_id(principal.tenant, document.source))
        if there is None or there.document is None:
            self._put(principal, document, [])
            return
        if not sees(principal, there.document.labels):
            raise HiddenError(document.source)
        info = there.document.model_copy(update={"failure": document.failure})
        self._upsert([replace(there, document=info).point("ready")])

    def _settle_all(self) -> None:
        for name in tuple(self._unsettled):
            self._settle(name)
            self._unsettled.discard(name)

    def _settle(self, name: str) -> None:
        """Leaves of a document the version that counts, or nothing if there is none."""
        record = self._record(name)
        if record is None or record.document is None:
            self._remove([name])
            return
        self._delete_where(
            qdrant.Filter(
                must=[TERMS.one_of("document", [name])],
                must_not=[TERMS.one_of("version", [record.version])],
            )
        )
        self._upsert([record.point("ready")])

    def _delete(self, principal: Principal, sources: Sequence[str]) -> dict[str, int]:
        there = self._find(principal, sources)
        if there:
            self._remove([document_id(principal.tenant, source) for source in there])
        return {source: document.passages for source, document in there.items()}

    def _remove(self, names: list[str]) -> None:
        """Removes documents with their records, in one operation."""
        self._delete_where(
            qdrant.Filter(
                should=[TERMS.one_of("document", names), TERMS.one_of("record", names)],
            )
        )
        for name in names:
            self._cache.drop(name)

    def _find(self, principal: Principal, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        names = [document_id(principal.tenant, source) for source in dict.fromkeys(sources)]
        if not names:
            return {}
        records, _ = self._scroll(
            len(names), [TERMS.one_of("record", names), *_seen(principal, "record")], ["info"]
        )
        return {document.source: document for document in map(_info, records)}

    def _page(
        self, principal: Principal, limit: int, after: UUID | None
    ) -> tuple[list[DocumentInfo], str | None]:
        records, following = self._scroll(limit, _seen(principal, "record"), ["info"], after)
        return [_info(record) for record in records], following

    def _read(
        self, principal: Principal, source: str, where: Filter | None, limit: int
    ) -> list[Passage]:
        which = [
            TERMS.one_of("document", [document_id(principal.tenant, source)]),
            *_seen(principal, "passage"),
            *([] if where is None else [translate(TERMS, where)]),
        ]
        records, _ = self._shard.scroll(
            qdrant.ScrollRequest(
                limit=limit,
                filter=qdrant.Filter(must=which),
                with_payload=PASSAGE,
                order_by=qdrant.OrderBy("number.position"),
            )
        )
        return [passage_of(record.payload) for record in records]

    def _newest(self, principal: Principal, where: Filter | None, limit: int) -> list[Passage]:
        which = [
            *_seen(principal, "passage"),
            *([] if where is None else [translate(TERMS, where)]),
        ]
        records, _ = self._shard.scroll(
            qdrant.ScrollRequest(
                limit=limit,
                filter=qdrant.Filter(must=which),
                with_payload=PASSAGE,
                order_by=qdrant.OrderBy("moment.time", qdrant.Direction.Desc),
            )
        )
        return [passage_of(record.payload) for record in records]

    def _get(self, principal: Principal, ids: Sequence[str]) -> dict[str, Passage]:
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return {}
        which = [
            TERMS.one_of("passage_id", wanted),
            *_seen(principal, "passage", "section", "document"),
        ]
        records, _ = self._scroll(len(wanted), which, PASSAGE)
        passages = (passage_of(record.payload) for record in records)
        return {passage.id: passage for passage in passages}

    def _names(self, limit: int, after: UUID | None) -> tuple[list[str], str | None]:
        """The ids of documents."""
        there = TERMS.join(must_not=[TERMS.empty("record")])
        records, following = self._scroll(limit, [there], ["record"], after)
        return [(record.payload or {})["record"] for record in records], following

    def _parts(
        self, record: _Record, after: UUID | None
    ) -> tuple[list[IndexedPassage], str | None]:
        """Passages, sections and the document itself, as they were put."""
        points, following = self._scroll(
            BATCH, [TERMS.one_of("document", [record.id])], INDEXED_PASSAGE, after, ["dense"]
        )
        return [
            indexed_of(point.payload, cast("Any", point.vector)["dense"]) for point in points
        ], following

    def _interrupted(self) -> list[str]:
        """The documents whose writing a process did not end."""
        which = [TERMS.one_of("state", [WRITING])]
        count = self._shard.count(qdrant.CountRequest(filter=qdrant.Filter(must=which)))
        records, _ = self._scroll(max(count, 1), which, ["record"])
        return [str((record.payload or {})["record"]) for record in records]

    def _record(self, name: str) -> _Record | None:
        for record in self._shard.retrieve([UUID(name)], with_payload=True, with_vector=False):
            payload = record.payload or {}
            document = None if payload["info"] is None else _info(record)
            return _Record(name, payload["tenant"], document, payload["version"])
        return None

    def _scroll(
        self,
        limit: int,
        which: list[qdrant.ConditionType],
        payload: list[str],
        after: UUID | None = None,
        vectors: list[str] | Literal[False] = False,
    ) -> tuple[list[qdrant.Record], str | None]:
        records, following = self._shard.scroll(
            qdrant.ScrollRequest(
                offset=after,
                limit=limit,
                filter=qdrant.Filter(must=which),
                with_payload=payload,
                with_vector=vectors,
            )
        )
        return records, None if following is None else str(following)

    def _upsert(self, points: list[qdrant.Point]) -> None:
        self._shard.update(qdrant.UpdateOperation.upsert_points(points))

    def _delete_where(self, which: qdrant.Filter) -> None:
        self._shard.update(qdrant.UpdateOperation.delete_points_by_filter(which))

    def _point(self, indexed: IndexedPassage, record: _Record) -> qdrant.Point:
        return qdrant.Point(
            point_id(record.id, record.version, indexed.passage.id),
            {
                "dense": indexed.vector.tolist(),
                "sparse": self._words.embed_document(indexed.words, indexed.passage.language),
            },
            passage_payload(
                indexed,
                document=record.id,
                version=record.version,
                tenant=record.tenant,
                labels=record.document.labels if record.document else (),
            ),
        )

    def _close(self) -> None:
        try:
            self._shard.flush()
            self._shard.close()
            self._cache.close()
        finally:
            self._folder.release()


def _seen(principal: Principal, *levels: Any) -> list[qdrant.ConditionType]:
    return [TERMS.one_of("to", seen_by(principal, *levels))]


def _info(record: qdrant.Record) -> DocumentInfo:
    return DocumentInfo.model_validate_json((record.payload or {})["info"])


def _cached(record: _Record, passages: Sequence[IndexedPassage]) -> CachedDocument:
    labels = record.document.labels if record.document else ()
    return CachedDocument(
        record.id,
        [point_id(record.id, record.version, each.passage.id) for each in passages],
        [tuple(finders(each.levels, record.tenant, labels)) for each in passages],
        np.stack([each.vector for each in passages]),
        [each.passage.id for each in passages],
        [written(each.passage) for each in passages],
    )
