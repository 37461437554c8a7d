"""What the retriever's unit tests share: an embedding model that needs no weights, and a store."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motet_retriever.stores.qdrant_edge import QdrantEdgeStore

DIMENSION = 64


class WordEmbedder:
    """Texts that share words are near to each other, in every process alike."""

    name = "fake:words"
    dimension = DIMENSION

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        self.asked.append(list(texts))
        vectors = np.array([sum(map(_of_word, text.lower().split())) for text in texts], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    async def embed_queries(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        return await self.embed(texts)


def _of_word(word: str) -> np.ndarray[Any, Any]:
    seed = int.from_bytes(hashlib.sha256(word.strip(".,;:!?#").encode()).digest()[:8])
    return np.random.default_rng(seed).standard_normal(DIMENSION)


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
async def store(tmp_path: Path, embedder: WordEmbedder) -> AsyncIterator[QdrantEdgeStore]:
    async with await QdrantEdgeStore.open(
        tmp_path / "store", model=embedder.name, dimension=embedder.dimension
    ) as store:
        yield store
