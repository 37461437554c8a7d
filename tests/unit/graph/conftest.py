"""What the graph's unit tests share: an embedding model that needs no weights, and a store."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from motet_graph.statements import DocumentPart
from motet_graph.stores.port import EntityRecord, GraphStore, Rows

DIMENSION = 64
TENANT = "red"
"""Whose the graph is in tests of one tenant."""


class WordEmbedder:
    """Texts that share words are near to each other, in every process alike."""

    name = "fake:words"
    dimension = DIMENSION

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        self.asked.append(list(texts))
        rows = [sum(map(_of_word, text.lower().split()), np.zeros(DIMENSION)) for text in texts]
        vectors = np.array(rows, np.float32).reshape(-1, DIMENSION)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    async def embed_queries(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        return await self.embed(texts)


def _of_word(word: str) -> np.ndarray[Any, Any]:
    seed = int.from_bytes(hashlib.sha256(word.strip(".,;:!?#()").encode()).digest()[:8])
    return np.random.default_rng(seed).standard_normal(DIMENSION)


class MemoryStore(GraphStore):
    """Keeps what was put as it is, by tenant."""

    def __init__(self) -> None:
        self.parts: defaultdict[str, dict[str, DocumentPart]] = defaultdict(dict)
        self.records: defaultdict[str, dict[str, EntityRecord]] = defaultdict(dict)
        self.loaded: list[str] = []
        self.changes: Counter[str] = Counter()
        self.compared = 0

    async def put(
        self, tenant: str, part: DocumentPart, entities: Mapping[str, EntityRecord]
    ) -> None:
        self.changes[tenant] += 1
        self.parts[tenant][part.source] = part
        self.records[tenant].update(entities)

    async def delete(self, tenant: str, sources: Sequence[str]) -> set[str]:
        self.changes[tenant] += 1
        return {source for source in sources if self.parts[tenant].pop(source, None)}

    async def revision(self, tenant: str) -> str | None:
        return str(self.changes[tenant])

    async def revisions(
        self, tenant: str, sources: Sequence[str] | None = None
    ) -> dict[str, tuple[str, str]]:
        self.compared += sources is None
        return {
            key: (part.revision, part.fingerprint)
            for key, part in self.parts[tenant].items()
            if sources is None or key in sources
        }

    async def has_others(self, tenant: str) -> bool:
        return any(parts for other, parts in self.parts.items() if other != tenant)

    async def load(self, tenant: str, sources: Sequence[str]) -> list[DocumentPart]:
        self.loaded += sources
        parts = self.parts[tenant]
        return [parts[source] for source in sources if source in parts]

    async def entities(self, tenant: str, keys: Sequence[str]) -> list[EntityRecord]:
        records = self.records[tenant]
        return [records[key] for key in keys if key in records]

    async def query(
        self, statement: str, parameters: Mapping[str, Any], *, limit: int, timeout_s: float
    ) -> Rows:
        return Rows(("statement",), [(statement,)] * limit, truncated=False)

    async def close(self) -> None:
        pass


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()
