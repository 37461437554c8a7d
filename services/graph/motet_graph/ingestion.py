"""Ingestion: from passages to the graph.

Invariants:

- A document is stored as a whole or not at all; one that was stored with the same content, read in
  the same way, is left as it is. So a call that is delivered again does nothing twice.
- What a tenant has is neither read nor changed on behalf of another.
- Documents are stored in the order of the request, so of two with the same source the later stays.
- A passage that brings its triples along is not read.
- A document that has not changed, but has vectors of another embedding model, is embedded anew and
  not read again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from motet.messages import GraphDocument, GraphIngestResult, GraphPassage, Passage, new_id
from motet.models import Embedder
from motet_graph import names
from motet_graph.embedding import embedded, mentioned, spellings, stated
from motet_graph.extraction.port import Extractor, given
from motet_graph.renewal import renew
from motet_graph.statements import (
    DocumentPart,
    Extraction,
    Mention,
    Statement,
    StoredPassage,
    StoredStatement,
)
from motet_graph.stores.port import GraphStore

__all__ = ["Ingestion"]

FORMAT = 2
"""Raised when documents are to be read anew."""
GROUP = 64
"""Passages that are read and embedded together, where that many are waiting."""
AT_ONCE = 4
"""Passages that are read at once."""

Item = GraphIngestResult.Item
Progress = Callable[[int], Awaitable[None]]


class _Read(NamedTuple):
    """A document that waits to be stored."""

    document: GraphDocument
    fingerprint: str
    replaces: bool
    extractions: list[Extraction]


class Ingestion:
    """Adds documents to the graph."""

    def __init__(self, store: GraphStore, embedder: Embedder, extractor: Extractor) -> None:
        self._store = store
        self._embedder = embedder
        self._extractor = extractor
        self._free = asyncio.Semaphore(AT_ONCE)

    async def ingest(
        self,
        tenant: str,
        documents: Sequence[GraphDocument],
        *,
        check: Callable[[], None] = lambda: None,
        progress: Progress | None = None,
    ) -> GraphIngestResult:
        """Stores what is new or changed.

        Args:
            tenant: Whose the documents become.
            documents: What to store.
            check: Called now and then; raises to stop.
            progress: Told the number of documents that are done, when it has grown.

        Raises:
            FaultError: From the models, the store, or `check`.
        """
        there = await self._store.revisions(tenant, [each.source for each in documents])
        known = {source: version.fingerprint for source, version in there.items()}
        others = {key for key, version in there.items() if version.model != self._embedder.name}
        items: list[Item] = []
        for group in _groups(documents):
            check()
            waiting: list[_Read] = []
            done = len(items)
            for document in group:
                fingerprint = self._fingerprint(document)
                if known.get(document.source) == fingerprint:
                    count = len(document.passages)
                    items.append(Item(source=document.source, status="unchanged", passages=count))
                    continue
                extractions = await self._extracted(document, check)
                waiting.append(_Read(document, fingerprint, document.source in known, extractions))
                known[document.source] = fingerprint
                others.discard(document.source)
            unchanged = others & {item.source for item in items[done:]}
            if unchanged:
                await renew(self._store, self._embedder, tenant, sorted(unchanged))
            items += await self._stored(tenant, waiting, check)
            if progress is not None:
                await progress(len(items))
        places = {item.source: item for item in items}
        return GraphIngestResult(items=tuple(places[each.source] for each in documents))

    def _fingerprint(self, document: GraphDocument) -> str:
        made_by = f"{FORMAT}\n{self._extractor.name}\n"
        return hashlib.sha256((made_by + document.model_dump_json()).encode()).hexdigest()

    async def _extracted(
        self, document: GraphDocument, check: Callable[[], None]
    ) -> list[Extraction]:
        async def one(passage: GraphPassage) -> Extraction:
            if passage.triples is not None:
                return given(passage)
            async with self._free:
                check()
                return await self._extractor.extract(passage)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(passage)) for passage in document.passages]
        return [task.result() for task in tasks]

    async def _stored(
        self, tenant: str, waiting: list[_Read], check: Callable[[], None]
    ) -> list[Item]:
        if not waiting:
            return []
        check()
        parts, records = await embedded(
            self._store, self._embedder, tenant, [_part(read) for read in waiting]
        )
        items: list[Item] = []
        for read, part in zip(waiting, parts, strict=True):
            check()
            keys = mentioned(part)
            await self._store.put(tenant, part, {key: records[key] for key in keys})
            items.append(
                Item(
                    source=part.source,
                    status="replaced" if read.replaces else "added",
                    passages=len(part.passages),
                    entities=len(keys),
                    statements=sum(len(stored.statements) for stored in part.passages),
                )
            )
        return items


def _groups(documents: Sequence[GraphDocument]) -> Iterable[list[GraphDocument]]:
    """Documents in order, in groups of about `GROUP` passages, none twice in a group."""
    group: list[GraphDocument] = []
    size = 0
    for document in documents:
        if group and (
            size + len(document.passages) > GROUP
            or any(each.source == document.source for each in group)
        ):
            yield group
            group, size = [], 0
        group.append(document)
        size += len(document.passages)
    if group:
        yield group


def _part(read: _Read) -> DocumentPart:
    """A document as it is stored, with no vectors yet."""
    source = read.document.source
    return DocumentPart(
        source,
        read.fingerprint,
        new_id(),
        tuple(
            _stored_passage(source, passage, extraction)
            for passage, extraction in zip(read.document.passages, read.extractions, strict=True)
        ),
    )


def _stored_passage(source: str, passage: GraphPassage, extraction: Extraction) -> StoredPassage:
    key = names.key
    stored = StoredPassage(
        _passage(source, passage),
        None,
        tuple(dict.fromkeys(Mention(key(name), name) for name in extraction.names)),
        aliases=tuple((key(each.name), key(each.other)) for each in extraction.aliases),
        titled=bool(passage.title),
    )
    spelled = spellings(stored)
    return replace(
        stored, statements=tuple(_statement(spelled, each) for each in extraction.statements)
    )


def _statement(spelled: Mapping[str, str], each: Statement) -> StoredStatement:
    subject, obj = names.key(each.subject), names.key(each.object)
    follows = each.text == stated(spelled, subject, each.predicate, obj)
    return StoredStatement(subject, each.predicate, obj, None, None if follows else each.text)


def _passage(source: str, passage: GraphPassage) -> Passage:
    return Passage(
        id=passage.id,
        source=source,
        title=passage.title or source,
        text=passage.text,
        section=passage.section,
        position=passage.position,
        start=passage.start,
        end=passage.end or passage.start + len(passage.text),
    )
