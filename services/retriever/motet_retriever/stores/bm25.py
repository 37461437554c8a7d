"""BM25 as every store counts words: the same stems, constants and hashes.

A passage's weights are made here and stored as a sparse vector; the store multiplies by the inverse
document frequencies, which it knows.
"""

from __future__ import annotations

import qdrant_edge as qdrant

__all__ = ["BM25", "bm25"]

BM25 = qdrant.Bm25Config(k=1.2, b=0.75, avg_len=80, language="english")
"""The usual constants of BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework",
2009, section 3.3). The engine takes the average length as given: passages of at most 200 tokens,
with title and headings, have 77 words that are no stop words on average in SciFact's abstracts.
Stop words and Snowball's stems are English."""


def bm25() -> qdrant.Bm25:
    """What turns a text into a sparse vector; it has no state."""
    return qdrant.Bm25(BM25)
