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
- The dense search is exact. The engine holds Python's global lock while it works, and an
  approximate index takes it seconds to build, so none is built; see the decision.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar
from uuid import UUID, uuid5

import qdrant_edge as qdrant
from typing_extensions import override

from motet.messages import DocumentInfo, Passage
from motet_retriever.stores.bm25 import bm25
from motet_retriever.stores.folder import StoreFolder
from motet_retriever.stores.port import Branch, Found, IndexedPassage, PassageStore, Query
from motet_retriever.worker import Worker

__all__ = ["QdrantEdgeStore"]

P = ParamSpec("P")
R = TypeVar("R")

FORMAT = 1
"""Version of everything here that decides what is in the folder."""

RECORDS = UUID("0b6e7f0a-5d0e-4c57-9c0d-6a3c5f1d2e47")
"""Namespace of the ids of records, which are made from sources."""

BATCH = 256
"""Passages written at once: some 5 ms in which nothing else runs."""

NO_INDEX_BELOW_KB = 1 << 31
"""Never: with an index, the engine's upkeep would stop the process for seconds."""


class QdrantEdgeStore(PassageStore):
    """Passages in a folder."""

    @classmethod
    async def open(cls, path: Path, *, model: str, dimension: int) -> QdrantEdgeStore:
        """The store in `path`, made if it is not there, for embeddings by `model`.

        Raises:
            SetupError: The folder is open in another process, cannot be written, or holds
                embeddings of another model or dimension.
        """
        worker = Worker("passage-store")
        try:
            return await worker.run(cls, path, worker, model, dimension)
        except BaseException:
            await worker.close()
            raise

    def __init__(self, path: Path, worker: Worker, model: str, dimension: int) -> None:
        """Blocks; `open` is the way in."""
        self._worker = worker
        self._words = bm25()
        self._unsettled: set[str] = set()
        self._closed = False
        self._folder = StoreFolder(
            path, {"format": FORMAT, "embedding_model": model, "dimension": dimension}
        )
        try:
            self._shard = _open_shard(path, dimension)
            self._shard.optimize()  # gives back the room of what was deleted
            self._unsettled.update(self._interrupted())
            self._settle_all()
        except BaseException:
            self._folder.release()
            raise

    @override
    async def put(self, document: DocumentInfo, passages: Sequence[IndexedPassage]) -> None:
        await self._step(self._put, document, passages)

    @override
    async def delete(self, sources: Sequence[str]) -> dict[str, int]:
        return await self._step(self._delete, sources)

    @override
    async def find(self, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        return await self._step(self._find, sources)

    @override
    async def page(self, limit: int, after: str | None) -> tuple[list[DocumentInfo], str | None]:
        return await self._step(self._page, limit, None if after is None else UUID(after))

    @override
    async def search(self, query: Query) -> Mapping[Branch, Sequence[Found]]:
        return await self._step(self._search, query)

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

    def _put(self, document: DocumentInfo, passages: Sequence[IndexedPassage]) -> None:
        source = document.source
        before = self._find([source]).get(source)
        self._unsettled.add(source)
        self._write_record(source, before, "writing")
        for first in range(0, len(passages), BATCH):
            self._shard.update(
                qdrant.UpdateOperation.upsert_points(
                    [
                        self._point(passage, document.fingerprint)
                        for passage in passages[first : first + BATCH]
                    ]
                )
            )
        self._write_record(source, document, "writing")  # from here on the new version counts
        self._settle_all()

    def _settle_all(self) -> None:
        for source in tuple(self._unsettled):
            self._settle(source)
            self._unsettled.discard(source)

    def _settle(self, source: str) -> None:
        """Leaves of a document the version that counts, or nothing if there is none."""
        document = self._find([source]).get(source)
        if document is None:
            self._delete_where(qdrant.Filter(must=[_is("source", source)]))
            return
        self._delete_where(
            qdrant.Filter(
                must=[_is("source", source), _is("kind", "passage")],
                must_not=[_is("version", document.fingerprint)],
            )
        )
        self._write_record(source, document, "ready")

    def _delete(self, sources: Sequence[str]) -> dict[str, int]:
        there = {source: document.passages for source, document in self._find(sources).items()}
        if there:
            self._delete_where(qdrant.Filter(must=[_any_of("source", list(there))]))
        return there

    def _delete_where(self, which: qdrant.Filter) -> None:
        self._shard.update(qdrant.UpdateOperation.delete_points_by_filter(which))

    def _find(self, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        records = self._shard.retrieve(
            [_record_id(source) for source in sources], with_payload=True, with_vector=False
        )
        documents = (_document(record.payload) for record in records)
        return {document.source: document for document in documents if document is not None}

    def _page(self, limit: int, after: UUID | None) -> tuple[list[DocumentInfo], str | None]:
        records, following = self._shard.scroll(
            qdrant.ScrollRequest(
                offset=after,
                limit=limit,
                filter=qdrant.Filter(must=[_is("kind", "document")]),
                with_payload=True,
                with_vector=False,
            )
        )
        documents = (_document(record.payload) for record in records)
        return (
            [document for document in documents if document is not None],
            None if following is None else str(following),
        )

    def _search(self, query: Query) -> dict[Branch, list[Found]]:
        asked: dict[Branch, qdrant.Query] = {}
        if query.vector is not None:
            asked["dense"] = qdrant.Query.Nearest(query.vector.tolist(), using="dense")
        if query.words is not None:
            asked["sparse"] = qdrant.Query.Nearest(
                self._words.embed_query(query.words), using="sparse"
            )
        within = (
            qdrant.Filter(must=[_any_of("source", list(query.sources))]) if query.sources else None
        )
        results = self._shard.query_batch(
            qdrant.QueryBatchRequest(
                [
                    qdrant.QueryRequest(
                        limit=query.limit, query=each, filter=within, with_payload=True
                    )
                    for each in asked.values()
                ]
            )
        )
        return {
            branch: [Found(_passage(point), point.score) for point in points]
            for branch, points in zip(asked, results, strict=True)
        }

    def _interrupted(self) -> list[str]:
        """Sources of the documents whose writing a process did not end."""
        writing = qdrant.Filter(must=[_is("state", "writing")])
        count = self._shard.count(qdrant.CountRequest(filter=writing))
        records, _ = self._shard.scroll(
            qdrant.ScrollRequest(limit=max(count, 1), filter=writing, with_payload=True)
        )
        return [str((record.payload or {})["source"]) for record in records]

    def _write_record(
        self, source: str, document: DocumentInfo | None, state: Literal["writing", "ready"]
    ) -> None:
        payload: dict[str, Any] = {
            "kind": "document",
            "source": source,
            "state": state,
            "document": None if document is None else document.model_dump(mode="json"),
        }
        self._shard.update(
            qdrant.UpdateOperation.upsert_points([qdrant.Point(_record_id(source), {}, payload)])
        )

    def _point(self, indexed: IndexedPassage, version: str) -> qdrant.Point:
        payload = indexed.passage.model_dump(mode="json", exclude={"id", "score", "branches"})
        return qdrant.Point(
            UUID(indexed.passage.id),
            {
                "dense": indexed.vector.tolist(),
                "sparse": self._words.embed_document(indexed.words),
            },
            {"kind": "passage", "version": version, **payload},
        )

    def _close(self) -> None:
        try:
            self._shard.flush()
            self._shard.close()
        finally:
            self._folder.release()


def _open_shard(path: Path, dimension: int) -> qdrant.EdgeShard:
    config = qdrant.EdgeConfig(
        vectors={"dense": qdrant.EdgeVectorParams(dimension, qdrant.Distance.Cosine)},
        sparse_vectors={"sparse": qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)},
        optimizers=qdrant.EdgeOptimizersConfig(indexing_threshold=NO_INDEX_BELOW_KB),
    )
    folder = path / "shard"
    if not folder.exists():
        # Made aside and renamed, so that a folder by this name is whole.
        unfinished = path / "shard.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shard = qdrant.EdgeShard.create(str(unfinished), config)
        for field in ("kind", "source", "state"):
            shard.update(
                qdrant.UpdateOperation.create_field_index(field, qdrant.PayloadSchemaType.Keyword)
            )
        shard.flush()
        shard.close()
        unfinished.rename(folder)
    return qdrant.EdgeShard.load(str(folder), config)


def _record_id(source: str) -> UUID:
    return uuid5(RECORDS, source)


def _document(payload: Mapping[str, Any] | None) -> DocumentInfo | None:
    document = (payload or {})["document"]
    return None if document is None else DocumentInfo.model_validate(document)


def _passage(point: qdrant.ScoredPoint) -> Passage:
    return Passage.model_validate({"id": str(point.id), **(point.payload or {})})


def _is(field: str, value: str) -> qdrant.FieldCondition:
    return qdrant.FieldCondition(field, match=qdrant.MatchValue(value))


def _any_of(field: str, values: list[str]) -> qdrant.FieldCondition:
    return qdrant.FieldCondition(field, match=qdrant.MatchAny(values))
