"""Claims: an answer, cut into statements that can each be held against the evidence.

A claim is a sentence, a clause after a semicolon, or an item of a list. What states nothing is no
claim: a citation mark by itself, words that every text has (`Yes, of course.`).
A claim that is made twice counts once, so that an answer cannot better
itself by saying again what is true.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from motet.text.languages import likely_language
from motet.text.sentences import sentences
from motet_evaluator.words import Words

__all__ = ["Claim", "claims_of"]

_MARK = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")
_CLAUSE = re.compile(r"(?<=[;；؛])\s+(?=\S)")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+")


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of an answer."""

    text: str
    """Without citation marks."""
    marks: tuple[int, ...] = ()
    """The numbers of what it cites, in order."""


def claims_of(answer: str) -> list[Claim]:
    """The claims of an answer, in order."""
    language = likely_language(answer)
    found: dict[tuple[str, ...], Claim] = {}
    for piece in _pieces(answer, language):
        text = _without_marks(piece)
        marks = _marks(piece)
        key = tuple(Words(text, language).content)
        if not key:
            # A mark may stand after the full stop of what it belongs to.
            if marks and found:
                last = next(reversed(found))
                found[last] = Claim(found[last].text, _joined(found[last].marks, marks))
            continue
        before = found.get(key)
        found[key] = Claim(text, marks) if before is None else _again(before, marks)
    return list(found.values())


def _again(claim: Claim, marks: tuple[int, ...]) -> Claim:
    return Claim(claim.text, _joined(claim.marks, marks))


def _joined(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _marks(piece: str) -> tuple[int, ...]:
    numbers = (int(each) for match in _MARK.findall(piece) for each in match.split(","))
    return tuple(dict.fromkeys(numbers))


def _without_marks(piece: str) -> str:
    text = _BULLET.sub("", _MARK.sub(" ", piece))
    return re.sub(r"\s+([.,;:!?])", r"\1", " ".join(text.split()))


def _pieces(text: str, language: str | None) -> list[str]:
    """A text, cut at its lines, sentences and semicolons."""
    return [
        piece
        for line in text.splitlines()
        for sentence in sentences(line, language)
        for piece in _CLAUSE.split(sentence)
        if piece.strip()
    ]
