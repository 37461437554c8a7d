"""BM25 as every store counts words: the same terms, constants and hashes.

A passage's weights are made here and stored as a sparse vector; the store multiplies by the inverse
document frequencies, which it knows.

Invariants:

- A passage has the terms of its own language (`motet.text.words`): stems without stop words, and
  pairs of characters where words are not parted by spaces.
- A question is asked with the terms of its language, and for passages of others with the stems that
  its words have there: a word that is spelled alike is found in a passage of any language.
- Weights of two versions do not compare; a collection has those of one (`EmbeddingModel.words`).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from functools import lru_cache
from typing import Protocol

import qdrant_edge as qdrant
import regex
from typing_extensions import override

from motet.text.languages import base_language, language_of
from motet.text.words import fold, stem, stemmed_languages, stop_words, term_list, words

__all__ = ["WORDS", "Bm25", "bm25"]

WORDS = 2
"""The version of what terms passages have. 1 was English stems of Qdrant's engine."""
K = 1.2
B = 0.75
"""The usual constants of BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework",
2009, section 3.3)."""
MEAN = 80
"""Terms of a passage on average, which is taken as given: passages of at most 200 tokens, with
title and headings, have 75 on average in SciFact's abstracts."""
UNTOLD = "en"
"""The language of what is too short to tell it."""
OTHER = 0.3
"""How much a stem of another language counts, where the question's own language counts 1."""
QUESTIONS = 2048
"""Questions whose terms are remembered."""
_PART = re.compile(r"[^\W_]+")
_HAN = regex.compile(r"\p{Han}")


class Bm25(Protocol):
    """Turns texts into sparse vectors."""

    def embed_document(self, text: str, language: str | None) -> qdrant.SparseVector:
        """The weights of a passage's terms, by their hashes; empty where it has none."""
        ...

    def embed_query(self, text: str) -> qdrant.SparseVector:
        """The weights of a question's terms."""
        ...


def bm25(version: int = WORDS) -> Bm25:
    """What counts words as a version does."""
    return _EnglishBm25() if version == 1 else _Bm25()


class _Bm25(Bm25):
    @override
    def embed_document(self, text: str, language: str | None) -> qdrant.SparseVector:
        counts = Counter(_terms(text, base_language(language) or language_of(text) or UNTOLD))
        norm = K * (1 - B + B * counts.total() / MEAN)
        # A word of one character is in no pair; a question that is one asks for it.
        counts.update(_HAN.findall(fold(text)))
        return _vector({term: n * (K + 1) / (n + norm) for term, n in counts.items()})

    @override
    def embed_query(self, text: str) -> qdrant.SparseVector:
        return _vector(_asked(text))


@lru_cache(QUESTIONS)
def _asked(question: str) -> dict[str, float]:
    own = language_of(question)
    weights = dict.fromkeys(_terms(question, own or UNTOLD), 1.0)
    weight = 1.0 if own is None else OTHER
    ignored = stop_words(own)
    # Where the language is told, only what may be a name stands in texts of another one.
    likely = [
        word
        for word in words(question)
        if (own is None or not word.islower()) and fold(word) not in ignored
    ]
    for language in stemmed_languages():
        for word in likely:
            weights.setdefault(stem(word, language), weight)
    return weights


def _terms(text: str, language: str) -> list[str]:
    """The terms of a text, and those of the parts of an identifier: `X-100` is found by `100`."""
    found = term_list(text, language)
    for term in list(found):
        parts = _PART.findall(term)
        if len(parts) > 1:
            found += (stem(part, language) for part in parts)
    return found


def _vector(weights: dict[str, float]) -> qdrant.SparseVector:
    # Two terms of one text with the same hash are as good as never.
    hashed = {_hash(term): weight for term, weight in weights.items()}
    return qdrant.SparseVector([*hashed], [*hashed.values()])


@lru_cache(1 << 16)
def _hash(term: str) -> int:
    return int.from_bytes(hashlib.blake2b(term.encode(), digest_size=4).digest())


class _EnglishBm25(Bm25):
    """As collections of the first version were made, which serve until they are migrated."""

    def __init__(self) -> None:
        self._engine = qdrant.Bm25(qdrant.Bm25Config(k=K, b=B, avg_len=MEAN, language="english"))

    @override
    def embed_document(self, text: str, language: str | None) -> qdrant.SparseVector:
        return self._engine.embed_document(text)

    @override
    def embed_query(self, text: str) -> qdrant.SparseVector:
        return self._engine.embed_query(text)
