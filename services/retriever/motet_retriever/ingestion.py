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
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

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

__all__ = ["Connect", "Ingestion"]

Item = IngestResult.Item

Connect = Callable[[Sequence[PreparedDocument]], Awaitable[None]]

CONNECTED = "+graph"
"""Ends the fingerprint of a document that the knowledge graph has too, or will never take."""

NOT_TAKEN = "The knowledge graph has not taken it"

GRAPH_PASSAGES = 10_000
GRAPH_CHARACTERS = 20_000
"""How much the knowledge graph takes of a document, and of a passage."""

GROUP = 128
"""Passages that are embedded together, where that many are waiting."""


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
        connect: Connect | None = None,
        check: Callable[[], None] = lambda: None,
        progress: Callable[[int], Awaitable[None]] | None = None,
    ) -> IngestResult:
        """Stores what is new or changed.

        Args:
            principal: On whose behalf; the documents become its tenant's.
            documents: What to store.
            sources: Where their content is had.
            connect: Hands documents to the knowledge graph; None where there is none.
            check: Called now and then; raises to stop.
            progress: Told the number of documents that are done, when it has grown.

        Raises:
            FaultError: From the embedding model, the object store, or `check`.
        """
        known = await self._store.find(principal, [each.source for each in documents])
        run = _Run(principal, known, connect)
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
                run.was_hidden(place, prepared.info.source)
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
        self, principal: Principal, known: dict[str, DocumentInfo], connect: Connect | None
    ) -> None:
        self.principal = principal
        self.known = known
        self._connect = connect
        self._refused: dict[int, str] = {}
        """Why the graph did not take some of the documents that are stored next, by place."""
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
        wanted = version + CONNECTED
        return known.failure is None and (
            known.fingerprint == wanted or (self._connect is None and known.fingerprint == version)
        )

    async def connected(
        self, waiting: list[tuple[int, PreparedDocument]]
    ) -> list[tuple[int, PreparedDocument]]:
        """Hands what waits to the graph, and notes in its fingerprint that the graph has it."""
        self._refused = {}
        fitting = [place for place, prepared in waiting if _fits_graph(prepared)]
        if self._connect is None or not waiting:
            return waiting
        refused = dict.fromkeys((place for place, _ in waiting), "it is too large for it.")
        if fitting:
            try:
                await self._connect([each for place, each in waiting if place in fitting])
            except FaultError as error:
                if error.fault.type in ENDING:
                    raise
                refused.update(dict.fromkeys(fitting, error.fault.message))
            else:
                for place in fitting:
                    del refused[place]
        self._refused = {place: f"{NOT_TAKEN}: {why}" for place, why in refused.items()}
        return [
            (
                place,
                prepared.refused(self._refused[place])
                if place in refused and place in fitting
                else prepared.versioned(CONNECTED),
            )
            for place, prepared in waiting
        ]

    def is_waiting(self, source: str) -> bool:
        return any(prepared.info.source == source for _, prepared in self.waiting)

    def failed(self, source: str, reason: str) -> None:
        self.touched = True
        self.items.append(Item(source=source, status="failed", passages=0, reason=reason))

    def was_hidden(self, place: int, source: str) -> None:
        reason = "There is a document of this source that you may not see, so not replace."
        self.items[place] = Item(source=source, status="failed", passages=0, reason=reason)

    def was_unchanged(self, info: DocumentInfo) -> None:
        self.items.append(Item(source=info.source, status="unchanged", passages=info.passages))

    def was_stored(self, place: int, info: DocumentInfo) -> None:
        self.items[place] = Item(
            source=info.source,
            status="replaced" if self._was_findable(info.source) else "added",
            passages=info.passages,
            reason=self._refused.get(place),
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
