"""What the graph's unit tests share: an embedding model that needs no weights, and a store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from motet_graph.statements import DocumentPart
from motet_graph.stores.port import EntityRecord, GraphStore, Rows

DIMENSION = 64


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
    """Keeps what was put as it is."""

    def __init__(self) -> None:
        self.parts: dict[str, DocumentPart] = {}
        self.records: dict[str, EntityRecord] = {}
        self.loaded: list[str] = []

    async def put(self, part: DocumentPart, entities: Mapping[str, EntityRecord]) -> None:
        self.parts[part.source] = part
        self.records |= entities

    async def delete(self, sources: Sequence[str]) -> set[str]:
        return {source for source in sources if self.parts.pop(source, None)}

    async def revisions(self) -> dict[str, tuple[str, str]]:
        return {key: (part.revision, part.fingerprint) for key, part in self.parts.items()}

    async def load(self, sources: Sequence[str]) -> list[DocumentPart]:
        self.loaded += sources
        return [self.parts[source] for source in sources if source in self.parts]

    async def entities(self, keys: Sequence[str]) -> list[EntityRecord]:
        return [self.records[key] for key in keys if key in self.records]

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
