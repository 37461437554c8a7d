"""BM25 over passages in memory.

Okapi BM25 with the idf of Lucene, `ln(1 + (N - n + 0.5) / (n + 0.5))`, k1 = 1.5, b = 0.75
(Robertson and Zaragoza, 2009).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motet.text.words import term_list

__all__ = ["Bm25", "terms"]

K1 = 1.5
B = 0.75


def terms(text: str) -> Counter[str]:
    """The terms of a text in its own language (`motet.text.words`)."""
    return Counter(term_list(text))


class Bm25:
    """An index that does not change."""

    def __init__(self, texts: Sequence[Counter[str]]) -> None:
        self._count = len(texts)
        lengths = np.array([text.total() for text in texts], np.float32)
        mean = float(lengths.mean()) if len(texts) else 1.0
        self._norm = K1 * (1 - B + B * lengths / max(mean, 1.0))
        postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for place, text in enumerate(texts):
            for term, count in text.items():
                postings[term].append((place, count))
        self._postings = {term: np.array(rows, np.int32) for term, rows in postings.items()}

    def scores(self, query: str) -> NDArray[np.float32]:
        """The score of every text."""
        total = np.zeros(self._count, np.float32)
        for term, times in terms(query).items():
            rows = self._postings.get(term)
            if rows is None:
                continue
            places, counts = rows[:, 0], rows[:, 1].astype(np.float32)
            total[places] += (
                times * self._idf(len(rows)) * counts * (K1 + 1) / (counts + self._norm[places])
            )
        return total

    def idf(self, term: str) -> float:
        """How much a term tells; 0 where no text has it."""
        rows = self._postings.get(term)
        return 0.0 if rows is None else self._idf(len(rows))

    def _idf(self, texts: int) -> float:
        return float(np.log(1 + (self._count - texts + 0.5) / (texts + 0.5)))
