"""Passages in a catalogue of one's own, and beside it an index of vectors: FAISS, Chroma or Milvus.

The catalogue, an SQLite database in a folder, is the truth, and the index only says which of its
rows are nearest. Why one catalogue for three engines: docs/decisions/0016-one-catalogue.md.

Invariants:

- One process has the folder open, and in it one thread works: an operation is a step that no other
  interleaves with. An index on a server belongs to one catalogue.
- Vectors come into the index before the transaction that makes them count, and leave it after the
  one that ends that. So whatever counts is in the index; what is in the index and does not count is
  never given to anybody, and is removed before the next change, at the latest when the folder is
  opened again.
- The index is asked for what the principal sees. Where it may have missed something (an approximate
  one, or a filter that few of its proposals meet), the catalogue compares with everything.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from typing_extensions import override

from motet.errors import FaultError, NotYetError, SetupError
from motet.messages import DocumentInfo, Filter, Passage, Principal
from motet_retriever.stores.bm25 import bm25
from motet_retriever.stores.collections import EmbeddingModel, FolderCollections
from motet_retriever.stores.folder import CATALOGUE, StoreFolder
from motet_retriever.stores.passage_catalogue import FORMAT, PassageCatalogue
from motet_retriever.stores.port import (
    Branch,
    Found,
    HiddenError,
    IndexedPassage,
    PassageStore,
    Query,
    StoredDocument,
    Vector,
)
from motet_retriever.stores.qdrant_payload import found_by, sees
from motet_retriever.stores.vector_index import Home, Rows, VectorIndex, batches
from motet_retriever.worker import Worker

__all__ = ["CatalogueStore", "MakeIndex", "catalogue_collections"]

log = logging.getLogger(__name__)

MakeIndex = Callable[[Path, Home], VectorIndex]
"""Opens an index, in a folder that is the store's or elsewhere."""

FEW = 2000
"""Of so many rows that a filter leaves, all are compared with; from more on the index is asked."""
PROPOSED = 10
"""How many rows an index proposes for each that is asked for, where a filter will leave some."""
MOST = 10_000
"""Rows that an index is asked for at most; the catalogue has to compare with all for more."""
REMEMBERED = 32
"""Principals whose visible rows are remembered at most, until the next change."""


def catalogue_collections(path: Path, index: MakeIndex) -> FolderCollections:
    """The collections in a folder, each in one of its own, with an index of its own.

    Raises:
        SetupError: The folder cannot be used.
    """

    async def opened(path: Path, model: EmbeddingModel) -> PassageStore:
        return await CatalogueStore.over(path, index, model)

    return FolderCollections(path, opened, format=FORMAT, store=CATALOGUE)


class CatalogueStore(PassageStore):
    """Passages in a folder, with an index of their embeddings."""

    @classmethod
    async def open(
        cls, path: Path, index: MakeIndex, *, model: str, dimension: int
    ) -> CatalogueStore:
        """The store in `path`, made if it is not there, for embeddings by `model`.

        Raises:
            SetupError: The folder is open in another process, cannot be written, is damaged, or
                holds a store of another kind, or embeddings of another model or dimension.
            NotYetError: The index's server does not answer.
        """
        return await cls.over(path, index, EmbeddingModel(model, dimension))

    @classmethod
    async def over(cls, path: Path, index: MakeIndex, model: EmbeddingModel) -> CatalogueStore:
        """The same, for what a collection is made by."""
        worker = Worker("passage-store")
        try:
            return await worker.run(cls, path, worker, index, model)
        except BaseException:
            await worker.close()
            raise

    def __init__(self, path: Path, worker: Worker, index: MakeIndex, model: EmbeddingModel) -> None:
        """Blocks; `open` is the way in."""
        self._worker = worker
        self._dimension = model.dimension
        self._leftover = np.empty(0, np.int64)
        self._visible: dict[tuple[str, ...], Rows] = {}
        self._closed = False
        made_by = {"store": CATALOGUE, "format": FORMAT, **model.made_by}
        self._folder = StoreFolder(path, made_by)
        try:
            self._catalogue = _opened(path / "catalogue.sqlite", model)
            try:
                self._index = index(path, Home(self._catalogue.id, model.name, model.dimension))
                try:
                    self._compare()
                except BaseException:
                    self._index.close()
                    raise
            except BaseException:
                self._catalogue.close()
                raise
        except FaultError as error:
            self._folder.release()
            raise NotYetError(error.fault.message) from error
        except BaseException:
            self._folder.release()
            raise

    @override
    async def put(
        self, principal: Principal, document: DocumentInfo, passages: Sequence[IndexedPassage]
    ) -> None:
        await self._worker.run(self._put, principal, document, passages)

    @override
    async def fail(self, principal: Principal, document: DocumentInfo) -> None:
        await self._worker.run(self._fail, principal, document)

    @override
    async def delete(self, principal: Principal, sources: Sequence[str]) -> dict[str, int]:
        return await self._worker.run(self._delete, principal, sources)

    @override
    async def find(self, principal: Principal, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        return await self._worker.run(self._catalogue.find, principal, sources)

    @override
    async def page(
        self, principal: Principal, limit: int, after: str | None
    ) -> tuple[list[DocumentInfo], str | None]:
        cursor = None if after is None else str(UUID(after))
        return await self._worker.run(self._catalogue.page, principal, limit, cursor)

    @override
    async def export(
        self, limit: int, after: str | None, *, passages: bool = True
    ) -> tuple[list[StoredDocument], str | None]:
        cursor = None if after is None else str(UUID(after))
        return await self._worker.run(self._export, limit, cursor, passages)

    @override
    async def search(self, query: Query) -> Mapping[Branch, Sequence[Found]]:
        return await self._worker.run(self._search, query)

    @override
    async def read(
        self, principal: Principal, source: str, *, where: Filter | None = None, limit: int = 1000
    ) -> list[Passage]:
        return await self._worker.run(self._catalogue.read, principal, source, where, limit)

    @override
    async def newest(self, principal: Principal, where: Filter | None, limit: int) -> list[Passage]:
        return await self._worker.run(self._catalogue.newest, principal, where, limit)

    @override
    async def get(self, principal: Principal, ids: Sequence[str]) -> dict[str, Passage]:
        passages = await self._worker.run(self._catalogue.get, principal, ids)
        return {passage.id: passage for passage in passages}

    @override
    async def flush(self) -> None:
        await self._worker.run(self._flush)

    @override
    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._worker.run(self._close)
            await self._worker.close()

    # What follows runs in the worker's thread.

    def _put(
        self, principal: Principal, document: DocumentInfo, passages: Sequence[IndexedPassage]
    ) -> None:
        for each in passages:
            self._check(each.vector)
        before = self._catalogue.record(principal.tenant, document.source)
        if before is not None and not sees(principal, before.info.labels):
            raise HiddenError(document.source)
        self._tidy()
        rows = old = np.empty(0, np.int64)
        try:
            with self._catalogue.writing():
                if before is not None:
                    old = self._catalogue.remove(before.number)
                rows, to = self._catalogue.add(principal.tenant, document, passages)
                if passages:
                    self._index.add(rows, np.stack([each.vector for each in passages]), to)
        except BaseException:
            self._leftover = rows
            raise
        self._leave(old)

    def _fail(self, principal: Principal, document: DocumentInfo) -> None:
        there = self._catalogue.record(principal.tenant, document.source)
        if there is None:
            self._put(principal, document, [])
            return
        if not sees(principal, there.info.labels):
            raise HiddenError(document.source)
        info = there.info.model_copy(update={"failure": document.failure})
        with self._catalogue.writing():
            self._catalogue.describe(there.number, info)

    def _delete(self, principal: Principal, sources: Sequence[str]) -> dict[str, int]:
        there = self._catalogue.find(principal, sources)
        self._tidy()
        removed = [np.empty(0, np.int64)]
        with self._catalogue.writing():
            for source in there:
                record = self._catalogue.record(principal.tenant, source)
                if record is not None:
                    removed.append(self._catalogue.remove(record.number))
        self._leave(np.concatenate(removed))
        return {source: document.passages for source, document in there.items()}

    def _export(
        self, limit: int, after: str | None, passages: bool
    ) -> tuple[list[StoredDocument], str | None]:
        found = self._catalogue.documents(limit + 1, after)
        page = [
            StoredDocument(
                each.tenant,
                each.info,
                self._catalogue.passages_of(each.number) if passages else [],
            )
            for _, each in found[:limit]
        ]
        return page, found[limit - 1][0] if len(found) > limit else None

    def _leave(self, rows: Rows) -> None:
        """Has the index forget rows that count no more; later, where it cannot now."""
        self._visible.clear()
        self._leftover = rows
        try:
            self._tidy()
        except Exception:
            # What was asked for has happened. `_tidy` raises before the next change.
            log.warning("passages that are gone are still in the index", exc_info=True)

    def _tidy(self) -> None:
        """Removes from the index what does not count."""
        if len(self._leftover):
            self._index.remove(self._leftover)
            self._leftover = self._leftover[:0]

    def _compare(self) -> None:
        """Brings the index to what the catalogue has. Blocks."""
        known, there = self._catalogue.all_rows(), self._index.rows()
        extra = np.setdiff1d(there, known)
        if len(extra):
            self._index.remove(extra)
        missing = np.setdiff1d(known, there)
        for some in batches(len(missing)):
            rows = missing[some]
            to = [] if self._index.given_rows else self._catalogue.finders(rows)
            self._index.add(rows, self._catalogue.vectors(rows), to)

    def _search(self, query: Query) -> dict[Branch, list[Found]]:
        found: dict[Branch, Sequence[tuple[int, float]]] = {}
        if query.vector is not None:
            self._check(query.vector)
            rows, scores = self._nearest(query, query.vector)
            found["dense"] = [*zip(rows.tolist(), scores.tolist(), strict=True)]
        if query.words is not None:
            found["sparse"] = self._catalogue.matching(query)
        numbers = sorted({row for hits in found.values() for row, _ in hits})
        stored = self._catalogue.stored(numbers)
        vectors: dict[int, Any] = {}
        if query.vectors:
            vectors = dict(
                zip(numbers, self._catalogue.vectors(np.array(numbers, np.int64)), strict=True)
            )
        return {
            branch: [
                Found(stored[row][1].encode(), score, vectors.get(row), id=stored[row][0])
                for row, score in hits
            ]
            for branch, hits in found.items()
        }

    def _nearest(self, query: Query, vector: Vector) -> tuple[Rows, Vector]:
        if self._index.given_rows:
            return self._index.search(vector, query.limit, seen=(), among=self._rows(query))
        narrowed = query.where is not None or bool(query.sources)
        wanted = max(PROPOSED * query.limit, FEW) if narrowed else query.limit
        among = self._catalogue.visible(query) if narrowed else None
        if query.exact or wanted > MOST or (among is not None and len(among) <= FEW):
            return self._catalogue.nearest(query, vector)
        seen = found_by(query)
        rows, scores = self._index.search(vector, wanted, seen=seen, among=None)
        counts = np.isin(rows, self._catalogue.known(rows) if among is None else among)
        if counts.sum() < query.limit:
            # There is no more, or the index has missed some.
            return self._catalogue.nearest(query, vector)
        return rows[counts][: query.limit], scores[counts][: query.limit]

    def _rows(self, query: Query) -> Rows:
        """The rows that a search may find."""
        if query.where is not None or query.sources:
            return self._catalogue.visible(query)
        who = tuple(found_by(query))
        rows = self._visible.get(who)
        if rows is None:
            if len(self._visible) >= REMEMBERED:
                self._visible.clear()
            rows = self._visible[who] = self._catalogue.visible(query)
        return rows

    def _check(self, vector: Vector) -> None:
        if vector.shape != (self._dimension,):
            raise ValueError(
                f"an embedding has dimensions {vector.shape}, and those here {self._dimension}"
            )

    def _flush(self) -> None:
        self._catalogue.flush()
        self._index.flush()

    def _close(self) -> None:
        try:
            self._index.close()
            self._catalogue.close()
        finally:
            self._folder.release()


def _opened(file: Path, model: EmbeddingModel) -> PassageCatalogue:
    try:
        return PassageCatalogue(file, model.dimension, bm25(model.words))
    except sqlite3.Error as error:
        raise SetupError(
            f"The catalogue {file} cannot be used ({error}). Restore it, or remove the folder "
            f"{file.parent} and ingest the documents again."
        ) from error
