"""What Qdrant's points hold beside vectors, in the embedded engine and on a server alike.

A point under `to` names those that find it, each as `LEVEL TENANT LABEL`: one condition says level,
tenant and labels, so no query can state one and forget another. `*` is the label of what everybody
of the tenant sees; it can be nobody's.

A passage is kept as the JSON that it is given back as, and beside it what filters look at, and what
its words have before its text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal
from uuid import UUID, uuid5

import numpy as np

from motet.messages import Label, Passage, Principal
from motet_retriever.stores.port import IndexedPassage, Level, Query
from motet_retriever.stores.qdrant_filters import attributes

__all__ = [
    "INDEXED",
    "INDEXED_PASSAGE",
    "PASSAGE",
    "IndexKind",
    "document_id",
    "finders",
    "found_by",
    "indexed_of",
    "named_by",
    "new_indexes",
    "passage_of",
    "passage_payload",
    "point_id",
    "seen_by",
    "sees",
    "written",
]

DOCUMENTS = UUID("0b6e7f0a-5d0e-4c57-9c0d-6a3c5f1d2e47")
"""Namespace of the ids of documents, which are made from tenant and source."""

PASSAGE = ["passage"]
"""The part of a payload that a passage is made from."""

INDEXED_PASSAGE = [*PASSAGE, "to", "lead"]
"""The part of a payload that, with its vector, all is made from that was put."""

IndexKind = Literal["keyword", "integer", "float", "datetime"]

INDEXED: dict[str, IndexKind] = {
    "to": "keyword",
    "document": "keyword",
    "passage_id": "keyword",
    "text.source": "keyword",
    "text.title": "keyword",
    "text.media_type": "keyword",
    "text.language": "keyword",
    "text.section": "keyword",
    "text.block": "keyword",
    "number.page": "integer",
    "number.position": "integer",
    "moment.time": "datetime",
    "moment.ingested_at": "datetime",
}
"""What queries ask for by an index. Without one, a filter that few of 100,000 passages meet takes
a second."""

CUSTOM: dict[str, IndexKind] = {
    "text": "keyword",
    "flag": "keyword",
    "number": "float",  # one of integers would not see 0.5
    "moment": "datetime",
}
"""By what an index of a custom field is made, by the kind that it is stored under."""

CUSTOM_INDEXES = 64
"""Custom fields that have an index, those that come first; filters by others compare one by one."""

EVERYBODY = "*"
NOT_STORED = {"score", "branches", "reason", "context"}


def document_id(tenant: str, source: str) -> str:
    """Identifies a document."""
    return str(uuid5(DOCUMENTS, f"{tenant}\0{source}"))


def point_id(document: str, version: int, passage: str) -> UUID:
    """Identifies a passage's point; another version of the document has others."""
    return uuid5(UUID(document), f"{version}\0{passage}")


def finders(
    levels: Iterable[Level | Literal["record"]], tenant: str, labels: Sequence[Label]
) -> list[str]:
    """Who finds a point, as stored under `to`."""
    return [f"{level} {tenant} {label}" for level in levels for label in labels or (EVERYBODY,)]


def seen_by(principal: Principal, *levels: Level | Literal["record"]) -> list[str]:
    """Of what is under `to`, what the principal finds."""
    return [
        f"{level} {principal.tenant} {label}"
        for level in levels
        for label in (EVERYBODY, *principal.access)
    ]


def found_by(query: Query) -> list[str]:
    """Of what is under `to`, what a search finds."""
    return [key for each in _asking(query) for key in seen_by(each, query.level)]


def named_by(query: Query) -> list[str]:
    """Ids of the documents that a search names."""
    return [document_id(each.tenant, source) for each in _asking(query) for source in query.sources]


def _asking(query: Query) -> list[Principal]:
    return [query.principal] if query.beside is None else [query.principal, query.beside]


def sees(principal: Principal, labels: Sequence[Label]) -> bool:
    """Whether a principal sees what has these labels in its tenant."""
    return not labels or not set(labels).isdisjoint(principal.access)


def passage_payload(
    indexed: IndexedPassage, *, document: str, version: int, tenant: str, labels: Sequence[Label]
) -> dict[str, Any]:
    """The payload of a passage's point."""
    passage = indexed.passage
    return {
        "to": finders(indexed.levels, tenant, labels),
        "document": document,
        "version": version,
        "passage_id": passage.id,
        "passage": written(passage),
        "lead": indexed.lead,
        **attributes(passage),
    }


def new_indexes(there: Collection[str], passages: Sequence[IndexedPassage]) -> dict[str, IndexKind]:
    """The indexes to be made for the custom fields of a document.

    Args:
        there: The fields that have one.
        passages: The document's.
    """
    # Fields are the document's, so every passage has the same.
    stored = attributes(passages[0].passage) if passages else {}
    room = CUSTOM_INDEXES - sum(".fields." in each for each in there)
    new: Iterator[tuple[str, IndexKind]] = (
        (field, index)
        for kind, index in CUSTOM.items()
        for name in stored.get(kind, {}).get("fields", {})
        if (field := f"{kind}.fields.{name}") not in there
    )
    return dict(islice(new, max(room, 0)))


def written(passage: Passage) -> str:
    """The passage as it is stored."""
    return passage.model_dump_json(exclude=NOT_STORED)


def passage_of(payload: Mapping[str, Any] | None) -> Passage:
    """The passage of a point."""
    return Passage.model_validate_json((payload or {})["passage"])


def indexed_of(payload: Mapping[str, Any] | None, vector: Sequence[float]) -> IndexedPassage:
    """The passage of a point, with what makes it findable."""
    there = payload or {}
    passage = passage_of(there)
    levels: Any = dict.fromkeys(each.partition(" ")[0] for each in there["to"])
    return IndexedPassage(
        passage, there["lead"] + passage.text, np.array(vector, np.float32), tuple(levels)
    )
