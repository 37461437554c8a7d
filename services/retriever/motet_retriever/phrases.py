"""Phrases: what a question or a passage speaks of, told without a model (`motet.text`)."""

from __future__ import annotations

from collections.abc import Iterable

import regex

from motet.text.languages import language_of
from motet.text.names import name_spans
from motet.text.words import fold, stop_words, tokens
from motet.text.words import terms as terms_of

__all__ = ["clauses", "names_in", "phrases_in", "remaining", "terms"]

_STOP = regex.compile(r"[[\p{Po}\p{Ps}\p{Pe}]--[.'’\"&@/%#*]]|\s\p{Pd}\s", regex.VERSION1)
"""Punctuation that ends a part of a sentence."""
_AROUND = regex.compile(r"^[\p{P}--#]+|[\p{P}--#]+$", regex.VERSION1)
UNTOLD = "en"
"""The language of what is too short to tell it."""


def terms(text: str, language: str | None = None) -> frozenset[str]:
    """The terms of a text: stems of words that say something, numbers, identifiers."""
    return terms_of(text, language or language_of(text) or UNTOLD)


def remaining(question: str, texts: Iterable[str]) -> str:
    """The words of a question that none of the texts has, as they stand in it."""
    language = language_of(question) or UNTOLD
    known = frozenset[str]().union(*(terms(text, language) for text in texts))
    words = (_AROUND.sub("", word) for word in question.split())
    return " ".join(word for word in words if (said := terms(word, language)) and not said <= known)


def names_in(text: str, *, known: str = "") -> list[str]:
    """Names in a text, in the order in which they first stand there.

    Args:
        text: Where to look. A word in capital letters at the beginning of a sentence counts too.
        known: Names of which it has all words are left out.
    """
    language = language_of(text) or UNTOLD
    there = terms(known, language)
    found: dict[str, None] = {}
    for span in name_spans(text, language, eager=True):
        said = terms(span.text, language)
        if said and not said <= there:
            found.setdefault(span.text)
    return list(found)


def clauses(question: str) -> list[str]:
    """The parts of a question between its stops, those of two terms or more."""
    language = language_of(question) or UNTOLD
    parts = (part.strip() for part in _STOP.split(question))
    return [part for part in parts if len(terms(part, language)) > 1]


def phrases_in(question: str) -> list[str]:
    """The runs of words between words that say nothing, those of two terms or more."""
    language = language_of(question) or UNTOLD
    ignored = stop_words(language)
    runs: list[list[int]] = []
    goes_on = False
    for token in tokens(question):
        if fold(token.text) in ignored:
            goes_on = False
            continue
        if goes_on and not _STOP.search(question, runs[-1][1], token.start):
            runs[-1][1] = token.end
        else:
            runs.append([token.start, token.end])
        goes_on = True
    parts = (question[begin:stop] for begin, stop in runs)
    return [part for part in parts if len(terms(part, language)) > 1]
