"""Writing to a collection on a Qdrant server: versions of documents, of which one counts.

Invariants: those of `qdrant_server`, as far as they are about writing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from qdrant_client import models

from motet.errors import FaultError
from motet.messages import DocumentInfo, FaultType, Principal
from motet_retriever.stores.bm25 import Bm25
from motet_retriever.stores.collections import EmbeddingModel
from motet_retriever.stores.port import HiddenError, IndexedPassage
from motet_retriever.stores.qdrant_calls import Collection
from motet_retriever.stores.qdrant_payload import (
    document_id,
    new_indexes,
    passage_payload,
    point_id,
    sees,
)
from motet_retriever.stores.qdrant_records import TERMS, Record, Records, generation_after
from motet_retriever.stores.qdrant_schema import make_indexes

__all__ = ["ATTEMPTS", "BATCH", "Writer", "busy"]

BATCH = 256
"""Passages written at once: some 2 MB of JSON at 384 dimensions."""
ATTEMPTS = 5
"""Times that a document is written, if other writers keep taking it over."""
FORSAKEN_AFTER_S = 600
"""Seconds after which a claim is taken for one of a process that died, when a store is opened."""


class Writer:
    """Replaces and removes documents."""

    def __init__(
        self, collection: Collection, records: Records, model: EmbeddingModel, words: Bm25
    ) -> None:
        self._collection = collection
        self._ask = collection.ask
        self._client = collection.client
        self._name = collection.name
        self._records = records
        self._dimension = model.dimension
        self._words = words
        self.indexed: set[str] = set()
        """Fields that have an index, as far as is known."""
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def replace(
        self,
        principal: Principal,
        document: DocumentInfo,
        passages: Sequence[IndexedPassage] | None,
    ) -> None:
        """Stores a version of a document; without passages, why an attempt at it has failed.

        Raises:
            HiddenError: A version is there that the principal does not see.
            FaultError: The server fails, or others keep writing the document.
        """
        async with self._turn(document_id(principal.tenant, document.source)):
            for _ in range(ATTEMPTS):
                if await self._put(principal, document, passages):
                    return
        raise busy(document.source)

    async def _put(
        self,
        principal: Principal,
        document: DocumentInfo,
        passages: Sequence[IndexedPassage] | None,
    ) -> bool:
        """Whether the new version counts; not if another writer took the document over.

        Without passages at all, the version that is there stays, and gets the document's failure.
        """
        claim = await self._records.claim(principal.tenant, document.source, make=True)
        assert claim is not None  # noqa: S101  # it was made
        assert claim.pending is not None  # noqa: S101
        generation = claim.pending
        committed = None
        try:
            if claim.document is not None and not sees(principal, claim.document.labels):
                raise HiddenError(document.source)
            if passages is None and claim.document is not None:
                failed = claim.document.model_copy(update={"failure": document.failure})
                committed = await self._records.change(claim, document=failed)
            else:
                written = await self._write(claim, document, passages or ())
                if written is not None:
                    committed = await self._records.change(
                        written, document=document, generation=generation
                    )
            if committed is not None:
                await self._settle(committed)
        except BaseException:
            with contextlib.suppress(FaultError):
                await self._abandon(claim.id, generation)
            raise
        if committed is None:
            await self._abandon(claim.id, generation)
        return committed is not None

    async def _write(
        self, claim: Record, document: DocumentInfo, passages: Sequence[IndexedPassage]
    ) -> Record | None:
        """Stores passages under a claim, renewed with each batch; None when it is lost."""
        wanted = new_indexes(self.indexed, passages)
        await make_indexes(self._collection, wanted)
        self.indexed.update(wanted)
        renewed: Record | None = claim
        for first in range(0, len(passages), BATCH):
            if first:
                renewed = await self._records.change(claim)
            if renewed is None:
                return None
            claim = renewed
            points = [
                self._point(each, claim, document) for each in passages[first : first + BATCH]
            ]
            await self._ask(self._client.upsert, self._name, points=points)
        return claim

    async def delete(self, principal: Principal, source: str) -> int | None:
        """Removes a document; the number of passages that were there, None without one."""
        async with self._turn(document_id(principal.tenant, source)):
            return await self._removed(principal, source)

    async def _removed(self, principal: Principal, source: str) -> int | None:
        """The number of passages that were there; None without such a document."""
        while True:
            claim = await self._records.claim(principal.tenant, source, make=False)
            if claim is None:
                return None
            if claim.document is not None and not sees(principal, claim.document.labels):
                await self._settle(claim)  # its labels have changed since it was found
                return None
            gone = await self._records.change(claim, document=None, generation=None)
            if gone is not None:
                await self._settle(gone)
                return None if claim.document is None else claim.document.passages

    async def _settle(self, claim: Record) -> None:
        """Leaves of a document what counts, and ends the claim."""
        await self._remove(
            [
                TERMS.one_of("document", [claim.id]),
                TERMS.number("version", lte=float(claim.pending or 0)),
            ],
            [] if claim.generation is None else [TERMS.one_of("version", [claim.generation])],
        )
        if claim.document is None:
            await self._records.remove(claim)
        else:
            await self._records.change(claim, pending=None)

    async def _abandon(self, name: str, generation: int) -> None:
        """Ends a claim whose state is not known; leaves nothing of it unless it was committed."""
        record = (await self._records.get([name])).get(name)
        if record is not None and record.pending == generation:
            await self._settle(record)
        elif record is None or record.generation != generation:
            await self._remove(
                [TERMS.one_of("document", [name]), TERMS.one_of("version", [generation])], []
            )

    async def _remove(self, which: list[models.Condition], but: list[models.Condition]) -> None:
        selector = models.Filter(must=which, must_not=but)
        await self._ask(self._client.delete, self._name, points_selector=selector)

    async def sweep(self) -> None:
        """Ends the claims of processes that died."""
        for record in await self._records.forsaken(generation_after(0) - FORSAKEN_AFTER_S * 10**6):
            claim = await self._records.take(record)
            if claim is not None:
                await self._settle(claim)

    def _turn(self, document: str) -> asyncio.Lock:
        """Writers of this process do not contend for a claim."""
        return self._turns.setdefault(document, asyncio.Lock())

    def _point(
        self, indexed: IndexedPassage, claim: Record, document: DocumentInfo
    ) -> models.PointStruct:
        if len(indexed.vector) != self._dimension:
            raise ValueError(
                f"An embedding has dimension {len(indexed.vector)}, not {self._dimension}."
            )
        vector: dict[str, Any] = {"dense": indexed.vector.tolist()}
        words = self._words.embed_document(indexed.words, indexed.passage.language)
        if words.indices:
            vector["sparse"] = models.SparseVector(indices=words.indices, values=words.values)
        version = claim.pending or 0
        return models.PointStruct(
            id=str(point_id(claim.id, version, indexed.passage.id)),
            vector=vector,
            payload=passage_payload(
                indexed,
                document=claim.id,
                version=version,
                tenant=claim.tenant,
                labels=document.labels,
            ),
        )


def busy(source: str) -> FaultError:
    """What is raised when a document never stands still."""
    return FaultError.of(
        FaultType.UNAVAILABLE, f"Others keep writing {source!r} at the same time.", retryable=True
    )
