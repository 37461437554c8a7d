"""Records: which generation of a document's passages counts, agreed on by all replicas.

A record is a point without vectors. `generation` names the passages that are findable; `pending`
is set while somebody writes, or removes what no longer counts.

Invariants:

- A record changes only from the revision that was read (compare-and-set by a conditional write),
  and whoever changed it reads that back. So of several writers one has the claim.
- Generations of a document grow. They are microseconds since 1970, or one more than the last.
- A claim whose record stands still for `PATIENCE_S` is taken over. Its holder, if it lives, cannot
  commit any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

from qdrant_client import models

from motet.messages import DocumentInfo, Principal
from motet_retriever.stores.qdrant_calls import Collection
from motet_retriever.stores.qdrant_payload import document_id, finders, seen_by
from motet_retriever.stores.server_terms import ServerTerms

__all__ = ["TERMS", "Record", "Records", "generation_after"]

TERMS = ServerTerms()
PATIENCE_S = 5.0
"""Seconds for which a claim must not move until another writer takes it over. A living holder
renews it with each batch of passages."""
POLL_S = 0.05
AT_ONCE = 1000
"""Records that one request asks for."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a document."""

    tenant: str
    source: str
    document: DocumentInfo | None = None
    """None where no version counts."""
    generation: int | None = None
    """Of the passages that count: their `version`."""
    pending: int | None = None
    """Of those that are being written, or that of the clean-up."""
    revision: str = field(default_factory=lambda: uuid4().hex)

    @property
    def id(self) -> str:
        """Of the document, and of the record's point."""
        return document_id(self.tenant, self.source)

    def payload(self) -> dict[str, Any]:
        """What the point holds."""
        info = self.document
        return {
            "to": [] if info is None else finders(["record"], self.tenant, info.labels),
            "record": self.id,
            "tenant": self.tenant,
            "source": self.source,
            "info": None if info is None else info.model_dump_json(),
            "generation": self.generation,
            "pending": self.pending,
            "revision": self.revision,
        }


class Records:
    """The records of a collection."""

    def __init__(self, collection: Collection) -> None:
        self._ask = collection.ask
        self._client = collection.client
        self._name = collection.name

    async def get(self, ids: Sequence[str]) -> dict[str, Record]:
        """Those that are there, by id."""
        found: list[Record] = []
        for first in range(0, len(ids), AT_ONCE):
            points = await self._ask(
                self._client.retrieve, self._name, ids=ids[first : first + AT_ONCE]
            )
            found += [_record(point.payload) for point in points]
        return {record.id: record for record in found}

    async def find(self, principal: Principal, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        """Those of the documents that count and that the principal sees, by source."""
        ids = [document_id(principal.tenant, source) for source in dict.fromkeys(sources)]
        found: list[DocumentInfo] = []
        for first in range(0, len(ids), AT_ONCE):
            some = ids[first : first + AT_ONCE]
            found += (await self._seen(principal, len(some), must=[TERMS.one_of("record", some)]))[
                0
            ]
        return {document.source: document for document in found}

    async def page(
        self, principal: Principal, limit: int, after: UUID | None
    ) -> tuple[list[DocumentInfo], str | None]:
        """Documents that count and that the principal sees, and where the next ones begin."""
        return await self._seen(principal, limit, offset=None if after is None else str(after))

    async def _seen(
        self,
        principal: Principal,
        limit: int,
        must: Sequence[models.Condition] = (),
        offset: str | None = None,
    ) -> tuple[list[DocumentInfo], str | None]:
        points, following = await self._ask(
            self._client.scroll,
            self._name,
            scroll_filter=models.Filter(
                must=[*must, TERMS.one_of("to", seen_by(principal, "record"))]
            ),
            limit=limit,
            offset=offset,
        )
        documents = [_record(point.payload).document for point in points]
        return (
            [document for document in documents if document is not None],
            None if following is None else str(following),
        )

    async def all(self, limit: int, after: UUID | None) -> tuple[list[Record], str | None]:
        """Records of all tenants' documents that count, and where the next ones begin."""
        points, following = await self._ask(
            self._client.scroll,
            self._name,
            scroll_filter=models.Filter(must_not=[TERMS.empty("record"), TERMS.empty("to")]),
            limit=limit,
            offset=None if after is None else str(after),
        )
        return [_record(each.payload) for each in points], (
            None if following is None else str(following)
        )

    async def forsaken(self, before: int) -> list[Record]:
        """Those with a claim from before the generation `before`."""
        old = models.FieldCondition(key="pending", range=models.Range(lt=before))
        points, _ = await self._ask(
            self._client.scroll,
            self._name,
            scroll_filter=models.Filter(must=[old]),
            limit=AT_ONCE,
        )
        return [_record(point.payload) for point in points]

    async def claim(self, tenant: str, source: str, *, make: bool) -> Record | None:
        """The record, with a `pending` of the caller's; waits while another writer is at work.

        None if there is no record, unless `make` is set.
        """
        name = document_id(tenant, source)
        seen, since = "", 0.0
        while True:
            record = (await self.get([name])).get(name)
            if record is None and not make:
                return None
            if record is None:
                claimed = await self._insert(Record(tenant, source, pending=generation_after(0)))
            elif record.pending is None:
                claimed = await self.take(record)
            else:
                if record.revision != seen:
                    seen, since = record.revision, time.monotonic()
                if time.monotonic() - since < PATIENCE_S:
                    await asyncio.sleep(POLL_S)
                    continue
                claimed = await self.take(record)
            if claimed is not None:
                return claimed

    async def take(self, record: Record) -> Record | None:
        """Makes a claim on a record as it was read; None if it has changed since."""
        last = max(record.generation or 0, record.pending or 0)
        return await self.change(record, pending=generation_after(last))

    async def change(self, record: Record, **changes: Any) -> Record | None:
        """The record with `changes` and a new revision; None if somebody else changed it first."""
        after = replace(record, revision=uuid4().hex, **changes)
        await self._ask(
            self._client.overwrite_payload,
            self._name,
            payload=after.payload(),
            points=_as_read(record),
        )
        return await self._confirmed(after)

    async def remove(self, record: Record) -> None:
        """Removes a record, unless it has changed."""
        await self._ask(self._client.delete, self._name, points_selector=_as_read(record))

    async def _insert(self, record: Record) -> Record | None:
        """Adds a record; None if another is there."""
        await self._ask(
            self._client.upsert,
            self._name,
            points=[models.PointStruct(id=record.id, vector={}, payload=record.payload())],
            # One that is there has another revision, so it stays; this one may be sent twice.
            update_filter=models.Filter(must=[TERMS.one_of("revision", [record.revision])]),
        )
        return await self._confirmed(record)

    async def _confirmed(self, record: Record) -> Record | None:
        there = (await self.get([record.id])).get(record.id)
        return record if there is not None and there.revision == record.revision else None


def generation_after(last: int) -> int:
    """A generation that is later than `last`; exact in a float, as filters compare numbers."""
    return max(time.time_ns() // 1000, last + 1)


def _as_read(record: Record) -> models.Filter:
    return models.Filter(
        must=[
            models.HasIdCondition(has_id=[record.id]),
            TERMS.one_of("revision", [record.revision]),
        ]
    )


def _record(payload: Mapping[str, Any] | None) -> Record:
    values = dict(payload or {})
    del values["to"], values["record"]
    info = values.pop("info")
    document = None if info is None else DocumentInfo.model_validate_json(info)
    return Record(document=document, **values)
