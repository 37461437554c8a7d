"""Items: what a sentence is made of when it is compared with another one.

An item is a quantity, or a word that is not there for grammar alone (`motet.text.grammar`); in
languages of which those are not known, every word counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import regex

from motet.text.folding import fold
from motet.text.grammar import function_words, grammar_words
from motet.text.languages import base_language
from motet.text.numbers import quantities
from motet.text.quantity import Quantity
from motet.text.words import stem, tokens

__all__ = ["Item", "agree", "is_rounded", "items_of", "same"]

_BREAK = regex.compile(r"(?!\.)\p{Terminal_Punctuation}|[()\[\]|/…]|\s\p{Pd}\s|—")
_DASH = regex.compile(r"\s?\p{Pd}\s?")
_PREFIX, _PREFIX_SHARE = 5, 0.8
"""Characters, and share of the longer word, that two words of one family begin with alike."""


@dataclass(frozen=True, slots=True)
class Item:
    """A word or a quantity of a sentence."""

    text: str
    key: str
    """The stem of a word, folded; the canonical form of a quantity."""
    clause: int
    """The number of the clause that it stands in, from 0."""
    closed: bool = False
    """Whether the word is of those that every text has: it may negate, limit or compare."""
    limits: bool = False
    """Whether it negates or limits; of every closed word where a language's are not known."""
    label: bool = False
    """Whether it stands in the head of a table's column."""
    quantity: Quantity | None = None
    spans: bool = False
    """Whether only a dash stands between it and the quantity before: `12-15`."""

    @property
    def content(self) -> bool:
        """Whether it says something by itself."""
        return not self.closed


@cache
def _joining_words(language: str | None) -> frozenset[str]:
    """Words for `and`, at which a clause may end: those that CLDR joins lists with."""
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(language or "en")
    except (UnknownLocaleError, ValueError):
        return frozenset()
    pattern = str(locale.list_patterns["standard"].get("2", ""))
    return frozenset(fold(word) for word in regex.findall(r"\p{L}+", pattern))


def items_of(
    text: str, language: str | None, *, first_clause: int = 0, label: bool = False
) -> list[Item]:
    """The items of a sentence, in order."""
    language = base_language(language)
    found = quantities(text, language)
    ignored, common = grammar_words("grammar", language), function_words(language)
    joining, limiting = _joining_words(language), grammar_words("limiting", language)
    items: list[Item] = []
    clause, last = first_clause, 0
    for start, end, quantity in _spans(text, found):
        between = text[last:start]
        word = fold(text[start:end])
        clause += bool(_BREAK.search(between)) or (quantity is None and word in joining)
        last = end
        if quantity is not None:
            spans = bool(items and items[-1].quantity and _DASH.fullmatch(between))
            items.append(
                Item(
                    quantity.literal,
                    quantity.canonical,
                    clause,
                    label=label,
                    quantity=quantity,
                    spans=spans,
                )
            )
        elif word not in ignored and word not in joining:
            key = stem(text[start:end], language)
            closed = word in limiting or word in common
            limits = word in limiting if limiting else closed
            items.append(Item(text[start:end], key, clause, closed, limits, label))
    return items


def _spans(text: str, found: Sequence[Quantity]) -> list[tuple[int, int, Quantity | None]]:
    """Where the words and quantities of a text stand, in order."""
    spans: list[tuple[int, int, Quantity | None]] = [
        (quantity.start, quantity.end, quantity) for quantity in found
    ]
    spans += [
        (token.start, token.end, None)
        for token in tokens(text)
        if not any(token.start < each.end and each.start < token.end for each in found)
    ]
    return sorted(spans, key=lambda span: span[0])


def same(first: Item, second: Item) -> bool:
    """Whether two items say the same."""
    if first.quantity is not None and second.quantity is not None:
        return agree(first.quantity, second.quantity)
    if first.quantity is not None or second.quantity is not None:
        return False
    if first.key == second.key:
        return True
    shorter, longer = sorted((first.key, second.key), key=len)
    alike = len(shorter) if longer.startswith(shorter) else 0
    return alike >= _PREFIX and alike >= _PREFIX_SHARE * len(longer)


def agree(stated: Quantity, given: Quantity) -> bool:
    """Whether a quantity states no other than a given one: value, sign, unit, date."""
    if stated.kind == "version" or given.kind == "version":
        return stated.canonical == given.canonical
    if "date" in (stated.kind, given.kind):
        return _dates_agree(stated, given)
    if (stated.kind == "time") != (given.kind == "time"):
        return False
    if stated.units and given.units and not stated.units & given.units:
        return False
    return not {stated.value, *stated.alternatives}.isdisjoint((given.value, *given.alternatives))


def is_rounded(stated: Quantity, given: Sequence[Quantity]) -> bool:
    """Whether a quantity is one of the given ones, rounded to its last written digit.

    `12.5` is rounded from 12.48, `3.5 million` from 3,512,440; `1990` is 1990.
    """
    if stated.kind in ("date", "time", "version", "ordinal"):
        return False
    value = stated.value
    written = sum(character.isdecimal() for character in stated.literal)
    if not 0 < written <= value.adjusted():
        scale = value.as_tuple().exponent
    else:
        scale = value.normalize().as_tuple().exponent
    if not isinstance(scale, int) or value.adjusted() == scale:
        return False
    half = Decimal(5).scaleb(scale - 1)
    return any(
        other.kind not in ("date", "time", "version")
        and (not stated.units or not other.units or stated.units & other.units)
        and abs(other.value - value) <= half
        for other in given
    )


def _dates_agree(stated: Quantity, given: Quantity) -> bool:
    if stated.kind == given.kind:
        if not {stated.value, *stated.alternatives}.isdisjoint((given.value, *given.alternatives)):
            return True
        # A month is stated by any of its days, and a day by the same day with its year.
        return given.canonical.startswith(f"{stated.canonical}-") or (
            stated.canonical.startswith("--") and given.canonical.endswith(stated.canonical[1:])
        )
    # The year of a date, by itself.
    return (
        given.kind == "date"
        and stated.kind == "plain"
        and given.canonical.startswith(f"{stated.value}-")
    )
