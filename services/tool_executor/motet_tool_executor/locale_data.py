"""What CLDR knows, through Babel: how numbers, currencies and units are written in a language.

Babel is imported by the first text that needs it, and what was read of a language is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from babel import Locale

__all__ = [
    "CURRENCY_SIGNS",
    "DEFAULT",
    "LanguageError",
    "currency_code",
    "currency_nouns",
    "decimal_comma",
    "is_currency",
    "percent_words",
    "scales",
    "unit_key",
    "unit_names",
]

DEFAULT = "en"
"""The language of names where a request says none."""
CURRENCY_SIGNS = "".join(
    sign for sign in map(chr, range(0x10000)) if unicodedata.category(sign) == "Sc"
)
"""Every currency sign of Unicode's basic plane."""

_SAMPLES = (1, 2, 5, 11)
"""Numbers that have each of the plural forms that names of units are written in."""
_LENGTHS: tuple[Literal["long", "short"], ...] = ("long", "short")


class LanguageError(ValueError):
    """A tag names no language that CLDR has; the message is a sentence."""


def decimal_comma(language: str) -> bool:
    """Whether decimals are written behind a comma, and thousands are parted by points."""
    from babel.numbers import get_decimal_symbol

    return get_decimal_symbol(_locale(language)) == ","


@cache
def scales(language: str) -> dict[str, int]:
    """Words (in small letters) and signs behind a number, and what they multiply it by."""
    found: dict[str, int] = {}
    for length in ("long", "short"):
        for forms in _locale(language).compact_decimal_formats[length].values():
            for magnitude, pattern in forms.items():
                name = re.sub(r"[0'.]", "", pattern.pattern).strip()
                zeros = pattern.pattern.count("0")
                if zeros and name.isalpha():
                    written = name.casefold() if length == "long" else name
                    found.setdefault(written, int(magnitude) // 10 ** (zeros - 1))
    return found


@cache
def percent_words(language: str) -> frozenset[str]:
    """The words for a hundredth, in small letters."""
    names = unit_names(language).items()
    return frozenset(name.casefold() for name, units in names if "concentr-percent" in units)


@cache
def is_currency(text: str, language: str | None = None) -> bool:
    """Whether a text is an ISO 4217 code of today or former days, or has a currency sign.

    With a language, also whether it is what that language writes for a currency, such as `kr`.
    """
    if any(sign in CURRENCY_SIGNS for sign in text):
        return True
    if language is not None and text.rstrip(".") in _symbols(language):
        return True
    if re.fullmatch(r"[A-Z]{3}", text) is None:
        return False
    from babel.numbers import list_currencies

    return text in list_currencies()


@cache
def currency_code(text: str, language: str = DEFAULT) -> str:
    """The ISO 4217 code of a currency's sign or code; what several currencies use stays itself."""
    if re.fullmatch(r"[A-Z]{3}", text):
        return text
    if match := re.fullmatch(r"([A-Z]{2})\W", text):  # of a country, as US$
        from babel.numbers import get_territory_currencies

        codes = get_territory_currencies(match[1])
    else:
        codes = _symbols(language).get(text.rstrip("."), ())
    return codes[0] if len(codes) == 1 else text


@cache
def _symbols(language: str) -> dict[str, tuple[str, ...]]:
    """Codes by what the language writes for them, where that is not the code itself."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for code, symbol in _locale(language).currency_symbols.items():
        if symbol != code:
            found[symbol.rstrip(".")].append(code)
    return {symbol: tuple(codes) for symbol, codes in found.items()}


@cache
def currency_nouns(language: str) -> frozenset[str]:
    """The last words of currencies' names, in small letters: `dollar`, `dollars`, `yen`."""
    from babel.numbers import get_currency_name

    locale = _locale(language)
    names = [
        get_currency_name(code, n, locale) for code in map(str, locale.currencies) for n in (1, 2)
    ]
    return frozenset(name.casefold().split()[-1] for name in names if "(" not in name)


@cache
def unit_names(language: str) -> dict[str, frozenset[str]]:
    """CLDR's units by name, as `unit_key` makes it: the singular, the plurals and the symbol.

    A unit is named as in CLDR, such as `power-kilowatt`.
    """
    from babel.units import format_unit

    locale = _locale(language)
    names: defaultdict[str, set[str]] = defaultdict(set)
    for unit in map(str, locale.unit_display_names):
        for length in _LENGTHS:
            for number in _SAMPLES:
                written = format_unit(number, unit, length, locale=locale)
                name = unit_key(re.sub(r"\d+", " ", written))
                if len(name) > 1:  # a single letter is a symbol of physics
                    names[name].add(unit)
    return {name: frozenset(units) for name, units in names.items()}


def unit_key(name: str) -> str:
    """A unit's name as it is looked up: its words in their case, joined by underscores."""
    return "_".join(re.split(r"[\s_.-]+", unicodedata.normalize("NFKC", name).strip(" .-\u200e")))


@cache
def _locale(language: str) -> Locale:
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(language, sep="_" if "_" in language else "-")
    except (UnknownLocaleError, ValueError):
        raise LanguageError(
            f"{language!r} is no language that is known here: write its BCP 47 tag, such as `de` "
            "or `de-CH`."
        ) from None
