"""Numbers, units, dates and times as people write them, read by value.

Every reading that a notation allows is kept: `1.126` is 1.126 and 1126, and a comparison holds if
one of them does. Names of months, units, currencies and large numbers come from CLDR (Babel), words
for numbers from text2num, for the languages that a caller names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from babel import Locale

__all__ = ["Day", "Quantity", "days_in", "plain", "quantities_in", "spelled_in", "times_in"]

SPELLED = frozenset({"en", "de", "fr", "es", "pt", "it", "nl"})
"""Languages whose words for numbers text2num reads."""
CALENDAR = "calendar"
"""The unit of a number beside a month's name."""
PERCENT = "concentr-percent"
_ALSO_WORDS = frozenset({"in", "a"})
"""Abbreviations of units (inch, year) that stand after numbers as other words far more often."""
_OPERATORS = "+-\u2212\u2013×x*÷/=≈·"
_NUMBER = re.compile(
    r"\d{1,3}(?:[ \u00a0\u202f'\u2019]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*", re.ASCII
)
_NOT_A_NUMBER = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,2}:\d{2}")


@dataclass(frozen=True)
class Quantity:
    """A number in a text."""

    values: frozenset[Decimal]
    """What it may be read as."""
    units: frozenset[str]
    """What its unit may be, by CLDR's name or a currency's code; empty for none that is known."""
    decimals: int
    """Digits after its decimal point in the reading that has one."""
    calculated: bool = False
    """Stands beside an operator, as in `3 + 4 = 7`."""

    def same_unit(self, other: Quantity) -> bool:
        """Whether both can be of one unit; no unit goes with every one."""
        return not (self.units and other.units) or bool(self.units & other.units)

    def rivals(self, wanted: Quantity) -> bool:
        """Whether it could be taken for the figure that is wanted, going by its unit."""
        return self.same_unit(wanted) if wanted.units else not self.units

    def gives(self, wanted: Quantity) -> bool:
        """Whether it says `wanted`: the same value, or a more precise one that rounds to it."""
        if not self.same_unit(wanted):
            return False
        if self.values & wanted.values:
            return True
        step = Decimal(1).scaleb(-wanted.decimals)
        return wanted.decimals > 0 and any(
            value.quantize(step) in wanted.values for value in self.values if abs(value) < 10**12
        )


@dataclass(frozen=True)
class Day:
    """A date."""

    month: int
    day: int
    year: int | None = None


def plain(text: str) -> str:
    """The text with ASCII digits and without Markdown's and LaTeX's marks and citations."""
    digits = "".join(
        str(unicodedata.decimal(each)) if unicodedata.category(each) == "Nd" else each
        for each in text
    )
    digits = digits.translate({0x66B: ".", 0x66C: ",", 0xFF0C: ", ", 0xFF05: "%"})
    digits = re.sub(r"\[\d+(?:\s*,\s*\d+)*\]", " ", digits)
    digits = re.sub(r"^\s*(?:\d+[.)]|[-*•])\s+", "", digits, flags=re.MULTILINE)
    digits = re.sub(r"\\(?:times|cdot)\b", "×", digits).replace(r"\%", "%").replace("{,}", ",")
    digits = re.sub(r"\\[a-zA-Z]+|\\[^\w\s]|\*\*|__|`", " ", digits)
    return re.sub(r"[{}]", " ", digits)


# Numbers


def quantities_in(text: str, languages: Sequence[str]) -> list[Quantity]:
    """The numbers that a text has in digits, but those of dates, times and names such as `MR-2`."""
    text = _NOT_A_NUMBER.sub(lambda found: " " * len(found[0]), plain(text))
    words = _unit_words(tuple(languages))
    found: list[Quantity] = []
    for match in _NUMBER.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        if _in_a_name(before, words):
            continue
        values, decimals = _values(match[0])
        values, after = _multiplied(values, after, tuple(languages))
        if re.search(r"(?:^|[\s(])[-\u2212]$", before):
            values = frozenset(-value for value in values)
        units, rest = _unit_after(after, words)
        units = _unit_before(before, words) or units
        if values:
            found.append(Quantity(values, units, decimals, _calculated(before, rest)))
    return found


def spelled_in(text: str, languages: Sequence[str]) -> list[Quantity]:
    """The numbers of a text, also those in words: `twelve`, `vingt et un`."""
    from text_to_num import alpha2digit

    found = quantities_in(text, languages)
    for language in languages:
        if language in SPELLED:
            found += quantities_in(alpha2digit(text, language, threshold=0), languages)
    return found


def _in_a_name(before: str, words: dict[str, frozenset[str]]) -> bool:
    glued = re.search(r"([A-Za-z]+)-?$", before)
    return glued is not None and _key(glued[1]) not in words


def _values(digits: str) -> tuple[frozenset[Decimal], int]:
    """What digits with separators may mean, and how many decimals the finest reading has."""
    digits = re.sub(r"[ \u00a0\u202f'\u2019]", "", digits)
    parts = re.split(r"[.,]", digits)
    marks = re.findall(r"[.,]", digits)
    grouped = len(parts[0]) <= 3 and parts[0] != "0" and all(len(part) == 3 for part in parts[1:])
    values: set[Decimal] = set()
    decimals = 0
    if len(set(marks)) <= 1 and (grouped or not marks):
        values.add(Decimal("".join(parts)))
    if len(marks) == 1 or (len(set(marks)) == 2 and marks.count(marks[-1]) == 1):
        values.add(Decimal(f"{''.join(parts[:-1])}.{parts[-1]}"))
        decimals = 0 if grouped and len(marks) == 1 else len(parts[-1].rstrip("0"))
    return frozenset(values), decimals


def _multiplied(
    values: frozenset[Decimal], after: str, languages: tuple[str, ...]
) -> tuple[frozenset[Decimal], str]:
    large = _large_numbers(languages)
    match = re.match(r"[\s\u00a0-]?(\w+\.?)", after)
    if match is None:
        return values, after
    word = match[1].casefold()
    factor = large.get(word) or large.get(word.rstrip("."))
    if factor is None:
        return values, after
    times = frozenset(value * factor for value in values)
    if len(word) == 1 and word.isascii():  # `m` is a metre as well, `k` may be anything
        return values | times, after
    return times, after[match.end() :]


@cache
def _large_numbers(languages: tuple[str, ...]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for language in languages:
        formats = Locale.parse(language).compact_decimal_formats
        for width in ("long", "short"):
            for plural in formats.get(width, {}).values():
                for magnitude, pattern in plural.items():
                    raw = str(getattr(pattern, "pattern", pattern))
                    zeros = raw.count("0")
                    word = re.sub(r"[0'\s\u00a0\u200f]|;.*", "", raw).casefold()
                    if word and zeros:
                        factor = Decimal(int(magnitude)) / Decimal(10) ** (zeros - 1)
                        found.setdefault(word.rstrip("."), factor)
    return found


# Units


def _key(name: str) -> str:
    """Abbreviations are told apart by their case: `ALL` is a currency, `all` is none."""
    return name if len(name) <= 3 else name.casefold()


@cache
def _unit_words(languages: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Units, currencies and months by each of their names; see `_key`."""
    found: dict[str, set[str]] = {"%": {PERCENT}}
    for language in languages:
        locale = Locale.parse(language)
        for name, unit in (*_units(locale), *_currencies(locale), *_months(locale)):
            bare = re.sub(r"\s+", " ", name.replace("{0}", "")).strip(" \u00a0\u202f\u200f")
            if bare and bare not in _ALSO_WORDS:
                found.setdefault(_key(bare), set()).add(unit)
    return {name: frozenset(units) for name, units in found.items()}


def _units(locale: Locale) -> Iterable[tuple[str, str]]:
    for unit, widths in locale._data["unit_patterns"].items():  # noqa: SLF001 - no other access
        for width in ("long", "short"):
            for pattern in widths.get(width, {}).values():
                if isinstance(pattern, str):
                    yield pattern, unit


def _currencies(locale: Locale) -> Iterable[tuple[str, str]]:
    plurals = locale._data["currency_names_plural"]  # noqa: SLF001 - no other access
    for code, name in locale.currencies.items():
        yield from ((code, code), (name, code), (locale.currency_symbols.get(code, code), code))
        for many in plurals.get(code, {}).values():
            yield from ((many, code), (many.rpartition(" ")[2], code))


def _months(locale: Locale) -> Iterable[tuple[str, str]]:
    for context in locale.months.values():
        for width in ("wide", "abbreviated"):
            for name in context.get(width, {}).values():
                yield str(name).rstrip("."), CALENDAR


_WORDS = re.compile(r"[\s\u00a0\u202f-]*((?:[^\W\d]|[%€$£¥°/³²'])+\.?(?: [^\W\d]+){0,2})")


def _unit_after(after: str, words: dict[str, frozenset[str]]) -> tuple[frozenset[str], str]:
    match = _WORDS.match(after)
    if match is None:
        return frozenset(), after
    said = match[1]
    tried = said
    while tried:
        for name in (tried, tried.rstrip(".")):
            if _key(name) in words:
                return words[_key(name)], after[match.start(1) + len(tried) :]
        if " " not in tried:
            break
        tried = tried.rpartition(" ")[0]
    # Scripts without spaces: the longest unit that begins what follows.
    for size in range(min(len(said), 8), 0, -1):
        head = _key(said[:size])
        if head in words and not head[-1].isascii():
            return words[head], after[match.start(1) + size :]
        if head in words and said[size : size + 1] in ("/", "."):
            return words[head], after[match.start(1) + size :]
    return frozenset(), after


def _unit_before(before: str, words: dict[str, frozenset[str]]) -> frozenset[str]:
    match = re.search(r"(?<!\d)(?<!\d[\s\u00a0])([€$£¥]|\b[^\W\d]+)[\s\u00a0.]*$", before)
    if match is None:
        return frozenset()
    found = words.get(_key(match[1]), frozenset())
    return frozenset(
        unit for unit in found if unit == CALENDAR or (len(unit) == 3 and unit.isupper())
    )


def _calculated(before: str, rest: str) -> bool:
    before = before.rstrip(" ([\u00a0€$£\n")
    rest = rest.lstrip(" )]\u00a0€$£\n")
    left = before.endswith(tuple(_OPERATORS)) and not re.search(r"[^\W\d]x$", before)
    return left or re.match(rf"[{re.escape(_OPERATORS)}](?![^\W\d])", rest) is not None


# Dates and times


def days_in(text: str, languages: Sequence[str]) -> list[frozenset[Day]]:
    """The dates of a text, each with all that it may mean: `1/2/2024` is in January or February."""
    text = plain(text)
    months = _month_words(tuple(languages))
    named = "|".join(re.escape(name) for name in sorted(months, key=len, reverse=True))
    link = r"[\s\u00a0]+(?:\w{1,3}[\s\u00a0]+)?"
    year = rf"(?:,?{link}(\d{{4}}))?"
    found: list[frozenset[Day]] = []

    def note(readings: Iterable[tuple[str | None, str | int, str]]) -> None:
        days = frozenset(
            Day(int(month), int(day), int(of) if of else None)
            for of, month, day in readings
            if 1 <= int(month) <= 12 and 1 <= int(day) <= 31
        )
        if days:
            found.append(days)

    low = text.casefold()
    for match in re.finditer(rf"\b(\d{{1,2}})(?:\w{{2}}|[.ºª°])?{link}({named})\b\.?{year}", low):
        note([(match[3], months[match[2]], match[1])])
    for match in re.finditer(rf"\b({named})\.?\s+(\d{{1,2}})(?:[a-z]{{2}})?\b{year}", low):
        note([(match[3], months[match[1]], match[2])])
    for match in re.finditer(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b", text):
        note([(match[1], match[2], match[3])])
    for match in re.finditer(r"(?:(\d{4})\s*年\s*)?(\d{1,2})\s*月\s*(\d{1,2})\s*日", text):
        note([(match[1], match[2], match[3])])
    for match in re.finditer(r"\b(\d{1,2})([./])(\d{1,2})\2(\d{4})\b", text):
        note([(match[4], match[3], match[1]), (match[4], match[1], match[3])])
    return found


@cache
def _month_words(languages: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for language in languages:
        for context in Locale.parse(language).months.values():
            for width in ("wide", "abbreviated"):
                for number, name in context.get(width, {}).items():
                    word = str(name).rstrip(".").casefold()
                    if not word[:1].isdigit():
                        found.setdefault(word, int(number))
    return found


_TIME = re.compile(
    r"(?<![\d.,])(\d{1,2})(?:\s*[:時hH]\s*(\d{2})?|\.(\d{2})(?!\d))?\s*(?:([ap])\.?\s?m\b)?"
)


def times_in(text: str) -> set[int]:
    """Times of day in a text, in minutes after midnight."""
    found: set[int] = set()
    for match in _TIME.finditer(plain(text)):
        hour, minute = int(match[1]), int(match[2] or match[3] or 0)
        if match[4]:
            hour = hour % 12 + (12 if match[4].lower() == "p" else 0)
        if hour < 24 and minute < 60 and match[0].strip() != match[1]:
            found.add(60 * hour + minute)
    return found
