"""Numerals: numbers in digits, as they are written in the world.

A numeral may be read in more than one way: `1.850` is one thousand and some in German, and less
than two in English. Its readings come best first by the language's CLDR symbols; where the form
itself decides (`1.850,50`, `0.5`, `12.5`), there is one.
"""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from functools import cache

import regex

from motet.text.languages import base_language

__all__ = ["MAX_DIGITS", "NUMERAL", "ascii_digits", "is_numeral", "plain_numeral", "readings"]

MAX_DIGITS = 100
"""Digits of the longest numeral that is read; a longer one is an identifier."""

_SPACES = " \u00a0\u2009\u202f"
_APOSTROPHES = "'’"

NUMERAL = regex.compile(
    rf"""
    \d{{1,3}}(?P<group>[.,٬_{_SPACES}{_APOSTROPHES}])\d{{3}}(?:(?P=group)\d{{3}})*+(?!\d)
        (?:(?!(?P=group))[.,٫](?P<part>\d+)(?!\d))?
    | \d{{1,2}}(?:,\d{{2}})+,\d{{3}}(?!\d)(?:\.\d+)?
    | \d+(?:[.,٫]\d+)?
    """,
    regex.VERBOSE | regex.ASCII,
)
"""A numeral, of ASCII digits. Groups of digits are of three, or as in India, the first no longer,
so that a year and the number after it are two numbers."""


def ascii_digits(text: str) -> str:
    """A text with all decimal digits in ASCII; every character stays where it is."""
    if text.isascii():
        return text
    return "".join(
        str(unicodedata.decimal(character)) if character.isdecimal() else character
        for character in text
    )


def is_numeral(token: str) -> bool:
    """Whether a token is a number in digits and nothing else."""
    return (
        len(token) <= MAX_DIGITS
        and token[:1].isdecimal()
        and NUMERAL.fullmatch(ascii_digits(token)) is not None
    )


def readings(numeral: str, language: str | None = None) -> tuple[Decimal, ...]:
    """The values that a numeral may have, the likeliest first.

    Args:
        numeral: A match of `NUMERAL`.
        language: The language that it stands in; None reads as in English.
    """
    text = ascii_digits(numeral)
    marks = [character for character in text if not character.isdigit()]
    if not marks:
        return (Decimal(text),)
    if marks[0] not in ".,٫" or len(marks) > 1:
        return (_grouped(text, marks[0]),)
    mark = marks[0]
    whole, _, part = text.partition(mark)
    fraction, joined = Decimal(f"{whole}.{part}"), Decimal(whole + part)
    # Only three digits behind one mark may be a group, and a group does not follow a zero.
    if mark == "٫" or len(part) != 3 or len(whole) > 3 or whole.startswith("0"):
        return (fraction,)
    _, group = _symbols(base_language(language))
    return (joined, fraction) if mark == group else (fraction, joined)


def plain_numeral(numeral: str, language: str | None = None) -> str:
    """A numeral in its plainest form: ASCII digits, a point, no zeros at its end."""
    value = readings(numeral, language)[0]
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _grouped(text: str, mark: str) -> Decimal:
    joined = text.replace(mark, "")
    return Decimal(joined.replace(",", ".").replace("٫", "."))


@cache
def _symbols(language: str | None) -> tuple[str, str]:
    """The decimal and the group symbol of a language."""
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(language or "en")
    except (UnknownLocaleError, ValueError):
        locale = Locale("en")
    latin = locale.number_symbols.get("latn", {})
    return latin.get("decimal", "."), latin.get("group", ",")
