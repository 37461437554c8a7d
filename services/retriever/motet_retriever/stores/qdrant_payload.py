"""What Qdrant's points hold beside vectors, in the embedded engine and on a server alike.

A point under `to` names those that find it, each as `LEVEL TENANT LABEL`: one condition says level,
tenant and labels, so no query can state one and forget another. `*` is the label of what everybody
of the tenant sees; it can be nobody's.

A passage is kept as the JSON that it is given back as, and beside it what filters look at, and what
its words have before its text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID, uuid5

import numpy as np

from motet.messages import Label, Passage, Principal
from motet_retriever.stores.port import IndexedPassage, Level
from motet_retriever.stores.qdrant_filters import attributes

__all__ = [
    "INDEXED",
    "INDEXED_PASSAGE",
    "PASSAGE",
    "document_id",
    "finders",
    "indexed_of",
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

INDEXED: dict[str, Literal["keyword", "integer", "datetime"]] = {
    "to": "keyword",
    "document": "keyword",
    "passage_id": "keyword",
    "number.position": "integer",
    "text.media_type": "keyword",
    "text.language": "keyword",
    "moment.time": "datetime",
}
"""What queries ask for by an index. `position` has one since passages are ordered by it."""

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
