"""Reading: the text of a document that is stored, in parts that can be cited."""

from __future__ import annotations

from collections.abc import Sequence

from motet.errors import FaultError
from motet.messages import (
    AllOf,
    Condition,
    DocumentInfo,
    FaultType,
    Passage,
    Principal,
    ReadRequest,
    ReadResult,
)
from motet_retriever.expansion import joined
from motet_retriever.stores.port import PassageStore

__all__ = ["read_document"]

AT_ONCE = 1000
"""Passages of a part at most."""


async def read_document(
    store: PassageStore, readers: Sequence[Principal], request: ReadRequest
) -> ReadResult:
    """A part of a document that one of `readers` has; the first of them that does counts.

    Raises:
        FaultError: `not_found`.
    """
    reader, document = await _found(store, readers, request.source)
    conditions = [Condition(field="position", op="gte", value=request.first)]
    if request.page is not None:
        conditions.append(Condition(field="page", op="eq", value=request.page))
    where = AllOf(all_of=tuple(conditions))
    # One more than is given tells whether there are more.
    there = await store.read(reader, request.source, where=where, limit=AT_ONCE + 1)
    part = _fitting(there[:AT_ONCE], request.characters)
    rest = there[len(part) :]
    return ReadResult(
        document=document,
        text=joined(part),
        passages=tuple(part),
        next=rest[0].position if rest else None,
    )


async def _found(
    store: PassageStore, readers: Sequence[Principal], source: str
) -> tuple[Principal, DocumentInfo]:
    for reader in readers:
        document = (await store.find(reader, [source])).get(source)
        if document is not None and document.fingerprint:
            return reader, document
    raise FaultError.of(
        FaultType.NOT_FOUND,
        f"There is no document {source!r} that you may read: `retriever.documents` lists them.",
    )


def _fitting(passages: Sequence[Passage], characters: int) -> list[Passage]:
    """The first passages that have so many characters together, and at least one."""
    part: list[Passage] = []
    for each in passages:
        if part and each.end - part[0].start > characters:
            break
        part.append(each)
    return part
