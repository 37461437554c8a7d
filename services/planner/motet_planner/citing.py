"""Citing: the marks in a model's text become numbered citations, each held to its passage.

What always holds: the model's words stay as they are. Only marks change: one that names a passage
becomes its number, one that names none is taken out. Whether a passage holds what is said before
its mark is decided without a model and told by `Citation.supported`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from motet.messages import Citation
from motet.text.numbers import values
from motet.text.sentences import sentences
from motet.text.support import Degree, Evidence, support_of
from motet.text.words import coverage
from motet_planner.evidence import PassageData, heading_of

__all__ = ["Cited", "cite", "literal"]

_MARK = r"(?:p[0-9a-f]{6}|\d{1,3})"
_MARKS = re.compile(rf"[ \t]*[\[(]({_MARK}(?:[\],;\s\[]+{_MARK})*)[\])]")
_BARE_NUMBERS = re.compile(r"[ \t]*\([\d,;\s]+\)")
_ENDS = ".!? \u3002\uff01\uff1f\u061f\u06d4\u0964"
"""Ends of sentences in many scripts: a number stands before them."""
_ATTRIBUTED = 12
"""Sentences of a text without marks whose passages are looked for, at most."""
_MUCH = 0.5
"""Share of a statement's terms that a passage must have more of to be taken for its source."""


@dataclass(frozen=True)
class Cited:
    """A text with numbered citations."""

    text: str
    citations: tuple[Citation, ...] = ()


class _Held:
    """Passages by their marks, each taken apart once."""

    def __init__(self, passages: Mapping[str, PassageData], known: str) -> None:
        self.passages = passages
        self._known = known
        self._evidence: dict[tuple[str, ...], Evidence] = {}

    def degree(self, statement: str, *marks: str) -> Degree:
        """How far passages together state something."""
        if marks not in self._evidence:
            words = "\n\n".join(_words(self.passages[mark]) for mark in marks)
            self._evidence[marks] = Evidence(words)
        return support_of(statement, self._evidence[marks], known=self._known).degree


@dataclass
class _Use:
    """A cited passage, and what was said with it."""

    passage: PassageData
    statements: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Each with the marks that it has: several passages may hold it together."""
    figures: list[str] = field(default_factory=list)
    """What it has of a computation: where a statement's value comes from."""


def cite(
    text: str,
    passages: Mapping[str, PassageData],
    *,
    quotes: Mapping[str, Sequence[str]] | None = None,
    known: str = "",
    computed: Mapping[str, Sequence[str]] | None = None,
) -> Cited:
    """Numbers the citations of a text, in the order of first use.

    Args:
        text: The model's words, with marks such as `[p1a2b3c]` or `[2]`.
        passages: By mark.
        quotes: By mark, the words that the model says it found in the passage.
        known: What a statement may say beside its passage: the question, and computed values.
        computed: Values, with the figures that they were computed from: a sentence without a mark
            that tells one gets the passages that have its figures.
    """
    held = _Held(passages, known)
    uses: dict[str, _Use] = {}
    parts: list[str] = []
    statement, last = "", 0
    for found in _MARKS.finditer(text):
        if _BARE_NUMBERS.fullmatch(found[0]):
            continue  # an amount in parentheses, not a mark
        before = text[last : found.start()]
        statement = _statement(before) or statement
        last = found.end()
        numbers = ""
        marks = dict.fromkeys(mark for mark in re.findall(_MARK, found[1]) if mark in passages)
        for mark in marks:
            use = uses.setdefault(mark, _Use(passages[mark]))
            use.statements[statement] = tuple(marks)
            numbers += f"[{list(uses).index(mark) + 1}]"
        parts += [before, f" {numbers}" if numbers else ""]
    parts.append(text[last:])
    if not uses:
        return _attributed("".join(parts).strip(), held, quotes or {}, computed or {})
    citations = (
        _citation(number, use, (quotes or {}).get(mark, ()), held)
        for number, (mark, use) in enumerate(uses.items(), 1)
    )
    return Cited("".join(parts).strip(), tuple(citations))


def _statement(text: str) -> str:
    """The last sentence before a mark."""
    return next((each.strip() for each in reversed(sentences(text)) if each.strip(" .!?")), "")


def _attributed(
    text: str,
    held: _Held,
    quotes: Mapping[str, Sequence[str]],
    computed: Mapping[str, Sequence[str]],
) -> Cited:
    """A text without marks: each sentence gets the passage that it stands on, if one is found."""
    uses: dict[str, _Use] = {}
    pieces: list[str] = []
    last = 0
    for sentence in sentences(text)[:_ATTRIBUTED]:
        statement = sentence.strip()
        at = text.find(statement, last)
        if at < 0 or not statement.strip(" .!?"):
            continue
        told = values(statement)
        figures = [
            figure
            for result, from_ in computed.items()
            if told & values(result)
            for figure in from_
        ]
        if figures:
            marks = _having(figures, held)
        elif held.degree(statement) == Degree.FULL:
            marks = []
        else:
            marks = [each for each in [_supporting(statement, held, quotes)] if each is not None]
            marks = marks or list(quotes)
        if not marks:
            continue
        for mark in marks:
            use = uses.setdefault(mark, _Use(held.passages[mark]))
            if figures:
                use.figures += figures
            else:
                use.statements[statement] = tuple(marks)
        numbers = "".join(f"[{list(uses).index(mark) + 1}]" for mark in marks)
        pieces.append(_with_numbers(text[last:at] + statement, numbers))
        last = at + len(statement)
    citations = (
        _citation(number, use, quotes.get(mark, ()), held)
        for number, (mark, use) in enumerate(uses.items(), 1)
    )
    return Cited("".join(pieces) + text[last:], tuple(citations))


def _supporting(statement: str, held: _Held, quotes: Mapping[str, Sequence[str]]) -> str | None:
    """The mark of the passage that a statement stands on; quoted ones come first.

    That is one that says it for sure, else the one that has most of its words, unless a figure or a
    name of it is not there.
    """
    best, most = None, _MUCH
    for mark in sorted(held.passages, key=lambda mark: mark not in quotes):
        match held.degree(statement, mark):
            case Degree.FULL:
                return mark
            case Degree.UNCLEAR if (
                share := coverage(statement, _words(held.passages[mark]))
            ) > most:
                best, most = mark, share
            case _:
                pass
    return best


def _having(figures: Sequence[str], held: _Held) -> list[str]:
    """The marks of passages that have figures: for each the first one."""
    found: dict[str, None] = {}
    for figure in figures:
        wanted = values(figure)
        for mark, passage in held.passages.items():
            if wanted & values(_words(passage)):
                found[mark] = None
                break
    return list(found)


def _with_numbers(statement: str, numbers: str) -> str:
    body = statement.rstrip(_ENDS)
    return f"{body} {numbers}{statement[len(body) :]}"


def _words(passage: PassageData) -> str:
    return f"{heading_of(passage)}\n{passage['text']}"


def _citation(number: int, use: _Use, quotes: Sequence[str], held: _Held) -> Citation:
    passage, said = use.passage, " ".join((*use.statements, *use.figures))
    found = [words for quote in quotes if (words := literal(quote, passage["text"]))]
    degrees = [held.degree(each, *marks) for each, marks in use.statements.items() if each]
    supported: bool | None = None
    if Degree.WRONG in degrees or len(found) < len(quotes):
        supported = False
    elif (degrees or use.figures) and all(each == Degree.FULL for each in degrees):
        supported = True
    return Citation(
        number=number,
        passage_id=passage["id"],
        source=passage["source"],
        title=passage["title"],
        quote=_fitting(found or sentences(passage["text"]), said) or passage["text"],
        start=passage.get("start", 0),
        end=passage.get("end", 0),
        start_s=passage.get("start_s"),
        end_s=passage.get("end_s"),
        supported=supported,
    )


def _fitting(candidates: Sequence[str], said: str) -> str:
    """The words of a passage that have most of what was said."""
    stripped = [each.strip() for each in candidates if each.strip()]
    return max(stripped, key=lambda each: coverage(said, each), default="")


def literal(quote: str, text: str) -> str:
    """The part of a text that a quote repeats letter by letter, but for spaces; empty for none.

    A figure is not found within a longer one.
    """
    words = unicodedata.normalize("NFC", quote).strip(" .…\"'“”„«»").split()
    if not words:
        return ""
    pattern = r"\s+".join(map(re.escape, words))
    pattern = rf"(?<!\d)(?<!\d[.,]){pattern}" if words[0][0].isdigit() else pattern
    pattern = rf"{pattern}(?![.,]?\d)" if words[-1][-1].isdigit() else pattern
    found = re.search(pattern, unicodedata.normalize("NFC", text))
    return found[0] if found else ""
