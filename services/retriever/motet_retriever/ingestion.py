"""Ingestion: makes documents findable, several at a time.

Invariants:

- A document that cannot be read, or that would replace one which the principal does not see, is
  reported, and the rest goes on; nothing is stored but why, and the version before stays.
- What is wrong with the retriever itself (the embedding model, the store, the object store) ends
  the call, so that it is tried again; what was stored until then is found unchanged by the next
  attempt.
- Documents are read one after another, and of what was read at most one group of passages waits, or
  one document.
- Documents are stored in the order of the request, so of two with the same source the later stays.
- What is reported as stored survives loss of power.
- Where there is a knowledge graph, a document is handed to it before it is stored here, so that one
  which is found unchanged is known to both. One that the graph refused is stored all the same, and
  handed over again when it is next ingested.
- The graph knows no labels, so it has no document with labels: it is told to forget one instead,
  also one that is not stored here because the version there is hidden from the principal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from copy import copy
from typing import Protocol

import numpy as np

from motet.errors import FaultError
from motet.messages import Document, DocumentInfo, IngestResult, Principal, TimedText
from motet.models import Embedder
from motet_retriever.chunking import Chunk, Chunking, chunk, sentences_of
from motet_retriever.documents import (
    ENDING,
    WRITTEN,
    Limits,
    PreparedDocument,
    Sources,
    UnreadableError,
    failed,
    fingerprint,
    hear,
    prepare,
    read,
)
from motet_retriever.hierarchy import indexed
from motet_retriever.parsers.parsed import Parsed
from motet_retriever.parsers.reading import parse
from motet_retriever.parsing import Bounds, Parsing
from motet_retriever.stores.port import HiddenError, PassageStore, Vector
from motet_retriever.worker import Worker

__all__ = ["Graph", "Ingestion"]

Item = IngestResult.Item

NOT_TAKEN = "The knowledge graph has not taken it"

GRAPH_PASSAGES = 10_000
GRAPH_CHARACTERS = 20_000
"""How much the knowledge graph takes of a document, and of a passage."""

CONNECTED = "+graph.2"
"""Begins what ends the fingerprint of a document that the knowledge graph was told of. Another one
hands each document over when it is next ingested: of the first, the graph kept no tenants apart."""

GROUP = 128
"""Passages that are embedded together, where that many are waiting."""


class Graph(Protocol):
    """The knowledge graph of the principal's tenant.

    `place` is that of the first document in the request: a request that names a source twice
    hands it over twice.
    """

    async def take(self, place: int, documents: Sequence[PreparedDocument]) -> None:
        """Has it know documents."""
        ...

    async def forget(self, place: int, documents: Sequence[PreparedDocument]) -> None:
        """Has it know nothing of documents, whichever version it has."""
        ...


class Ingestion:
    """Makes documents findable."""

    def __init__(
        self,
        store: PassageStore,
        embedder: Embedder,
        chunking: Chunking,
        *,
        max_document_bytes: int = 16 << 20,
        max_file_bytes: int = 64 << 20,
        bounds: Bounds | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._chunking = chunking
        self._limits = Limits(max_document_bytes, max_file_bytes)
        self._parsing = Parsing(bounds)
        self._worker = Worker("ingestion")

    def over(self, store: PassageStore, embedder: Embedder) -> Ingestion:
        """The same into another store; both end with one `close`."""
        other = copy(self)
        other._store, other._embedder = store, embedder  # noqa: SLF001  # of this class
        return other

    async def close(self) -> None:
        """Ends its thread and its processes."""
        await self._worker.close()
        await self._parsing.close()

    async def ingest(
        self,
        principal: Principal,
        documents: Sequence[Document],
        sources: Sources,
        *,
        graph: Graph | None = None,
        check: Callable[[], None] = lambda: None,
        progress: Callable[[int], Awaitable[None]] | None = None,
    ) -> IngestResult:
        """Stores what is new or changed.

        Args:
            principal: On whose behalf; the documents become its tenant's.
            documents: What to store.
            sources: Where their content is had.
            graph: What else is told of the documents; None where there is none.
            check: Called now and then; raises to stop.
            progress: Told the number of documents that are done, when it has grown.

        Raises:
            FaultError: From the embedding model, the object store, or `check`.
        """
        known = await self._store.find(principal, [each.source for each in documents])
        run = _Run(principal, known, graph, self._embedder.name)
        for document in documents:
            check()
            if run.is_waiting(document.source):  # the earlier one of the same source comes first
                await self._store_waiting(run, check)
            await self._take(run, document, sources, check)
            if run.waiting_passages >= GROUP:
                await self._store_waiting(run, check)
                if progress is not None:
                    await progress(run.done)
        await self._store_waiting(run, check)
        if run.touched:
            await self._store.flush()
        return IngestResult(items=tuple(item for item in run.items if item is not None))

    async def _take(
        self, run: _Run, document: Document, sources: Sources, check: Callable[[], None]
    ) -> None:
        """Reads and cuts one document; it waits in `run` unless nothing is to be done."""
        known = run.known.get(document.source)
        heard: TimedText | None = None
        try:
            version = fingerprint(document, self._chunking, model=self._embedder.name)
            if known and run.is_current(known, version):
                run.was_unchanged(known)
                return
            if document.is_recording:
                parsed, heard = await hear(document, sources)
            else:
                parsed = await read(document, sources.fetch, self._parse, self._limits)
        except UnreadableError as error:
            run.failed(document.source, str(error))
            with suppress(HiddenError):  # who may not replace it may not say that it has failed
                await self._store.fail(run.principal, failed(document, str(error)))
            return
        chunks = await self._chunks(parsed, check)
        prepared = await self._worker.run(
            prepare,
            document,
            parsed,
            chunks,
            version,
            tenant=run.principal.tenant,
            heard=heard,
            header_tokens=self._chunking.tokens // 3,
        )
        run.waiting.append((len(run.items), prepared))
        run.items.append(None)

    async def _parse(self, data: bytes, media_type: str, limit: int) -> Parsed:
        if media_type in WRITTEN:
            return await self._worker.run(parse, data, media_type, limit)
        return await self._parsing.parse(data, media_type, limit)

    async def _chunks(self, parsed: Parsed, check: Callable[[], None]) -> list[Chunk]:
        how, text, blocks = self._chunking, parsed.text, parsed.blocks
        vectors = None
        if how.way == "semantic":
            sentences = await self._worker.run(sentences_of, text, blocks, how)
            vectors = await self._embedded(sentences, check)
        return await self._worker.run(chunk, text, blocks, how, vectors)

    async def _store_waiting(self, run: _Run, check: Callable[[], None]) -> None:
        waiting, run.waiting = run.waiting, []
        waiting = await run.connected(waiting)
        words = [prepared.words() for _, prepared in waiting]
        vectors = await self._embedded([text for texts in words for text in texts], check)
        first = 0
        for (place, prepared), texts in zip(waiting, words, strict=True):
            last = first + len(texts)
            entries = indexed(prepared, texts, vectors[first:last])
            try:
                await self._store.put(run.principal, prepared.info, entries)
            except HiddenError:
                await run.was_hidden(place, prepared)
            else:
                run.was_stored(place, prepared.info)
            first = last

    async def _embedded(self, texts: Sequence[str], check: Callable[[], None]) -> Vector:
        parts: list[Vector] = [np.empty((0, self._embedder.dimension), np.float32)]
        for first in range(0, len(texts), GROUP):
            check()
            parts.append(await self._embedder.embed(texts[first : first + GROUP]))
        return np.concatenate(parts)


class _Run:
    """One request under way."""

    def __init__(
        self,
        principal: Principal,
        known: dict[str, DocumentInfo],
        graph: Graph | None,
        model: str,
    ) -> None:
        self.principal = principal
        # Of another embedding model the graph must be told again: it has vectors of its own.
        self._connected = f"{CONNECTED}.{hashlib.sha256(model.encode()).hexdigest()[:8]}"
        self.known = known
        self._graph = graph
        self._too_large: set[int] = set()
        """Places of documents that are stored next and that no graph takes."""
        self.items: list[Item | None] = []
        """In the order of the request; None is waiting."""
        self.waiting: list[tuple[int, PreparedDocument]] = []
        """What is cut and not stored, with its place in `items`."""
        self.touched = False
        """Whether the store was written to."""

    @property
    def waiting_passages(self) -> int:
        return sum(len(prepared.passages) for _, prepared in self.waiting)

    @property
    def done(self) -> int:
        return len(self.items) - len(self.waiting)

    def is_current(self, known: DocumentInfo, version: str) -> bool:
        """Whether a version is stored, and in the graph where there is one."""
        there, _, connected = known.fingerprint.partition("+")
        told = self._graph is None or f"+{connected}" == self._connected
        return known.failure is None and there == version and told

    async def connected(
        self, waiting: list[tuple[int, PreparedDocument]]
    ) -> list[tuple[int, PreparedDocument]]:
        """Tells the graph of what waits, and notes in its fingerprint that the graph knows."""
        self._too_large = set()
        if self._graph is None:
            return waiting
        self._too_large = {
            place for place, each in waiting if not (each.info.labels or _fits_graph(each))
        }
        # Neither what is to be hidden nor what does not fit may stay there as it was before.
        labelled = {place for place, each in waiting if each.info.labels}
        out = [each for each in waiting if each[0] in labelled | self._too_large]
        others = [each for each in waiting if each[0] not in labelled | self._too_large]
        told = await self._told(out, self._graph.forget, "The knowledge graph has not forgotten it")
        told += await self._told(others, self._graph.take, NOT_TAKEN)
        return sorted(told, key=lambda each: each[0])

    async def _told(
        self,
        waiting: list[tuple[int, PreparedDocument]],
        tell: Callable[[int, Sequence[PreparedDocument]], Awaitable[None]],
        what: str,
    ) -> list[tuple[int, PreparedDocument]]:
        if not waiting:
            return []
        try:
            await tell(waiting[0][0], [prepared for _, prepared in waiting])
        except FaultError as error:
            if error.fault.type in ENDING:
                raise
            reason = f"{what}: {error.fault.message}"
            return [(place, prepared.refused(reason)) for place, prepared in waiting]
        return [(place, prepared.versioned(self._connected)) for place, prepared in waiting]

    def _note(self, place: int) -> str | None:
        """What is to be said of a document that is stored without a failure."""
        return f"{NOT_TAKEN}: it is too large for it." if place in self._too_large else None

    def is_waiting(self, source: str) -> bool:
        return any(prepared.info.source == source for _, prepared in self.waiting)

    def failed(self, source: str, reason: str) -> None:
        self.touched = True
        self.items.append(Item(source=source, status="failed", passages=0, reason=reason))

    async def was_hidden(self, place: int, prepared: PreparedDocument) -> None:
        if self._graph is not None and not prepared.info.labels:
            await self._graph.forget(place, [prepared])
        source = prepared.info.source
        reason = "There is a document of this source that you may not see, so not replace."
        self.items[place] = Item(source=source, status="failed", passages=0, reason=reason)

    def was_unchanged(self, info: DocumentInfo) -> None:
        self.items.append(
            Item(
                source=info.source,
                status="unchanged",
                passages=info.passages,
                characters=info.characters,
            )
        )

    def was_stored(self, place: int, info: DocumentInfo) -> None:
        self.items[place] = Item(
            source=info.source,
            status="replaced" if self._was_findable(info.source) else "added",
            passages=info.passages,
            characters=info.characters,
            reason=info.failure.reason if info.failure else self._note(place),
        )
        self.known[info.source] = info
        self.touched = True

    def _was_findable(self, source: str) -> bool:
        """Whether a version is there, and not only why there is none."""
        return source in self.known and bool(self.known[source].fingerprint)


def _fits_graph(prepared: PreparedDocument) -> bool:
    """Whether it is within what `GraphDocument` and `GraphPassage` allow."""
    passages = prepared.passages
    return len(passages) <= GRAPH_PASSAGES and all(
        len(passage.text) <= GRAPH_CHARACTERS for passage in passages
    )
