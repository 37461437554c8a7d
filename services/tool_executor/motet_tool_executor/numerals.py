"""Numbers as people write them, and as Motet writes them.

What is read, everywhere a tool takes a number as text:

- decimal digits with an optional point and exponent: `1250.5`, `.5`, `2.5e-3`;
- thousands separators in groups of exactly three, by commas or spaces: `1,250.50`, `1 250`;
- a currency sign or code before or after, which is dropped but remembered: `$3.20`, `5 EUR`;
- a scale: `thousand`, `million`, `billion`, `trillion`, or k, M, mn, bn, B, T right behind the
  digits. A small `m` is refused, since it may be milli or million;
- a percent sign, which divides by 100 and is remembered: `12%` is 0.12;
- a sign, in ASCII or Unicode, or accounting parentheses: `-5`, `(1,234)`.

What could be read in two ways is refused, above all a comma as a decimal point: `3,2`, `1.250,5`.
A numeral has at most `MAX_DIGITS` digits before and after its point, so that reading one takes
bounded time and memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

__all__ = [
    "CURRENCY_CODES",
    "CURRENCY_SIGNS",
    "MAX_DIGITS",
    "SCALES",
    "SIGNIFICANT_DIGITS",
    "Numeral",
    "NumeralError",
    "currency_code",
    "decimal_text",
    "digits_fraction",
    "parse_numeral",
    "rounded_text",
]

MAX_DIGITS = 1000
"""Most digits of a number, before the point and after it, and of either part of a fraction."""
SIGNIFICANT_DIGITS = 28
"""Digits of a value that cannot be written exactly; Python's own default for decimals."""
CURRENCY_SIGNS = "$€£¥₹"
CURRENCY_CODES = ("USD", "EUR", "GBP", "JPY", "CHF", "INR", "CNY")
"""The ISO 4217 codes that are read."""
SCALES = {
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}

_MAX_CHARACTERS = 2 * MAX_DIGITS
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
_MINUS_SIGNS = str.maketrans({"\u2212": "-", "\u2013": "-"})
_CURRENCY = rf"[{re.escape(CURRENCY_SIGNS)}]|{'|'.join(CURRENCY_CODES)}"
_CODES = {"$": "USD", "€": "EUR", "£": "GBP", "₹": "INR"}
_NUMERAL = re.compile(
    rf"""
    (?P<open>\()? [ ]?
    (?P<sign>[+-])? [ ]?
    (?P<before>{_CURRENCY})? [ ]?
    (?P<inner_sign>[+-])?
    (?P<digits>\d{{1,3}}(?:,\d{{3}})+(?:\.\d*)? | \d{{1,3}}(?:[ ]\d{{3}})+(?:\.\d*)?
      | \d+(?:\.\d*)? | \.\d+)
    (?:[eE](?P<exponent>[+-]?\d{{1,6}}))?
    (?: [ ]?(?P<scale>(?i:{"|".join(SCALES)})) | [ ]?(?P<letters>k|K|mn|M|bn|B|T) )?
    [ ]? (?P<percent>%|(?i:percent))? [ ]?
    (?P<after>{_CURRENCY})? [ ]?
    (?P<close>\))?
    """,
    re.VERBOSE | re.ASCII,
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


def parse_numeral(text: str) -> Numeral:
    """Reads a number that a person wrote; the module says which forms.

    Raises:
        NumeralError: It is not a number, is ambiguous, or has too many digits.
    """
    if len(text) > _MAX_CHARACTERS:
        raise NumeralError(f"it has more than {_MAX_CHARACTERS:,} characters")
    # Single spaces: the pattern then has nothing to backtrack over.
    spaced = " ".join(text.translate(_MINUS_SIGNS).split())
    match = _NUMERAL.fullmatch(spaced)
    if match is None:
        raise NumeralError(_why_not(spaced))
    if bool(match["open"]) != bool(match["close"]):
        raise NumeralError("a parenthesis is missing")
    signs = [match["sign"], match["inner_sign"]]
    if sum(map(bool, signs)) + bool(match["open"]) > 1:
        raise NumeralError("it has two signs")
    if match["before"] and match["after"]:
        raise NumeralError("it has two currencies")
    value = digits_fraction(match["digits"], match["exponent"])
    if match["scale"]:
        value *= SCALES[match["scale"].lower()]
    elif match["letters"]:
        value *= _ABBREVIATED_SCALES[match["letters"]]
    if match["open"] or "-" in signs:
        value = -value
    currency = match["before"] or match["after"]
    return Numeral(
        value=value / 100 if match["percent"] else value,
        percentage=bool(match["percent"]),
        currency=currency_code(currency) if currency else None,
    )


def currency_code(currency: str) -> str:
    """The ISO 4217 code of a currency sign; a sign of several currencies stays itself."""
    return _CODES.get(currency, currency)


def digits_fraction(digits: str, exponent: str | None = None) -> Fraction:
    """The exact value of decimal digits, whose thousands may be separated.

    Raises:
        NumeralError: It has more than `MAX_DIGITS` digits before or after the point.
    """
    plain = digits.replace(",", "").replace(" ", "")
    whole, _, part = plain.partition(".")
    shift = int(exponent or "0")
    if len(whole) + shift > MAX_DIGITS or len(part) - shift > MAX_DIGITS:
        raise NumeralError(f"it has more than {MAX_DIGITS:,} digits")
    return Fraction(f"{whole or '0'}.{part or '0'}e{shift}")


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
    if re.fullmatch(r"[^\d]*\d[\d.]*,\d+(\.\d+)?[^\d]*", text):
        return (
            "its comma may separate thousands or decimals; write thousands without a separator "
            "and decimals with a point, such as 1250.5"
        )
    if re.search(r"\d ?m$", text):
        return "`m` may mean milli or million; write the number in full"
    return "it is not a number such as 1250.5, 1,250.50, $3.2 million or 12%"
