"""Support: whether evidence states a statement, in any language and without a model.

What a faithful statement copies are its numbers and names; where one of them is nowhere in the
evidence, the statement is wrong. Beyond that no rule knows what a word means. The statement is laid
beside the sentence that has most of it, and what is left over on either side tells: `at most`
against `at least`, `never` against `may`, `non-`, `except interns`, `annual` against `monthly` all
leave a word over. So a statement is FULL only when nothing is left over but words that are there
for grammar alone, and words that the question had (`known`); otherwise it is UNCLEAR.

- The same input always gives the same result. Nothing in it is followed as an instruction.
- FULL is for what evidence plainly says. A paraphrase may be UNCLEAR; what is wrong is never FULL
  for its words' likeness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from motet.text.alignment import Alignment, Stretch, align, nearest, stretches
from motet.text.folding import fold
from motet.text.items import Item, agree, is_rounded, items_of
from motet.text.languages import base_language, likely_language
from motet.text.names import names
from motet.text.numbers import quantities
from motet.text.quantity import Quantity
from motet.text.sentences import sentences
from motet.text.words import stem, tokens

__all__ = ["Degree", "Evidence", "Support", "missing_name", "missing_quantity", "support_of"]

_QUESTION_MARKS = ("?", "？", "؟")


class Degree(IntEnum):
    """How far evidence states something."""

    WRONG = 0
    """A number, a unit or a name of the statement is nowhere in the evidence."""
    UNCLEAR = 1
    """Numbers and names are there, but the words differ, or stand otherwise."""
    FULL = 2
    """One sentence or row of the evidence says it."""


@dataclass(frozen=True, slots=True)
class Support:
    """How far evidence states a statement, and why."""

    degree: Degree
    reason: str
    """One sentence for a person."""
    otherwise: bool = False
    """Whether one stretch says all of the statement but one thing, and that one otherwise: another
    limit or qualifier of a figure, a word more that negates or limits, names in another order."""


class Evidence:
    """Evidence, taken apart once for all statements that are held against it."""

    def __init__(self, text: str, language: str | None = None) -> None:
        """Keeps the text; it is taken apart when it is first needed.

        Args:
            text: One or several passages, parted by empty lines; Markdown tables are read by row.
            language: None to find out.
        """
        self.text = text
        self.language = base_language(language) or likely_language(text)

    @cached_property
    def quantities(self) -> list[Quantity]:
        """Its quantities."""
        return quantities(self.text, self.language)

    @cached_property
    def forms(self) -> frozenset[str]:
        """Its words, folded and stemmed."""
        return _all_forms(self.text, self.language)

    @cached_property
    def stretches(self) -> list[Stretch]:
        """Its sentences, pairs of them, and rows."""
        return stretches(self.text, self.language)


def support_of(
    statement: str,
    evidence: str | Evidence,
    *,
    known: str = "",
    language: str | None = None,
) -> Support:
    """How far evidence states a statement.

    Args:
        statement: One sentence or a few; the least supported one decides.
        evidence: What it may stand on; an `Evidence` where several statements stand on it.
        known: What the statement may say without evidence: the question, titles, computed values.
        language: Of the statement and the evidence; None to find out.
    """
    if isinstance(evidence, str):
        language = base_language(language) or likely_language(f"{statement}\n{evidence}")
        evidence = Evidence(evidence, language)
    language = base_language(language) or evidence.language
    parts = [part for part in sentences(statement, language) if any(True for _ in tokens(part))]
    if not parts:
        return Support(Degree.UNCLEAR, "It states nothing.")
    found = [_support(part, evidence, known, language) for part in parts]
    return min(found, key=lambda support: support.degree)


def missing_quantity(
    statement: str, evidence: Evidence, *, known: str = "", language: str | None = None
) -> str | None:
    """The number or unit of a statement that evidence has not, in a sentence; else None.

    A number that is one of the evidence's, rounded, is not missing.
    """
    language = base_language(language) or evidence.language
    free = quantities(known, language)
    for stated in quantities(statement, language):
        found = any(agree(stated, other) for other in (*evidence.quantities, *free))
        if not found and not is_rounded(stated, evidence.quantities):
            return _not_given(stated, evidence.quantities)
    return None


def missing_name(
    statement: str, evidence: Evidence, *, known: str = "", language: str | None = None
) -> str | None:
    """The name of a statement whose first word evidence has not, in a sentence; else None."""
    language = base_language(language) or evidence.language
    # The name of a month stands in a date.
    dates = " ".join(each.literal for each in quantities(statement, language))
    have = evidence.forms | _all_forms(known, language)
    for name in names(statement, language):
        # What follows may be written otherwise: `Ltd`, `Limited`.
        first = next(iter(tokens(name)), None)
        is_there = first is None or not _all_forms(first.text, language).isdisjoint(have)
        if name not in dates and not is_there:
            return f"The evidence does not name {name!r}."
    return None


def _support(statement: str, evidence: Evidence, known: str, language: str | None) -> Support:
    for missing_in in (missing_quantity, missing_name):
        missing = missing_in(statement, evidence, known=known, language=language)
        if missing is not None:
            return Support(Degree.WRONG, missing)
    stated = items_of(statement, language)
    if not stated or statement.rstrip().endswith(_QUESTION_MARKS):
        return Support(Degree.UNCLEAR, "It states nothing.")
    free = items_of(known, language)
    best: Support | None = None
    for stretch in nearest(stated, evidence.stretches):
        found = _judged(align(stated, stretch), free)
        if found.degree is Degree.FULL:
            return found
        if best is None or (found.otherwise and not best.otherwise):
            best = found
    return best or Support(Degree.UNCLEAR, "No sentence of the evidence has any of it.")


def _judged(alignment: Alignment, known: Sequence[Item]) -> Support:
    """What the alignment of a statement with one stretch of evidence says."""
    if (turned := alignment.turned()) is not None:
        first, last = turned
        reason = f"{first.text!r} and {last.text!r} stand the other way round."
        return Support(Degree.UNCLEAR, reason, otherwise=not alignment.left)
    if rivals := alignment.rivals(known):
        item, rival = rivals[0]
        reason = f"{item.text!r} is stated, and {rival.text!r} is given."
        one = len(alignment.left) == 1
        return Support(Degree.UNCLEAR, reason, otherwise=one and _excludes(item, rival, alignment))
    if alignment.is_little(known):
        return Support(Degree.UNCLEAR, "The evidence has little of it.")
    if unsaid := alignment.unsaid(known):
        limits = len(alignment.left) == 1 and unsaid[0].limits
        reason = f"Not in the same sentence: {_listed(unsaid)}."
        return Support(Degree.UNCLEAR, reason, otherwise=limits)
    if added := alignment.added(known):
        limits = any(item.limits for item in added) or _mixes(added, alignment)
        return Support(Degree.UNCLEAR, f"The evidence adds {_listed(added)}.", otherwise=limits)
    return Support(Degree.FULL, "One sentence of the evidence says it.")


def _excludes(item: Item, rival: Item, alignment: Alignment) -> bool:
    """Whether of two words in one place one is hardly another word for the other.

    So it is with words that limit (`most` and `least`), with what qualifies a figure, and with a
    word and its opposite by a prefix (`heated` and `unheated`).
    """
    if item.closed != rival.closed:
        return False
    if item.closed:
        limits = item.limits or rival.limits
        return limits or alignment.is_enclosed(item) or alignment.is_by_figure(item)
    opposite = item.key.endswith(rival.key) or rival.key.endswith(item.key)
    return opposite or alignment.has_figure


def _mixes(added: Sequence[Item], alignment: Alignment) -> bool:
    """Whether a stretch has other names and figures beside the statement's, which may be theirs."""
    named = any(item.quantity is None and item.text[:1].isupper() for item in added)
    return alignment.has_figure and named and any(item.quantity is not None for item in added)


def _listed(items: Sequence[Item]) -> str:
    return ", ".join(repr(item.text) for item in items[:5])


def _not_given(stated: Quantity, given: Sequence[Quantity]) -> str:
    values = [other for other in given if other.value == stated.value and other.unit]
    if stated.unit and values:
        return f"The evidence gives {values[0].literal!r}, not {stated.literal!r}."
    return f"The evidence does not give {stated.literal!r}."


def _all_forms(text: str, language: str | None) -> frozenset[str]:
    """The words of a text, folded and stemmed."""
    return frozenset(
        form for token in tokens(text) for form in (stem(token.text, language), fold(token.text))
    )
