"""Phrases: what a question or a passage speaks of, told without a model.

By spelling alone, so names are found in scripts that have capital letters, and the words that say
nothing by themselves are those of English; elsewhere fewer words are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["clauses", "names_in", "phrases_in", "remaining", "terms"]

_FUNCTION_WORDS = (
    "a about after all also am an and any are as at be because been before being between both but "
    "by can could did do does during each either for from had has have he her here hers him his "
    "how however i if in into is it its just many may me might more most much must my no nor not "
    "now of off on once one only or other our out over own same she should since so some such "
    "than that the their them then there these they this those through to too under until up upon "
    "us very was we were what when where whether which while who whom whose why will with within "
    "without would you your "
)
_SAYING_NOTHING = frozenset(_FUNCTION_WORDS.split())
_WORD = re.compile(r"[^\W_]+")
_NAME = re.compile(
    r"\b[^\W\d_a-z][\w'’.-]*(?:\s+(?:(?:of|the|and|de|la|von|van|der|du|al|in|for)\s+){0,2}"
    r"[^\W\d_a-z][\w'’.-]*)*"
)
_CLAUSE = re.compile(
    r"\s*(?:[,;:()?!]|[-–—]\s|\b(?:and|but|or|because|which|who|whom|whose|that|where|when|while|if|"
    r"than|after|before|by|of|in|on|at|from|to|for|with)\b)\s*",
    re.IGNORECASE,
)


def terms(text: str) -> set[str]:
    """The words of a text that say something, plural and possessive endings left off."""
    return {_stem(word) for word in _WORD.findall(text.casefold()) if word not in _SAYING_NOTHING}


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def remaining(question: str, texts: Iterable[str]) -> str:
    """The words of a question that none of the texts has, as they stand in it."""
    known = set[str]().union(*map(terms, texts))
    words = (word.strip('?!.,;:()"“”') for word in question.split())
    return " ".join(word for word in words if (said := terms(word)) and not said <= known)


def names_in(text: str, *, known: str = "") -> list[str]:
    """Names in a text, in the order in which they first stand there.

    Args:
        text: Where to look. A word in capital letters at the beginning of a sentence counts too.
        known: Names of which it has all words are left out.
    """
    there = terms(known)
    found: dict[str, None] = {}
    for match in _NAME.finditer(text):
        words = match[0].rstrip(".'’-").split()
        while words and words[0].casefold() in _SAYING_NOTHING:
            words = words[1:]
        name = " ".join(words)
        said = terms(name)
        if said and not said <= there:
            found.setdefault(name)
    return list(found)


def clauses(question: str) -> list[str]:
    """The parts of a question between its stops, those of two terms or more."""
    parts = (part.strip() for part in re.split(r"[,;:()?!]|\s[-–—]\s", question))
    return [part for part in parts if len(terms(part)) > 1]


def phrases_in(question: str) -> list[str]:
    """The noun phrases of a question as far as spelling tells, those of two terms or more."""
    parts = (part.strip(" .'\"") for part in _CLAUSE.split(question) if part)
    return [part for part in parts if len(terms(part)) > 1]
