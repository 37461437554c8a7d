"""ICU: where words end in scripts without spaces, and numbers in words.

The only module that imports PyICU, which has no types.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import regex

__all__ = ["NumberWords", "currency_sign", "number_words", "word_boundaries"]


def word_boundaries(text: str) -> list[int]:
    """Where words begin and end in a text, by ICU's dictionaries; the first is 0."""
    if len(text) < 2:
        return [0, len(text)]
    icu = _icu()
    breaker = icu.BreakIterator.createWordInstance(icu.Locale.getRoot())
    breaker.setText(text)
    # ICU counts in UTF-16, where a character beyond the basic plane is two.
    index, place = {0: 0}, 0
    for number, character in enumerate(text, start=1):
        place += 2 if ord(character) > 0xFFFF else 1
        index[place] = number
    return [0, *(index[place] for place in breaker if place in index)]


def currency_sign(code: str) -> str:
    """The shortest sign of a currency: `$`, `zł`, `kr`; several may share one."""
    narrow = _narrow_money()
    written: str = narrow.unit(_icu().CurrencyUnit(code)).formatInt(1)
    return regex.sub(r"[\d.,\s]", "", written)


class NumberWords:
    """How a language says numbers, by the rules of the CLDR (RBNF)."""

    def __init__(self, language: str) -> None:
        icu = _icu()
        where = icu.Locale(language)
        tags = icu.URBNFRuleSetTag
        self._spelling = icu.RuleBasedNumberFormat(tags.SPELLOUT, where)
        self._counting = icu.RuleBasedNumberFormat(tags.ORDINAL, where)
        count: int = self._spelling.getNumberOfRuleSetNames()
        names: list[str] = [self._spelling.getRuleSetName(index) for index in range(count)]
        plain = [name for name in names if not regex.search("year|financial|ordinal", name)]
        self._cardinal = plain
        self._ordinal = [name for name in names if "ordinal" in name]

    def cardinals(self, number: int) -> Iterator[str]:
        """A number in words, in each gender and style."""
        for rule in self._cardinal:
            yield self._spelling.format(number, rule)

    def ordinals(self, number: int) -> Iterator[str]:
        """The same for `first`, and `1st`."""
        for rule in self._ordinal:
            yield self._spelling.format(number, rule)
        yield self._counting.format(number)


@cache
def number_words(language: str) -> NumberWords:
    """How a language says numbers; as in English where ICU does not know it."""
    return NumberWords(language)


@cache
def _narrow_money() -> Any:
    icu = _icu()
    english = icu.NumberFormatter.withLocale(icu.Locale("en"))
    return english.unitWidth(icu.UNumberUnitWidth.NARROW)


@cache
def _icu() -> Any:
    import icu

    return icu
