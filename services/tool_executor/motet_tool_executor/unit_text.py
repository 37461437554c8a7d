"""Units of measure in text: how compound units are written.

Pint has a parser of its own, which computes any power that a text holds. This one is bounded: a
power is at most `MAX_POWER`, and all powers of a text together. What is read:

- names and symbols, singular or plural, with prefixes, of up to three words: `mile`, `kWh`,
  `nautical miles`, `kilowatt-hours`;
- products and quotients: `N*m`, `km/h`, `miles per hour`, `J/(kg*K)`, `L/100km`;
- powers: `m^2`, `m**2`, `m2`, `m²`, `s-1`, `square feet`, `sq. ft.`, `cubic metres`;
- temperatures behind the word or the sign for degrees: `degrees Celsius`, `deg F`, `° C`.

`J/kg K` has two readings and is refused. A temperature with an offset (`degC`) within a compound
is a difference: `W/degC`; in a product that is a temperature again (`5 degC`) its offset would be
lost, so that is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from motet_tool_executor.closest import did_you_mean
from motet_tool_executor.locale_data import (
    CURRENCY_SIGNS,
    DEFAULT,
    currency_nouns,
    is_currency,
)

__all__ = ["MAX_POWER", "NamedUnits", "Unit", "UnitError", "read_unit"]

MAX_POWER = 9

_TOKEN = re.compile(
    r"""
    (?P<power>(?:\*\*|\^)\ ?[-+]?[0-9]+ | [⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)
    | (?P<number>[0-9]{1,6}(?:\.[0-9]{1,6})?)
    | (?P<name>[^\W\d⁰¹²³⁴⁵⁶⁷⁸⁹](?:[^\W⁰¹²³⁴⁵⁶⁷⁸⁹]|%)* | [°%][^\W⁰¹²³⁴⁵⁶⁷⁸⁹]*)
    | (?P<sign>[*·⋅\u00d7/()-])
    """,
    re.VERBOSE,
)
_TIMES = ("*", "·", "⋅", "\u00d7")
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_POWER_BEFORE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_POWER_AFTER = {"squared": 2, "cubed": 3}
_MAX_WORDS = 3
_SAME_SIGN = str.maketrans({"\u2103": "°C", "\u2109": "°F", "º": "°", "˚": "°"})
_INITIALS = re.compile(r"\b(?:[^\W\d_]\.){2,}")
_ABBREVIATED = re.compile(r"(?<=[^\W\d_])\.(?=\W|$|[^\W\d_])")
_NO_EXCHANGE = "Currencies are not converted: no exchange rates are known here."


class UnitError(ValueError):
    """A text is not a unit; the message is a sentence or two that say why."""

    def __init__(self, message: str, matches: tuple[str, ...] = ()) -> None:
        super().__init__(message + did_you_mean(matches))
        self.matches = matches


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit, by its worth in base units."""

    factor: Fraction
    """What one of it is in base units; 1 for a temperature with an offset."""
    base: dict[str, Fraction]
    """Powers of the base units; no power is zero."""
    offset: str | None = None
    """Pint's name of the unit, when zero of it is not zero of the base unit: `degree_Celsius`."""
    difference: bool = False
    """Whether it measures differences of temperature only, as `delta_degC`."""
    notes: tuple[str, ...] = ()
    """How names in it were read that have several meanings, a sentence each."""

    @property
    def is_temperature(self) -> bool:
        """Whether it is in kelvins, or converts to them."""
        return self.base == {"kelvin": 1}

    def is_inverse_of(self, other: Unit) -> bool:
        """Whether the one is in the other's reciprocal, such as km/L and L/100km."""
        inverse = {name: -power for name, power in other.base.items()}
        return bool(self.base) and self.base == inverse

    @property
    def base_text(self) -> str:
        """The base units for people: `meter / second`."""
        above = [_power_text(name, power) for name, power in self.base.items() if power > 0]
        below = [_power_text(name, -power) for name, power in self.base.items() if power < 0]
        return " / ".join([" * ".join(above) or "1", *below]) if self.base else "a plain number"


class NamedUnits(Protocol):
    """Where units of one name come from."""

    def named(self, name: str) -> Unit | None:
        """The unit of a name, symbol or alias; None when there is none.

        Raises:
            UnitError: It has several meanings, or cannot be converted.
        """
        ...

    def suggestions(self, name: str) -> tuple[str, ...]:
        """Names that look like `name`."""
        ...


def read_unit(text: str, units: NamedUnits) -> Unit:
    """Reads a unit whose names are those of `units`.

    Raises:
        UnitError: Some of it is no unit, or it has two readings; with the closest matches.
    """
    return _Reading(units, text).unit()


class _Reading:
    """Reads one text, from left to right."""

    def __init__(self, units: NamedUnits, text: str) -> None:
        self._units = units
        plain = _INITIALS.sub(lambda name: name[0].replace(".", ""), text.translate(_SAME_SIGN))
        self._text = " ".join(_ABBREVIATED.sub(" ", plain).split())
        self._tokens = self._split()
        self._next = 0
        self._powers = 0

    def unit(self) -> Unit:
        if not self._tokens:
            raise UnitError("The unit is empty.")
        unit = self._product()
        if self._next < len(self._tokens):
            raise self._error(f"`{self._text_at(self._next)}` is not expected here")
        return unit

    def _split(self) -> list[re.Match[str]]:
        tokens: list[re.Match[str]] = []
        at = 0
        while at < len(self._text):
            if self._text[at] == " ":
                at += 1
                continue
            match = _TOKEN.match(self._text, at)
            if match is None:
                if self._text[at] in CURRENCY_SIGNS:
                    raise UnitError(_NO_EXCHANGE)
                raise self._error(f"{self._text[at]!r} has no meaning here")
            tokens.append(match)
            at = match.end()
        return tokens

    def _text_at(self, index: int, group: str = "") -> str:
        """The token's text, if it is of the group; empty behind the last one."""
        if index >= len(self._tokens):
            return ""
        match = self._tokens[index]
        return (match[group] or "") if group else match.group()

    def _accept(self, *texts: str) -> bool:
        found = self._text_at(self._next) in texts
        self._next += found
        return found

    # The grammar.

    def _product(self) -> Unit:
        unit = self._factor()
        divided = False
        while True:
            if self._accept("/", "per"):
                unit, divided = _times(unit, self._factor(), -1), True
            elif self._accept(*_TIMES):
                unit = _times(unit, self._factor())
            elif self._text_at(self._next) not in ("", ")"):
                if divided:
                    raise self._error(
                        "what follows the division may be above or below; write `J/(kg*K)` or "
                        "`J*K/kg`"
                    )
                self._accept("-")
                unit = _times(unit, self._factor())
            else:
                return unit

    def _factor(self) -> Unit:
        """A number, a unit with its power, or both."""
        number = self._text_at(self._next, "number")
        if number:
            self._next += 1
            scale = Unit(Fraction(number), {})
            if scale.factor == 0:
                raise self._error("a unit cannot be zero")
            if self._text_at(self._next, "name") not in ("", "per"):
                return _times(scale, self._factor())
            return scale
        if self._text_at(self._next) == "(":
            return self._parenthesis()
        power = _POWER_BEFORE.get(self._text_at(self._next).casefold())
        if power is not None and self._text_at(self._next + 1, "name"):
            self._next += 1
        unit = self._name()
        return _raised(unit, power) if power else _raised(unit, self._power())

    def _parenthesis(self) -> Unit:
        self._next += 1
        unit = self._product()
        if not self._accept(")"):
            raise self._error("a parenthesis is not closed")
        return _raised(unit, self._power())

    def _name(self) -> Unit:
        """One name, which may be of up to three words."""
        start = self._next
        words: list[str] = []
        found: tuple[Unit, int] | None = None
        at = start
        while len(words) < _MAX_WORDS and (word := self._text_at(at, "name")) and word != "per":
            words.append(word)
            at += 1
            unit = self._units.named("_".join(words))
            if unit is not None:
                found = unit, at
            if self._text_at(at) == "-" and self._text_at(at + 1, "name"):
                at += 1
        if found is not None:
            unit, self._next = found
            return self._degrees(unit) or unit
        if words and (match := re.fullmatch(r"(\D+)([2-9])", words[0])):
            unit = self._units.named(match[1])
            if unit is not None:
                self._next = start + 1
                return _raised(unit, self._counted(int(match[2])))
        raise self._unknown(words[0] if words else self._text_at(start))

    def _degrees(self, unit: Unit) -> Unit | None:
        """The temperature whose name follows the word or the sign for degrees."""
        word = self._text_at(self._next, "name")
        if not word or unit != self._units.named("degree"):
            return None
        for name in (f"deg{word.upper()}", word) if len(word) == 1 else (word,):
            named = self._units.named(name)
            if named is not None and named.is_temperature:
                self._next += 1
                return named
        return None

    def _power(self) -> int:
        if power := self._text_at(self._next, "power"):
            self._next += 1
            digits = power.translate(_SUPERSCRIPTS).lstrip("*^ ")
            return self._counted(int(digits) if len(digits) < 4 else MAX_POWER + 1)
        if (word := self._text_at(self._next).casefold()) in _POWER_AFTER:
            self._next += 1
            return _POWER_AFTER[word]
        number = self._text_at(self._next + 1, "number")
        if self._text_at(self._next) == "-" and number.isdecimal() and len(number) == 1:
            self._next += 2
            return self._counted(-int(number))
        return 1

    def _counted(self, power: int) -> int:
        """The power, if all powers of this text together stay within bounds."""
        self._powers += abs(power)
        if self._powers > MAX_POWER:
            raise self._error(f"its powers are more than {MAX_POWER} together")
        return power

    # Mistakes.

    def _unknown(self, name: str) -> UnitError:
        if is_currency(name.upper()) or name.casefold() in currency_nouns(DEFAULT):
            return UnitError(_NO_EXCHANGE)
        if not name:
            return self._error("a unit is missing at the end")
        return UnitError(f"`{name}` is not a unit.", self._units.suggestions(name))

    def _error(self, problem: str) -> UnitError:
        return UnitError(f"The unit `{self._text}` cannot be read: {problem}.")


def _times(left: Unit, right: Unit, power: int = 1) -> Unit:
    """The product of `left` and a power of `right`; offsets are gone in it.

    Raises:
        UnitError: It is a temperature again, whose offset would be lost.
    """
    base = dict(left.base)
    for name, exponent in right.base.items():
        base[name] = base.get(name, Fraction(0)) + exponent * power
    base = {name: exponent for name, exponent in base.items() if exponent}
    notes = tuple(dict.fromkeys([*left.notes, *right.notes]))
    product = Unit(left.factor * right.factor**power, base, notes=notes)
    if product.is_temperature and (left.offset or right.offset):
        raise UnitError("A temperature is no multiple of its unit: give its number as the value.")
    return product


def _raised(unit: Unit, power: int) -> Unit:
    return unit if power == 1 else _times(Unit(Fraction(1), {}), unit, power)


def _power_text(name: str, power: Fraction) -> str:
    return name if power == 1 else f"{name}^{power}"
