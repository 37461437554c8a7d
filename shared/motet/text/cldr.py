"""What the Unicode CLDR and ICU know of how a language writes quantities.

Names and symbols of currencies and units, names of months, scales (`million`, `Mio.`), numbers in
words. Read once a language; English symbols and the international ones are known in every language,
as documents mix them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

import regex

from motet.text.folding import fold
from motet.text.icu_rules import currency_sign, number_words

__all__ = ["LocaleData", "Names", "currency_codes", "locale_data"]

_COUNTS = (1, 2, 3, 5, 11, 100, 0, Decimal("1.5"))
"""Numbers of which every language has one in each of its plural forms."""
_MOST_SPELLED = 1000
"""Numbers under this one are read in words; larger ones with a scale behind."""


class Names:
    """What is meant by a name, as it is written or, of two letters and more, in any letter case."""

    def __init__(self) -> None:
        self._exact: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._folded: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self.longest = 0

    def add(self, name: str, meaning: str, *, is_sign: bool = False) -> None:
        """Adds a name; one with a full stop is known without it too.

        A sign counts as it is written: `KM` is a currency, `km` is none.
        """
        name = _spaced(name)
        for form in {name, name.rstrip(".")} - {""}:
            self._exact[form].setdefault(meaning)
            if not is_sign:
                self._folded[fold(form)].setdefault(meaning)
            self.longest = max(self.longest, len(form))

    def get(self, name: str) -> tuple[str, ...]:
        """What a name may mean, the likeliest first; empty where it is none."""
        name = _spaced(name)
        exact = self._exact.get(name)
        if exact is None and len(name) > 1:
            exact = self._folded.get(fold(name))
        return tuple(exact or ())


@dataclass
class LocaleData:
    """How a language writes quantities."""

    language: str
    units: Names = field(default_factory=Names)
    """Of units, by their CLDR names without the category: `kilogram`, `percent`, `month`."""
    currencies: Names = field(default_factory=Names)
    """Of currencies, by ISO 4217 code; `dollars` means all that are called so."""
    months: dict[str, int] = field(default_factory=dict)
    """Names of months as they are written, long and short, without full stops."""
    scales: dict[str, Decimal] = field(default_factory=dict)
    """Words and letters that multiply: `million`, `Mio`, `k`."""
    main_scales: frozenset[str] = frozenset()
    """Scales of one letter that are commoner than the units of these letters."""
    spelled: dict[str, int] = field(default_factory=dict)
    """Numbers in words, folded, their hyphens spaces."""
    ordinals: dict[str, int] = field(default_factory=dict)
    """Ordinal numbers in words and in digits, likewise."""
    minus: frozenset[str] = frozenset()
    """Words that make a number negative, folded."""
    afternoon: frozenset[str] = frozenset()
    morning: frozenset[str] = frozenset()
    """Marks of the halves of the day behind a clock time, folded, without full stops."""
    month_first: bool = False
    """Whether a date in digits begins with the month."""


@lru_cache(maxsize=64)
def locale_data(language: str | None) -> LocaleData:
    """How a language writes quantities; with None, or one that CLDR has not, as English."""
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(language or "en")
    except (UnknownLocaleError, ValueError):
        locale = Locale("en")
    data = LocaleData(language=str(locale.language))
    english = Locale("en")
    own = (locale,) if locale.language == "en" else (locale, english)
    for each in own:
        _add_units(data.units, each)
        _add_currencies(data.currencies, each)
        _add_scales(data, each)
        _add_months(data, each)
        _add_halves_of_the_day(data, each)
    # British forms: metres, and k, m, bn behind a number.
    british = Locale.parse("en_GB")
    _add_units(data.units, british)
    _add_scales(data, british)
    data.main_scales = frozenset(name for name in _scale_names(english) if len(name) == 1)
    _add_symbols(data.currencies, locale, english, british)
    _add_spelled(data, data.language)
    data.month_first = str(locale.date_formats["short"].pattern).startswith("M")
    return data


@cache
def currency_codes() -> frozenset[str]:
    """The ISO 4217 codes of the currencies that are legal tender somewhere today."""
    from babel import Locale
    from babel.numbers import get_territory_currencies

    territories = [code for code in map(str, Locale("en").territories) if len(code) == 2]
    return frozenset(
        str(code) for territory in territories for code in get_territory_currencies(territory)
    )


def _spaced(name: str) -> str:
    return " ".join(name.replace("\u200f", "").replace("\u200e", "").split())


def _counts(locale: Any) -> Iterable[Decimal | int]:
    """A number for each plural form of a language."""
    return {locale.plural_form(count): count for count in reversed(_COUNTS)}.values()


def _add_units(names: Names, locale: Any) -> None:
    from babel.numbers import format_decimal
    from babel.units import format_unit

    # Narrow forms last: in them a letter may stand for several units, as `m` for a month.
    for length in ("short", "long", "narrow"):
        for unit in locale.unit_display_names:
            category, _, name = unit.partition("-")
            if not name or category == "graphics" or name.endswith("-person"):
                continue
            for count in _counts(locale):
                written = format_unit(count, unit, length, locale=locale)
                names.add(written.replace(format_decimal(count, locale=locale), ""), name)


def _add_currencies(names: Names, locale: Any) -> None:
    from babel.numbers import get_currency_name

    phrases: defaultdict[str, set[str]] = defaultdict(set)
    for code in _ranked(locale):
        if code not in locale.currencies:
            continue
        for count in _counts(locale):
            name = get_currency_name(code, count, locale=locale)
            names.add(name, code)
            phrases[code].add(_spaced(name))
    for code, head in _heads(phrases):
        names.add(head, code)


@lru_cache(maxsize=64)
def _ranked(locale: Any) -> tuple[str, ...]:
    """All currencies, the likeliest for a name or a symbol that several share first.

    That is the currency of where the language is at home, then one whose English symbol is no
    longer than a sign: `$` alone means US dollars.
    """
    from babel import Locale
    from babel.core import get_global
    from babel.numbers import get_territory_currencies

    likely = get_global("likely_subtags").get(locale.language, locale.language)
    territory = Locale.parse(likely).territory
    home = get_territory_currencies(territory) if territory else []
    symbols = Locale("en").currency_symbols

    def rank(code: str) -> tuple[bool, int, str]:
        return code not in home, len(symbols.get(code, code)), code

    return tuple(sorted(currency_codes(), key=rank))


def _heads(phrases: Mapping[str, Iterable[str]]) -> Iterable[tuple[str, str]]:
    """Of names of several words, the word that says which kind of money: `dollars`, `Kronen`.

    It stands first or last, by the language: where one word stands for most currencies.
    """
    split = [
        (code, words)
        for code, names in phrases.items()
        for name in names
        if len(words := regex.split(r"[\s\p{Pd}]", name)) > 1
    ]
    if not split:
        return []
    first, last = (
        Counter(word for _, word in {(code, words[place]) for code, words in split})
        for place in (0, -1)
    )
    place = 0 if max(first.values()) > max(last.values()) else -1
    return [(code, words[place]) for code, words in split]


def _add_symbols(names: Names, *locales: Any) -> None:
    """Symbols of all currencies: the shortest sign of each, and those of locales."""
    for code in _ranked(locales[0]):
        signs = [locale.currency_symbols.get(code) or code for locale in locales]
        for sign in (code, currency_sign(code), *signs):
            names.add(sign, code, is_sign=True)


def _scale_names(locale: Any) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for length in ("long", "short"):
        for forms in locale.compact_decimal_formats[length].values():
            for size, pattern in forms.items():
                text = str(pattern.pattern).replace("'", "")
                zeros = text.count("0")
                name = _spaced(text.replace("0", "")).rstrip(".")
                if not zeros or not name or not size.isdecimal():
                    continue
                found.setdefault(name, Decimal(size) / 10 ** (zeros - 1))
    return found


def _add_scales(data: LocaleData, locale: Any) -> None:
    for name, scale in _scale_names(locale).items():
        data.scales.setdefault(name, scale)
        if len(name) > 1:
            data.scales.setdefault(fold(name), scale)


def _add_months(data: LocaleData, locale: Any) -> None:
    for context in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            for number, name in locale.months[context][width].items():
                bare = name.rstrip(".")
                if bare.isdecimal() or not bare:
                    continue
                for form in (bare, bare[0].upper() + bare[1:], bare.upper()):
                    data.months.setdefault(form, number)


def _add_halves_of_the_day(data: LocaleData, locale: Any) -> None:
    def marks(half: str) -> frozenset[str]:
        periods = locale.day_periods["format"]
        names = (periods[width].get(half, "") for width in ("abbreviated", "wide", "narrow"))
        marks = (regex.sub(r"[.\s]", "", fold(name)) for name in names)
        return frozenset(mark for mark in marks if len(mark) > 1 or not mark.isascii())

    data.morning |= marks("am")
    data.afternoon |= marks("pm")


def _add_spelled(data: LocaleData, language: str) -> None:
    say = number_words(language)
    for number in range(_MOST_SPELLED):
        for text in say.cardinals(number):
            data.spelled.setdefault(_spelled(text), number)
    for number in range(101):
        for text in say.ordinals(number):
            data.ordinals.setdefault(_spelled(text), number)
    pairs = zip(say.cardinals(-2), say.cardinals(2), strict=True)
    minus = {_spelled(less).removesuffix(_spelled(more)).strip() for less, more in pairs}
    data.minus = frozenset(minus - {""})
    # Where ICU knows no words it writes digits.
    for words in (data.spelled, data.ordinals):
        for text in [text for text in words if regex.fullmatch(r"[\d.,]*", text)]:
            del words[text]


def _spelled(text: str) -> str:
    return _spaced(fold(text.replace("\u00ad", "")).replace("-", " "))
