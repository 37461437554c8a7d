"""What the graph's unit tests share: an embedding model that needs no weights, and a store."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from motet_graph.statements import DocumentPart
from motet_graph.stores.port import DocumentVersion, EntityRecord, GraphStore, Rows

DIMENSION = 64
MODEL = "fake:words"
TENANT = "red"
"""Whose the graph is in tests of one tenant."""


class WordEmbedder:
    """Texts that share words are near to each other, in every process alike."""

    def __init__(self, name: str = MODEL, dimension: int = DIMENSION) -> None:
        self.name = name
        self.dimension = dimension
        self.asked: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        self.asked.append(list(texts))
        rows = [
            sum(map(self._of_word, text.lower().split()), np.zeros(self.dimension))
            for text in texts
        ]
        vectors = np.array(rows, np.float32).reshape(-1, self.dimension)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    async def embed_queries(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        return await self.embed(texts)

    def _of_word(self, word: str) -> np.ndarray[Any, Any]:
        spelled = word.strip(".,;:!?#()") + self.name.removeprefix(MODEL)
        seed = int.from_bytes(hashlib.sha256(spelled.encode()).digest()[:8])
        return np.random.default_rng(seed).standard_normal(self.dimension)


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
        for key, each in entities.items():
            known = self.records[tenant].setdefault(key, each)
            if known.model != each.model:
                self.records[tenant][key] = each._replace(name=known.name)

    async def renew(
        self,
        tenant: str,
        part: DocumentPart,
        entities: Mapping[str, EntityRecord],
        *,
        instead_of: str,
    ) -> bool:
        there = self.parts[tenant].get(part.source)
        if there is None or there.revision != instead_of:
            return False
        await self.put(tenant, part, entities)
        return True

    async def delete(self, tenant: str, sources: Sequence[str]) -> set[str]:
        self.changes[tenant] += 1
        return {source for source in sources if self.parts[tenant].pop(source, None)}

    async def revision(self, tenant: str) -> str | None:
        return str(self.changes[tenant])

    async def revisions(
        self, tenant: str, sources: Sequence[str] | None = None
    ) -> dict[str, DocumentVersion]:
        self.compared += sources is None
        return {
            key: DocumentVersion(part.revision, part.fingerprint, part.model)
            for key, part in self.parts[tenant].items()
            if sources is None or key in sources
        }

    async def made_by_others(self, model: str) -> list[tuple[str, str]]:
        return [
            (tenant, source)
            for tenant, parts in self.parts.items()
            for source, part in parts.items()
            if part.model != model
        ]

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
