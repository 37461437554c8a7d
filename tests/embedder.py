"""An embedding model for tests: no weights, and the same vectors in every process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["LetterEmbedder"]


class LetterEmbedder:
    """Texts with like letters are near to each other."""

    name = "fake:letters"
    dimension = 26

    async def embed(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        """See `motet.models.Embedder`."""
        counts = [[1 + text.lower().count(chr(97 + n)) for n in range(26)] for text in texts]
        vectors = np.array(counts, np.float32).reshape(-1, 26)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    async def embed_queries(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        """See `motet.models.Embedder`."""
        return await self.embed(texts)
