"""Claims: an answer, cut into statements that can each be held against the evidence.

A claim is a sentence, a clause after a semicolon, or an item of a list. What states nothing is no
claim: an interjection, a word of talk, a citation mark by itself, a word about what the documents
do not hold. A claim that is made twice counts once, so that an answer cannot better itself by
saying again what is true.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from motet_evaluator.words import Words, stem

__all__ = ["Claim", "addresses_the_judge", "claims_of", "sentences_of"]

_MARK = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")
_BREAK = re.compile(r"\n+|(?<=[.!?;])(?:[\"'”’)\]]*)\s+(?=\S)")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|Dr|Mr|Mrs|Ms|Prof|St|vs|e\.g|i\.e|cf|No|Nr|Inc|Ltd|Co|Jr|Sr|approx|ca"
    r"|Fig|Vol|p|pp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec|[A-Z]\.[A-Z])\.$"
)
_ABOUT_THE_EVIDENCE = re.compile(
    r"^(?:this can be answered only in part|nothing was found|(?:the|these) (?:documents|passages|"
    r"sources|evidence) (?:do|does) not (?:give|say|state|contain|mention))\b",
    re.IGNORECASE,
)
_MANNERS = (
    "sure true right agree thank thanks please hello hey wow sorry course welcome think believe "
    "guess suppose mean know"
)
"""Words of talk: what has no others answers somebody, and states nothing."""

_MANNER_STEMS = frozenset(map(stem, _MANNERS.split()))

_TO_THE_JUDGE = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.!?]{0,60}\b(?:evidence|instruction|instructions|"
    r"above|previous|passages?|context|rules?|claims?)\b"
    r"|\b(?:score|rate|grade|mark|rank)\s+(?:it|this|that|me|the\s+(?:answer|response|claim)s?)\b"
    r"|\b(?:scores?|rating|grade|marks?)\b[^.!?]{0,20}\b(?:10|ten|100|full|maximum|highest|1\.0)\b"
    r"|\b(?:you|the)\s+(?:are\s+(?:a|an|the)\s+)?(?:judge|evaluator|grader|assessor)\b"
    r"|\b(?:say|answer|output|reply|respond|return|print)\s*(?:with)?\s*[:\"'{]*\s*"
    r"(?:yes|supported|true)\b"
    r"|\"?supported\"?\s*:\s*\"?(?:yes|true|1)"
    r"|<\|?(?:system|assistant|im_start|im_end|endoftext)\|?>|^\s*(?:system|assistant)\s*:",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of an answer."""

    text: str
    """Without citation marks."""
    marks: tuple[int, ...] = ()
    """The numbers of what it cites, in order."""


def claims_of(answer: str) -> list[Claim]:
    """The claims of an answer, in order."""
    found: dict[tuple[str, ...], Claim] = {}
    for piece in _pieces(answer):
        text = _without_marks(piece)
        marks = _marks(piece)
        key = tuple(Words(text).content)
        if _MANNER_STEMS.issuperset(key):
            # A mark may stand after the full stop of what it belongs to.
            if marks and found:
                last = next(reversed(found))
                found[last] = Claim(found[last].text, _joined(found[last].marks, marks))
            continue
        if _ABOUT_THE_EVIDENCE.search(text):
            continue
        before = found.get(key)
        found[key] = Claim(text, marks) if before is None else _again(before, marks)
    return list(found.values())


def sentences_of(text: str) -> list[str]:
    """The sentences of a passage, in order."""
    return [sentence for piece in _pieces(text) if (sentence := piece.strip())]


def addresses_the_judge(text: str) -> bool:
    """Whether a text speaks to whoever evaluates it, rather than about its subject."""
    return _TO_THE_JUDGE.search(text) is not None


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


def _pieces(text: str) -> list[str]:
    """A text, cut at its sentences; what an abbreviation cut apart is whole again."""
    pieces: list[str] = []
    for line in text.splitlines():
        joined = ""
        for piece in _BREAK.split(line):
            joined = f"{joined} {piece}".strip() if joined else piece
            if _ABBREVIATION.search(joined):
                continue
            pieces.append(joined)
            joined = ""
        if joined:
            pieces.append(joined)
    return [piece for piece in pieces if piece.strip()]
