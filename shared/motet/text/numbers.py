"""Quantities: the numbers of a text with their sign, unit, currency and kind.

- A number is read as its language writes it; where that leaves two readings, the other ones are in
  `alternatives`, and whoever compares decides what they are worth.
- A number before which or behind which letters stand that are no unit is an identifier (`X-100`,
  `B2B`), and no quantity. No number is taken for a year because of its size.
- `text[quantity.start : quantity.end] == quantity.literal`.
- The word for one is no quantity unless a scale follows: most languages have it for an article.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import TypeVar

import regex

from motet.text.cldr import LocaleData, locale_data
from motet.text.folding import fold
from motet.text.grammar import grammar_words
from motet.text.languages import language_of
from motet.text.moments import dates_and_times
from motet.text.numerals import MAX_DIGITS, NUMERAL, ascii_digits, readings
from motet.text.quantity import Kind, Quantity
from motet.text.words import Token, tokens

__all__ = ["Kind", "Quantity", "quantities", "values"]

_Meaning = TypeVar("_Meaning")

_MINUS = "-−–‒﹣－"
_VERSION = regex.compile(
    r"(?<![\p{L}\p{N}_.])[vV]?(\d+(?:\.\d+){2,}(?:[-+][A-Za-z\d][\w.]*)?)(?![\p{L}\p{N}_])"
)
_GROUPS = regex.compile(r"\d{1,3}(?:\.\d{3})+")
_LETTER = regex.compile(r"[\p{L}\p{M}_]")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]")
_ORDINAL = regex.compile(r"[\p{L}ºª]{1,4}")
_SPACE_OR_HYPHEN = regex.compile(r"[\s\p{Pd}]")
_JOINT = regex.compile(r"\.?\s*(?:\p{L}{1,2}['’\s]\s*)?")
"""What may stand between a scale and a unit: `3 Mio. Euro`, `3 millions d'euros`."""
_SIGN = 5
"""Characters of the longest sign or code of a currency before a number."""
_LETTER_SIGN = 2
"""Characters of a sign that is likelier a unit's than a currency's, with the space before it."""
_MOST_WORDS = 8
"""Words of the longest number in words that is read."""


def quantities(text: str, language: str | None = None) -> list[Quantity]:
    """The quantities of a text, in order.

    Args:
        text: Decimal digits of any script are read.
        language: Its language; None to find out. English forms are read in every language.
    """
    data = locale_data(language or language_of(text))
    plain = ascii_digits(text)
    found = list(dates_and_times(plain, data))
    found += _outside(found, _versions(plain))
    found += _outside(found, _numerals(plain, data))
    found += _outside(found, _in_words(plain, data))
    found.sort(key=lambda quantity: quantity.start)
    return [replace(each, literal=text[each.start : each.end]) for each in found]


def values(text: str) -> set[Decimal]:
    """All values that the numbers of a text may be taken for, with and without a scale after them.

    Of `26.1 million` that is 26,100,000 and 26.1.
    """
    found: set[Decimal] = set()
    for each in quantities(text):
        found.update((each.value, *each.alternatives))
        if digits := NUMERAL.search(each.literal):
            found.update(bare.value for bare in quantities(digits[0])[:1])
    return found


def _outside(taken: list[Quantity], found: Iterator[Quantity]) -> list[Quantity]:
    """Those of the found that overlap with nothing that is taken."""
    spans = [(each.start, each.end) for each in taken]
    return [
        each
        for each in found
        if not any(each.start < end and start < each.end for start, end in spans)
    ]


def _versions(text: str) -> Iterator[Quantity]:
    for match in _VERSION.finditer(text):
        if not _GROUPS.fullmatch(match[1]):
            yield Quantity(
                kind="version",
                value=Decimal(match[1].partition(".")[0]),
                canonical=match[1],
                start=match.start(),
                end=match.end(),
                literal=match[0],
            )


def _numerals(text: str, data: LocaleData) -> Iterator[Quantity]:
    end = floor = 0
    while (match := NUMERAL.search(text, end)) is not None:
        end = match.end()
        if len(match[0]) > MAX_DIGITS:
            continue
        if (quantity := _numeral(text, match.span(), floor, data)) is not None:
            end = floor = max(end, quantity.end)
            yield quantity


def _numeral(text: str, digits: tuple[int, int], floor: int, data: LocaleData) -> Quantity | None:
    """The quantity whose digits stand somewhere; None where they are no number.

    Args:
        text: All of the text.
        digits: Where they begin and end.
        floor: Where the quantity before ends.
        data: How the language writes quantities.
    """
    begin, sign, before = _before(text, digits[0], data)
    if begin is None:
        return None
    if begin < floor:
        begin, sign, before = digits[0], 1, ()
    values = readings(text[slice(*digits)], data.language)
    return _with_unit(text, (begin, digits[1]), values, sign, before, data)


def _with_unit(
    text: str,
    span: tuple[int, int],
    values: tuple[Decimal, ...],
    sign: int,
    before: tuple[str, ...],
    data: LocaleData,
) -> Quantity | None:
    """A number with what follows it: a scale, a unit, a currency, the ending of an ordinal."""
    begin, end = span
    after = _after(text, end, data, money=bool(before))
    if after is None:
        return None
    scaled = [sign * value * after.scale for value in values]
    others = [sign * value * after.other_scale for value in values] if after.other_scale else []
    currencies = before or after.currencies
    kind: Kind = "plain"
    units: tuple[str, ...] = ()
    if currencies:
        kind, units = "money", currencies
    elif after.units:
        kind, units = ("percent" if after.units[0] == "percent" else "measure"), after.units
    elif after.ordinal:
        kind = "ordinal"
    value = scaled[0]
    alternatives = dict.fromkeys(each for each in (*scaled, *others) if each != value)
    return Quantity(
        kind=kind,
        value=value,
        unit=units[0] if units else None,
        units=frozenset(units),
        alternatives=tuple(alternatives),
        canonical=f"{value:f}",
        start=begin,
        end=after.end,
        literal=text[begin : after.end],
    )


def _before(text: str, start: int, data: LocaleData) -> tuple[int | None, int, tuple[str, ...]]:
    """Where a number begins with its sign and currency, the sign, and the currencies.

    The place is None where digits belong to an identifier.
    """
    place = _minus_sign(text, start, data)
    sign = -1 if place < start else 1
    money, currencies = _currency_before(text, place, data)
    if currencies:
        place = _minus_sign(text, money, data) if sign == 1 else money
        sign = -1 if place < money else sign
    elif sign == 1 and _joins(text, place):
        return None, 1, ()
    if sign == 1:
        place, sign = _minus_word(text, place, data)
    return place, sign, currencies


def _currency_before(text: str, place: int, data: LocaleData) -> tuple[int, tuple[str, ...]]:
    """Where the name of a currency begins that ends at a place or a space before it."""
    for end in (place, place - 1):
        if end != place and not text[end:place].isspace():
            continue
        for start in range(max(0, end - _SIGN), end):
            name = text[start:end]
            joined = _is_letter(name[0]) and start > 0 and _is_letter(text[start - 1])
            if name == name.strip() and not joined and (found := data.currencies.get(name)):
                return start, found
    return place, ()


def _joins(text: str, place: int) -> bool:
    """Whether the digits at a place are a part of an identifier, as in `X-100` or `B2B`."""
    if place and _is_letter(text[place - 1]):
        return True
    if place < 2:
        return False
    last, previous = text[place - 1], text[place - 2]
    return (last in "-_/.@#" and _is_letter(previous)) or (last == "." and previous.isdecimal())


def _is_letter(character: str) -> bool:
    """Whether a character joins what is written beside it to one word."""
    return _LETTER.match(character) is not None and not _UNSPACED.match(character)


def _minus_sign(text: str, place: int, data: LocaleData) -> int:
    """Where a number begins that may have a sign before it."""
    signed = place > 0 and text[place - 1] in _MINUS and _free(text, place - 1, data)
    return place - 1 if signed else place


def _free(text: str, place: int, data: LocaleData) -> bool:
    """Whether a dash at this place is a sign, and does not join what is on both sides of it."""
    previous = text[place - 1 : place]
    if not previous or previous.isspace() or previous in "([{|,;:=~<>≤≥≈\"'“„«":
        return True
    return bool(data.currencies.get(previous)) and not previous.isalnum()


def _minus_word(text: str, place: int, data: LocaleData) -> tuple[int, int]:
    """Where a number begins with a word such as `minus`, and its sign."""
    head = text[max(0, place - 16) : place].rstrip()
    for word in data.minus:
        if fold(head[-len(word) :]) == word and not _LETTER.match(head[: -len(word)][-1:] or " "):
            return max(0, place - 16) + len(head) - len(word), -1
    return place, 1


@dataclass(frozen=True, slots=True)
class _After:
    """What follows the digits of a number."""

    end: int
    scale: Decimal = Decimal(1)
    other_scale: Decimal | None = None
    """A scale by which it may be read too."""
    units: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    ordinal: bool = False


def _after(text: str, end: int, data: LocaleData, *, money: bool) -> _After | None:
    """Reads what follows digits; None where they are the beginning of an identifier."""
    if (ordinal_end := _ordinal(text, end, data)) is not None:
        return _After(ordinal_end, ordinal=True)
    scale_end, scale = _scale(text, end, data)
    unit_end, units = _name(text, end, data.units.get, data.units.longest)
    glued = _is_letter(text[end : end + 1])
    if units and not glued and fold(text[end:unit_end].strip()) in _grammar(data.language):
        # `480 in 2023` are no inches.
        unit_end, units = end, ()
    if scale is not None and (not units or unit_end <= scale_end):
        # `300K` is three hundred thousand, and `300 K` a temperature.
        is_main = glued and text[end:scale_end] in data.main_scales
        if money or not units or is_main:
            other = Decimal(1) if units and not money else None
            return _after_scale(text, scale_end, scale, other, data)
        return _After(unit_end, other_scale=scale, units=units)
    return _after_unit(text, end, (unit_end, units), data, money=money)


def _after_unit(
    text: str, end: int, unit: tuple[int, tuple[str, ...]], data: LocaleData, *, money: bool
) -> _After | None:
    """Reads a unit or a currency behind digits."""
    unit_end, units = unit
    money_end, currencies = _name(text, end, data.currencies.get, data.currencies.longest)
    if currencies and money_end >= unit_end and not money:
        if money_end > unit_end:
            return _After(money_end, currencies=currencies)
        # `20 pounds` are money or a weight, and `2 L` litres or lempiras.
        if money_end - end > _LETTER_SIGN:
            return _After(money_end, currencies=currencies + units)
        return _After(unit_end, units=units + currencies)
    if units:
        return _After(unit_end, units=units)
    return None if _is_letter(text[end : end + 1]) else _After(end)


def _ordinal(text: str, end: int, data: LocaleData) -> int | None:
    """Where the ending of an ordinal number ends that follows digits, as in `21st`."""
    ending = _ORDINAL.match(text, end)
    if ending is None:
        return None
    digits = end
    while digits and text[digits - 1].isdecimal():
        digits -= 1
    return ending.end() if _spelled_key(text[digits : ending.end()]) in data.ordinals else None


def _after_scale(
    text: str, end: int, scale: Decimal, other: Decimal | None, data: LocaleData
) -> _After:
    """A scale with what follows it: `million euros`, `millions d'euros`, `bn kg`."""
    joint = _JOINT.match(text, end)
    starts = dict.fromkeys((end, joint.end() if joint else end))
    for start in starts:
        money_end, currencies = _name(text, start, data.currencies.get, data.currencies.longest)
        if currencies:
            return _After(money_end, scale, other, currencies=currencies)
    for start in starts:
        unit_end, units = _name(text, start, data.units.get, data.units.longest)
        if units:
            return _After(unit_end, scale, other, units=units)
    return _After(end, scale, other)


def _scale(text: str, end: int, data: LocaleData) -> tuple[int, Decimal | None]:
    def get(name: str) -> tuple[Decimal, ...]:
        found = data.scales.get(name)
        if found is None and len(name) > 1:
            found = data.scales.get(fold(name))
        return () if found is None else (found,)

    place, found = _name(text, end, get, 16)
    return place, found[0] if found else None


def _name(
    text: str, end: int, get: Callable[[str], tuple[_Meaning, ...]], longest: int
) -> tuple[int, tuple[_Meaning, ...]]:
    """The longest name that follows a place, perhaps after a space or a hyphen, and its end."""
    start = end + 1 if _SPACE_OR_HYPHEN.match(text, end) else end
    for stop in range(min(len(text), start + longest), start, -1):
        last, following = text[stop - 1], text[stop : stop + 1]
        joined = _is_letter(last) and (_LETTER.match(following) or following.isdecimal())
        if not joined and not last.isspace() and (found := get(text[start:stop])):
            return stop, found
    return end, ()


def _in_words(text: str, data: LocaleData) -> Iterator[Quantity]:
    """Numbers in words, with what follows them."""
    if not data.spelled:
        return
    if (ideographs := _ideographs(data.language)) is not None:
        for run in ideographs.finditer(text):
            if (number := data.spelled.get(run[0])) is None or run[0].isdecimal():
                continue
            quantity = _with_unit(text, run.span(), (Decimal(number),), 1, (), data)
            # One character may be a part of a word.
            if quantity and (len(run[0]) > 1 or quantity.end > run.end()):
                yield quantity
        return
    heads = _heads(data.language)
    all_tokens = list(tokens(text))
    index = 0
    while index < len(all_tokens):
        used = 0
        if _spelled_key(all_tokens[index].text) in heads:
            used, quantity = _spelled_at(text, all_tokens[index : index + _MOST_WORDS], data)
            if quantity is not None:
                yield quantity
        index += max(1, used)


def _spelled_at(text: str, ahead: list[Token], data: LocaleData) -> tuple[int, Quantity | None]:
    start = ahead[0].start
    for count in range(len(ahead), 0, -1):
        end = ahead[count - 1].end
        key = _spelled_key(text[start:end])
        number = data.spelled.get(key)
        if number is None:
            if (place := data.ordinals.get(key)) is not None:
                return count, Quantity(
                    kind="ordinal",
                    value=Decimal(place),
                    canonical=str(place),
                    start=start,
                    end=end,
                    literal=text[start:end],
                )
            continue
        begin, sign = _minus_word(text, start, data)
        quantity = _with_unit(text, (begin, end), (Decimal(number),), sign, (), data)
        if quantity is None or (number == 1 and quantity.value == 1):
            return count, None
        return count, quantity
    return 0, None


def _grammar(language: str) -> frozenset[str]:
    return grammar_words("grammar", language)


@lru_cache(maxsize=64)
def _heads(language: str) -> frozenset[str]:
    """First words of numbers in words."""
    data = locale_data(language)
    return frozenset(key.split(" ")[0] for words in (data.spelled, data.ordinals) for key in words)


@lru_cache(maxsize=64)
def _ideographs(language: str) -> regex.Pattern[str] | None:
    """A run of the characters that numbers in words are made of, where words are not parted."""
    keys = locale_data(language).spelled
    characters = {character for key in keys for character in key if _UNSPACED.match(character)}
    if len(characters) * 2 < len({character for key in keys for character in key}):
        return None
    return regex.compile(f"[{regex.escape(''.join(sorted(characters)))}]+")


def _spelled_key(text: str) -> str:
    return " ".join(fold(text.replace("\u00ad", "")).replace("-", " ").split())
