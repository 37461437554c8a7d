"""Numbers as people write them, and as Motet writes them.

What is read, everywhere a tool takes a number as text:

- decimal digits with an optional point and exponent: `1250.5`, `.5`, `2.5e-3`;
- thousands separators in groups of exactly three, by commas, points, spaces or apostrophes, and a
  comma as the decimal sign, where that can be read in one way: `1,250.50`, `1.250,50`, `1'250.50`,
  `1 250,5`, `3,2`, `12,50,000`;
- a currency sign or an ISO code before or after, which is dropped but remembered: `$3.20`,
  `CHF 5`, `4500 SEK`;
- a scale: the words that CLDR has for it in the language, such as `million`, or k, K, M, mn, bn, B,
  T right behind the digits. A small `m` is a million of a currency, and else refused, since it may
  be milli or million;
- a percent sign, which divides by 100 and is remembered: `12%` is 0.12;
- a sign, in ASCII or Unicode, or accounting parentheses: `-5`, `(1,234)`.

`1,250` and `1.250` have two readings, which the language tells apart: without one they are 1250 and
1.25, as in English. A numeral has at most `MAX_DIGITS` digits before and after its point, so that
reading one takes bounded time and memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import NamedTuple

from motet_tool_executor.locale_data import (
    CURRENCY_SIGNS,
    DEFAULT,
    currency_code,
    decimal_comma,
    is_currency,
    percent_words,
    scales,
)
from motet_tool_executor.written_dates import DATES_HINT, date_at

__all__ = [
    "DIGITS",
    "DIGITS_OF_ARGUMENTS",
    "MAX_DIGITS",
    "SIGNIFICANT_DIGITS",
    "Numeral",
    "NumeralError",
    "decimal_text",
    "digits_fraction",
    "parse_numeral",
    "rounded_text",
    "scale_of",
]

MAX_DIGITS = 1000
"""Most digits of a number, before the point and after it, and of either part of a fraction."""
SIGNIFICANT_DIGITS = 28
"""Digits of a value that cannot be written exactly; Python's own default for decimals."""
_MAX_CHARACTERS = 2 * MAX_DIGITS
_MILLION = 10**6
_GROUP = 3
"""Digits between separators of thousands."""
_PLAIN_EXPONENT = 40
"""Numbers beyond ten to this power, either way, are written with an exponent."""
_ABBREVIATED_SCALES = {
    "k": 10**3,
    "K": 10**3,
    "M": 10**6,
    "mn": 10**6,
    "bn": 10**9,
    "B": 10**9,
    "T": 10**12,
}
_ENGLISH = r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]*)?"
_GROUPED = r"""
    [0-9]{1,3}(?:\.[0-9]{3}){2,}(?![0-9.])
    | [0-9]{1,3}(?:['_][0-9]{3})+(?![0-9])(?:[.,][0-9]+)?
    | [0-9]{1,3}(?:[\u00a0\u202f\u2009][0-9]{3})+(?![0-9])(?:[.,][0-9]+)?
"""
_PLAIN = r"[0-9]+(?:\.[0-9]*)? | \.[0-9]+"
DIGITS_OF_ARGUMENTS = rf"{_ENGLISH} | {_GROUPED} | {_PLAIN}"
"""Digits with their separators, for a verbose pattern, where a comma also parts arguments."""
DIGITS = rf"""
    {_ENGLISH}
    | [0-9]{{1,3}}(?:\.[0-9]{{3}})+,[0-9]+
    | [0-9]{{1,2}}(?:,[0-9]{{2}})+,[0-9]{{3}}(?![0-9])(?:\.[0-9]+)?
    | {_GROUPED}
    | [0-9]+,[0-9]+(?![0-9,])
    | {_PLAIN}
"""
"""The same where it does not."""
_SPACED = r"[0-9]{1,3}(?:[ ][0-9]{3})+(?![0-9])(?:[.,][0-9]+)?"
_SAME_SIGN = str.maketrans(
    {"\u2212": "-", "\u2013": "-", "\u2019": "'", "\u02bc": "'", "\u066a": "%", "\uff05": "%"}
)
_SEPARATOR = re.compile(r"(?<![^\W\d])[.,](?=[0-9])")
_SIGNS = re.escape(CURRENCY_SIGNS)
_CURRENCY = rf"[A-Z]{{0,3}}[{_SIGNS}] | [A-Z]{{3}}\b"
_NUMERAL = re.compile(
    rf"""
    (?P<open>\()? [ ]?
    (?P<sign>[+-])? [ ]?
    (?P<before>{_CURRENCY})? [ ]?
    (?P<inner_sign>[+-])?
    (?P<digits>{_SPACED} | {DIGITS})
    (?:[eE](?P<exponent>[+-]?[0-9]{{1,6}}))?
    (?: [ ]? (?!{_CURRENCY}) (?P<word>[^\W\d_]+) \.? )?
    [ ]? (?P<percent>%)? [ ]?
    (?P<after>{_CURRENCY})? [ ]?
    (?P<close>\))?
    """,
    re.VERBOSE,
)


class NumeralError(ValueError):
    """A text is not a number, or one that could be read in two ways; the message says why."""


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number that was read."""

    value: Fraction
    percentage: bool = False
    """Whether it was written with a percent sign; `value` is already divided by 100."""
    currency: str | None = None
    """ISO 4217 code, or the sign where that names several currencies."""


def parse_numeral(text: str, language: str | None = None, *, comma: bool | None = None) -> Numeral:
    """Reads a number that a person wrote; the module says which forms.

    Args:
        text: The number, and nothing else.
        language: BCP 47 tag of the language that it is written in; None reads what has one reading,
            and the rest as in English.
        comma: Whether a comma is the decimal sign; None asks the language.

    Raises:
        NumeralError: It is not a number, is ambiguous, or has too many digits.
        LanguageError: There is no such language.
    """
    if len(text) > _MAX_CHARACTERS:
        raise NumeralError(f"it has more than {_MAX_CHARACTERS:,} characters")
    # Single spaces: the pattern then has nothing to backtrack over.
    spaced = " ".join(text.translate(_SAME_SIGN).split())
    if comma is None:
        comma = language is not None and decimal_comma(language)
    if comma:
        spaced = _SEPARATOR.sub(lambda sign: "." if sign[0] == "," else ",", spaced)
    match = _NUMERAL.fullmatch(spaced)
    if match is None:
        raise NumeralError(_why_not(spaced))
    if bool(match["open"]) != bool(match["close"]):
        raise NumeralError("a parenthesis is missing")
    signs = [match["sign"], match["inner_sign"]]
    if sum(map(bool, signs)) + bool(match["open"]) > 1:
        raise NumeralError("it has two signs")
    behind = _behind(match, language or DEFAULT, spaced)
    percentage = behind.percentage or bool(match["percent"])
    value = digits_fraction(match["digits"], match["exponent"]) * behind.scale
    if match["open"] or "-" in signs:
        value = -value
    return Numeral(
        value=value / 100 if percentage else value,
        percentage=percentage,
        currency=_currency([match["before"], behind.currency, match["after"]], language, spaced),
    )


def scale_of(word: str, language: str = DEFAULT) -> int | None:
    """What a word or sign behind a number multiplies it by; None for any other word."""
    if word in _ABBREVIATED_SCALES:
        return _ABBREVIATED_SCALES[word]
    known = scales(language)
    return known.get(word) or (known.get(word.casefold()) if len(word) > 1 else None)


class _Behind(NamedTuple):
    """What a word behind the digits says."""

    scale: int = 1
    percentage: bool = False
    currency: str | None = None


def _behind(match: re.Match[str], language: str, text: str) -> _Behind:
    word = match["word"]
    if not word:
        return _Behind()
    scale = scale_of(word, language)
    if scale is not None:
        return _Behind(scale)
    if word == "m" and (match["before"] or match["after"]):
        return _Behind(_MILLION)  # of money there are no thousandths
    if word.casefold() in percent_words(language):
        return _Behind(percentage=True)
    if is_currency(word, language):
        return _Behind(currency=word)
    raise NumeralError(_why_not(text))


def _currency(written: Sequence[str | None], language: str | None, text: str) -> str | None:
    found = [each for each in written if each]
    if not found:
        return None
    if len(found) > 1:
        raise NumeralError("it has two currencies")
    if not is_currency(found[0]) and not is_currency(found[0], language or DEFAULT):
        raise NumeralError(_why_not(text))
    return currency_code(found[0], language or DEFAULT)


def digits_fraction(digits: str, exponent: str | None = None) -> Fraction:
    """The exact value of digits that are written as `DIGITS` or with a comma before decimals.

    Raises:
        NumeralError: It has more than `MAX_DIGITS` digits before or after the point.
    """
    point = _point_of(digits)
    whole, _, part = digits.partition(point) if point else (digits, "", "")
    whole = re.sub(r"\D", "", whole)
    shift = int(exponent or "0")
    if len(whole) + shift > MAX_DIGITS or len(part) - shift > MAX_DIGITS:
        raise NumeralError(f"it has more than {MAX_DIGITS:,} digits")
    return Fraction(f"{whole or '0'}.{part or '0'}e{shift}")


def _point_of(digits: str) -> str:
    """The sign before the decimals; empty when there is none."""
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        return max(".,", key=digits.rfind)
    if points == 1:
        return "."
    if commas != 1:
        return ""
    before, _, after = digits.partition(",")
    # A comma before three digits parts thousands, unless another sign does so already.
    grouped = before.isdecimal() and len(before) <= _GROUP and before[0] != "0"
    return "" if grouped and len(after) == _GROUP else ","


def decimal_text(value: Fraction, digits: int = MAX_DIGITS) -> tuple[str, bool]:
    """A fraction in decimals, and whether that is exact.

    It is exact when the decimals end and number at most `digits`; otherwise it is rounded, half to
    even, to `SIGNIFICANT_DIGITS`.
    """
    places = _decimal_places(value.denominator)
    if places is not None and places <= MAX_DIGITS:
        scaled = Decimal(value.numerator * (10**places // value.denominator))
        if scaled.adjusted() < digits:
            return _written(scaled.scaleb(-places, _WIDE)), True
    return rounded_text(_WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))), False


def rounded_text(value: Decimal) -> str:
    """A decimal rounded to `SIGNIFICANT_DIGITS`, without zeros at its end."""
    return _written(_ROUNDING.plus(value))


_WIDE = Context(prec=2 * MAX_DIGITS + 8, Emax=999_999, Emin=-999_999)
_ROUNDING = Context(prec=SIGNIFICANT_DIGITS, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)


def _written(value: Decimal) -> str:
    if value == 0:
        return "0"
    shortest = value.normalize(_WIDE)
    digits = len(shortest.as_tuple().digits)
    if abs(shortest.adjusted()) > max(_PLAIN_EXPONENT, digits):
        return f"{shortest:E}"
    return f"{shortest:f}"


def _decimal_places(denominator: int) -> int | None:
    """How many decimals a fraction with this denominator has; None when too many, or endless."""
    twos = (denominator & -denominator).bit_length() - 1
    rest = denominator >> twos
    fives = 0
    while rest % 5 == 0 and fives <= MAX_DIGITS:
        rest //= 5
        fives += 1
    return max(twos, fives) if rest == 1 else None


def _why_not(text: str) -> str:
    if not text:
        return "it is empty"
    if re.search(r"\d ?m$", text):
        return "`m` may mean milli or million; write the number in full"
    if date_at(text) is not None:
        return DATES_HINT
    if re.search(r"\d[.,]\d.*[.,]\d", text):
        return (
            "it is not a number: its separators fit no form; write thousands without a separator "
            "and decimals with a point, such as 1250.5"
        )
    return (
        "it is not a number such as 1250.5, 1,250.50, $3.2 million or 12%; write a currency by its "
        "ISO code, and give `language` for words of another language than English"
    )
