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

from motet.text.alignment import Alignment, align, stretches
from motet.text.folding import fold
from motet.text.items import Item, agree, is_rounded, items_of
from motet.text.languages import base_language, likely_language
from motet.text.names import names
from motet.text.numbers import quantities
from motet.text.quantity import Quantity
from motet.text.sentences import sentences
from motet.text.words import stem, tokens

__all__ = ["Degree", "Support", "missing_in", "support_of"]


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
    """Whether the nearest sentence is about the same but says something else in one place: another
    word, a word more that limits or negates, names in another order."""


def support_of(
    statement: str, evidence: str, *, known: str = "", language: str | None = None
) -> Support:
    """How far evidence states a statement.

    Args:
        statement: One sentence or a few; the least supported one decides.
        evidence: One or several passages, parted by empty lines; Markdown tables are read by row.
        known: What the statement may say without evidence: the question, titles, computed values.
        language: Of the statement and the evidence; None to find out.
    """
    language = base_language(language) or likely_language(f"{statement}\n{evidence}")
    parts = [part for part in sentences(statement, language) if any(True for _ in tokens(part))]
    if not parts:
        return Support(Degree.UNCLEAR, "It states nothing.")
    found = [_support(part, evidence, known, language) for part in parts]
    return min(found, key=lambda support: support.degree)


def missing_in(
    statement: str, evidence: str, *, known: str = "", language: str | None = None
) -> str | None:
    """What makes a statement wrong: the number, unit or name that evidence has not; else None."""
    language = base_language(language) or likely_language(f"{statement}\n{evidence}")
    given = quantities(evidence, language)
    free = quantities(known, language)
    for stated in quantities(statement, language):
        if not any(agree(stated, other) for other in (*given, *free)):
            if is_rounded(stated, given):
                continue
            return _not_given(stated, given)
    return _missing_name(statement, f"{evidence}\n{known}", language)


def _support(statement: str, evidence: str, known: str, language: str | None) -> Support:
    if (missing := missing_in(statement, evidence, known=known, language=language)) is not None:
        return Support(Degree.WRONG, missing)
    stated = items_of(statement, language)
    if not stated:
        return Support(Degree.UNCLEAR, "It states nothing.")
    free = items_of(known, language)
    best: Support | None = None
    for stretch in stretches(stated, evidence, language):
        found = _judged(align(stated, stretch), free)
        if found.degree is Degree.FULL:
            return found
        best = best or found
    return best or Support(Degree.UNCLEAR, "There is no evidence.")


def _judged(alignment: Alignment, known: Sequence[Item]) -> Support:
    """What the alignment of a statement with one sentence says."""
    if (turned := alignment.turned()) is not None:
        first, last = turned
        reason = f"{first.text!r} and {last.text!r} stand the other way round."
        return Support(Degree.UNCLEAR, reason, otherwise=True)
    unsaid = alignment.unsaid(known)
    if rivals := alignment.rivals(known):
        item, rival = rivals[0]
        reason = f"{item.text!r} is stated, and {rival.text!r} is given."
        return Support(Degree.UNCLEAR, reason, otherwise=len(alignment.left) == 1)
    if unsaid:
        shown = ", ".join(repr(item.text) for item in unsaid[:5])
        return Support(Degree.UNCLEAR, f"Not in the same sentence: {shown}.")
    if added := alignment.added(known):
        shown = ", ".join(repr(item.text) for item in added[:5])
        return Support(Degree.UNCLEAR, f"The evidence adds {shown}.", otherwise=True)
    return Support(Degree.FULL, "One sentence of the evidence says it.")


def _not_given(stated: Quantity, given: Sequence[Quantity]) -> str:
    values = [other for other in given if other.value == stated.value and other.unit]
    if stated.unit and values:
        return f"The evidence gives {values[0].literal!r}, not {stated.literal!r}."
    return f"The evidence does not give {stated.literal!r}."


def _missing_name(statement: str, evidence: str, language: str | None) -> str | None:
    """A name of the statement of which evidence has no word, or an acronym that it has not."""
    # The name of a month stands in a date.
    dates = " ".join(each.literal for each in quantities(statement, language))
    found = [name for name in names(statement, language) if name not in dates]
    if not found:
        return None
    have = {form for token in tokens(evidence) for form in _forms(token.text, language)}
    for name in found:
        parts = [_forms(token.text, language) for token in tokens(name)]
        if parts and not any(form in have for forms in parts for form in forms):
            return f"The evidence does not name {name!r}."
    return None


def _forms(word: str, language: str | None) -> tuple[str, str]:
    return stem(word, language), fold(word)
