"""Units of measure by name, and what they are worth in base units: pint's, as exact fractions.

A name is looked up, in this order: among the spellings below; among CLDR's names and symbols in the
request's language and in English, letter by letter; among pint's names, with its prefixes and
plurals; then in CLDR and in pint without regard to case. So `hz` and `PSI` are found, `Mb` is a
megabit and no megabarn, and `mb`, which may be a megabit or a megabyte, is refused. Single letters
are always pint's, in their case. Pi has pint's 50 digits; constants that were measured have the
digits that pint has. What is kept of earlier lookups is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache, lru_cache
from threading import RLock
from typing import Any, cast

from motet_tool_executor.closest import closest
from motet_tool_executor.locale_data import DEFAULT, unit_key, unit_names
from motet_tool_executor.unit_text import Unit, UnitError, read_unit

__all__ = ["UnitReader", "unit_reader"]

_SPELLINGS = {
    "KM": "km",
    "Km": "km",
    "KG": "kg",
    "Kg": "kg",
    "kgs": "kg",
    "kilo": "kg",
    "kilos": "kg",
    "Hr": "hour",
    "wk": "week",
    "mo": "month",
    "KB": "kB",
    "NM": "nautical_mile",
    "fl_oz": "fluid_ounce",
    "lightyear": "light_year",
    "°": "degree",
    "centigrade": "degC",
    "deg_c": "degC",
    "deg_f": "degF",
    "°c": "degC",
    "°f": "degF",
    "Nm": "N*m",
    "kmh": "km/h",
    "kmph": "km/h",
    "sqft": "ft^2",
    "sqm": "m^2",
    "sqkm": "km^2",
    "sqmi": "mile^2",
    "cuft": "ft^3",
}
"""Spellings that people and models use, and that neither CLDR nor pint knows, or knows by a meaning
that nobody has in mind: a kilomile per hour, a kilo-second, a hundredth of an angle."""
_OF_CLDR = {
    "consumption-mile-per-gallon-imperial": "mile/imperial_gallon",
    "duration-decade": "10 year",
    "duration-quarter": "3 month",
    "energy-foodcalorie": "kilocalorie",
    "pressure-inch-ofhg": "inHg",
    "pressure-millimeter-ofhg": "mmHg",
    "volume-barrel": "oil_barrel",
    "volume-dram": "fluid_dram",
}
"""CLDR's units whose own name means something else to pint, or nothing."""
_SYSTEMS = {"us_": "", "uk_": "imperial_", "imp_": "imperial_"}
"""What is written before a unit's name for the system that it is of, and what pint writes."""
_NOTES = {
    "oil_barrel": "A barrel is read as one of oil, 42 US gallons.",
    "ton": "A ton is read as the US one, 2000 pounds; write `tonne` or `long_ton` for another.",
    "gallon": "A gallon is read as the US one; write `imperial_gallon` for the other.",
    "calorie": "A calorie is read as 4.184 J; write `kcal` for those of food.",
}
"""What is said of units whose name has other meanings too, by pint's name."""
_BITS_PER_SECOND = re.compile(r"([kmgtKMGT]?)(bps|Bps|BPS)")
_BIT = {"bit": Fraction(1)}
_LOGARITHMIC = frozenset(
    ("decibel", "decibelmicrowatt", "decibelmilliwatt", "decibelwatt", "neper", "octave")
)
_DIFFERENCE = "delta_"
_ANY_CASE_FROM = 4
"""Letters from which a spelling is also looked up in lower case."""
_PREFIXES = ("kilo", "mega", "giga", "centi", "milli", "micro")
_PREFIXED = ("meter", "gram", "liter", "watt", "watt_hour", "joule", "byte", "bit", "pascal")
"""What is also suggested with these prefixes; pint lists a unit without."""


class _Pint:
    """Pint's registry, which takes about a second to build, as fractions; one for all languages.

    One thread at a time uses it.
    """

    def __init__(self) -> None:
        import pint  # 30 MB and most of a second, for those who convert

        self._container: Callable[[Any], Mapping[str, Any]] = pint.util.to_units_container
        self._errors = (pint.UndefinedUnitError, pint.OffsetUnitCalculusError)
        # Typed for float only, though any type of number will do.
        self.registry = cast("Any", pint.UnitRegistry)(non_int_type=Fraction)
        self.lock = RLock()

    def named(self, name: str) -> Unit | None:
        """The unit of a name in its case.

        Raises:
            UnitError: It is logarithmic.
        """
        try:
            canonical = self.registry.get_name(name)
        except self._errors:
            return None
        if canonical in _LOGARITHMIC:
            raise UnitError(f"`{name}` is a logarithmic unit; these are not converted.")
        factor, root = self.registry.get_root_units(canonical)
        base = {str(unit): Fraction(power) for unit, power in self._container(root).items()}
        note = _NOTES.get(canonical)
        return Unit(
            Fraction(factor),
            base,
            canonical if self._has_offset(canonical) else None,
            canonical.startswith(_DIFFERENCE),
            (note,) if note else (),
        )

    def is_guess(self, name: str) -> bool:
        """Whether pint finds a name only as a prefix's symbol and a unit: `pinch`, a pico-inch."""
        found = self.registry.parse_unit_name(name)
        return bool(found) and all(prefix and not name.startswith(prefix) for prefix, _, _ in found)

    def in_any_case(self, name: str) -> dict[str, Unit]:
        """Units of a name without regard to case, by pint's name."""
        found: dict[str, Unit] = {}
        # Pint keeps the case of prefixes: `mwh` may be of milli or of mega.
        names = [name] if name[0].isupper() else [name, name[0].upper() + name[1:]]
        for each in names:
            for prefix, unit, _ in self.registry.parse_unit_name(each, case_sensitive=False):
                named = self.named(prefix + unit)
                if named is not None:
                    found[prefix + unit] = named
        return found

    def _has_offset(self, canonical: str) -> bool:
        """Pint makes a unit of differences for each whose zero is elsewhere, and for no other."""
        try:
            self.registry.get_name(_DIFFERENCE + canonical)
        except self._errors:
            return False
        return True


class _SpelledOut:
    """Pint's units for CLDR's own names, which hold no symbols."""

    def __init__(self, pint: _Pint) -> None:
        self._pint = pint

    def named(self, name: str) -> Unit | None:
        """See `NamedUnits`."""
        return None if self._pint.is_guess(name) else self._pint.named(name)

    def suggestions(self, name: str) -> tuple[str, ...]:  # noqa: ARG002 - nobody sees any
        """See `NamedUnits`."""
        return ()


class UnitReader:
    """Reads units in a language; see `unit_reader`. What was looked up is kept, within bounds."""

    def __init__(self, pint: _Pint, language: str) -> None:
        self._pint = pint
        self._spelled_out = _SpelledOut(pint)
        names = [unit_names(language)] + [unit_names(DEFAULT)] * (language != DEFAULT)
        self._names = names
        self._folded = [_folded(each) for each in names]
        self._named = lru_cache(maxsize=4096)(self._look_up)

    def read(self, text: str) -> Unit:
        """Reads a unit.

        Raises:
            UnitError: Some of it is no unit, or it has two readings; with the closest matches.
        """
        with self._pint.lock:
            return read_unit(text, self)

    def convert(self, value: Fraction, source: Unit, target: Unit) -> Fraction:
        """Converts a value between units of equal `base`.

        Raises:
            UnitError: One unit measures temperatures, the other differences of temperature.
        """
        if source.offset is None and target.offset is None:
            return value * source.factor / target.factor
        if source.difference or target.difference:
            raise UnitError("A difference of temperatures does not convert to a temperature.")
        kelvins = self.kelvins(value, source)
        if target.offset is None:
            return kelvins / target.factor
        with self._pint.lock:
            return Fraction(self._pint.registry.convert(kelvins, "kelvin", target.offset))

    def kelvins(self, value: Fraction, unit: Unit) -> Fraction:
        """A temperature from absolute zero."""
        if unit.offset is None:
            return value * unit.factor
        with self._pint.lock:
            return Fraction(self._pint.registry.convert(value, unit.offset, "kelvin"))

    def named(self, name: str) -> Unit | None:
        """The unit of one name, symbol or alias; None when there is none.

        Raises:
            UnitError: It has several meanings, or is logarithmic.
        """
        return self._named(name)

    def suggestions(self, name: str, base: Mapping[str, Fraction] | None = None) -> tuple[str, ...]:
        """Names of units that look like `name`; with `base`, only those that convert to it."""
        with self._pint.lock:
            names: Iterable[str] = [*self._pint.registry, *_SPELLINGS]
            names = [*names, *(prefix + unit for prefix in _PREFIXES for unit in _PREFIXED)]
            if base is not None:
                near = closest(name, names, limit=20)
                return tuple(each for each in near if self._base_of(each) == base)[:3]
            return closest(name, names)

    def _base_of(self, name: str) -> Mapping[str, Fraction] | None:
        try:
            unit = self.named(name)
        except UnitError:  # a logarithmic one
            return None
        return None if unit is None else unit.base

    def _look_up(self, name: str) -> Unit | None:
        text = _spelled(name) or _rate_of_bits(name)
        if text is not None:
            return read_unit(text, self)
        for prefix, pints in _SYSTEMS.items():
            if name.casefold().startswith(prefix):
                unit = self.named(pints + name[len(prefix) :])
                return replace(unit, notes=()) if unit else None
        unit = self._by_cldr(name)
        if unit is None and self._pint.is_guess(name) and self._is_in_cldr(name):
            raise UnitError(f"`{name}` is a unit that is not converted here.")  # no pico-inch
        return unit or self._by_pint(name)

    def _is_in_cldr(self, name: str) -> bool:
        return any(unit_key(name) in names for names in self._names)

    def _by_cldr(self, name: str) -> Unit | None:
        key = unit_key(name)
        for names, folded in zip(self._names, self._folded, strict=True):
            any_case = self._of_cldr(folded.get(key.casefold(), ()))
            if name.islower() and any(unit.base == _BIT for unit in any_case.values()):
                return self._one_of(name, any_case)  # `mb` may be of bits or of bytes
            if unit := self._one_of(name, self._of_cldr(names.get(key, ()))):
                return unit
        return None

    def _by_pint(self, name: str) -> Unit | None:
        unit = self._pint.named(name)
        if unit is not None and unit.base == _BIT and unit.factor < 1:
            return self._large(name) or unit  # nobody means a thousandth of a bit
        if unit is not None and not name.isupper():
            return unit
        any_case = self._in_any_case(name, unit_key(name))
        if unit is None or (any_case is not None and any_case.base != unit.base):
            return any_case
        return unit

    def _in_any_case(self, name: str, key: str) -> Unit | None:
        """The unit of a name whose case is not kept; `MM` is no megamolar."""
        if len(name) == 1:
            return None
        for names in self._folded:
            if unit := self._one_of(name, self._of_cldr(names.get(key.casefold(), ()))):
                return unit
        if len(name) >= _ANY_CASE_FROM and (unit := self._pint.named(name.casefold())):
            return unit
        found = self._one_of(name, self._pint.in_any_case(name))
        return found or (self._pint.named(name.casefold()) if name.isupper() else None)

    def _of_cldr(self, units: Iterable[str]) -> dict[str, Unit]:
        """What CLDR's units are worth, by their names; without those that pint does not have."""
        found: dict[str, Unit] = {}
        for each in units:
            name = each.partition("-")[2]
            for text in _texts(each, name):
                try:
                    found[name] = read_unit(text, self._spelled_out)
                    break
                except UnitError:
                    continue
        return found

    def _one_of(self, name: str, units: Mapping[str, Unit]) -> Unit | None:
        """The unit, if all are worth the same; None when there are none.

        Raises:
            UnitError: They differ.
        """
        worths = {(unit.factor, *sorted(unit.base.items()), unit.offset) for unit in units.values()}
        if len(worths) < 2:
            return next(iter(units.values()), None)
        meanings = " or ".join(sorted(units))
        raise UnitError(f"`{name}` may mean {meanings}: write the name in full.", tuple(units))

    def _large(self, name: str) -> Unit | None:
        unit = self._pint.named(name[0].upper() + name[1:])
        if unit is None:
            return None
        note = f"The `{name[0]}` of `{name}` is read as `{name[0].upper()}`."
        return replace(unit, notes=(*unit.notes, note))


def _folded(names: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, units in names.items():
        found.setdefault(name.casefold(), set()).update(units)
    return found


def _texts(unit: str, name: str) -> Iterator[str]:
    """How a unit of CLDR may be written for pint."""
    if unit in _OF_CLDR:
        yield _OF_CLDR[unit]
        return
    yield name.replace("-", " ")
    noun, _, kind = name.rpartition("-")  # gallon-imperial, ounce-troy
    yield f"{kind}_{noun.replace('-', '_')}"


def _spelled(name: str) -> str | None:
    if name in _SPELLINGS:
        return _SPELLINGS[name]
    folded = name.casefold()
    return _SPELLINGS.get(folded) if len(name) >= _ANY_CASE_FROM or "°" in name else None


def _rate_of_bits(name: str) -> str | None:
    """`mbps` is megabits a second, `MBps` megabytes."""
    match = _BITS_PER_SECOND.fullmatch(name)
    if match is None:
        return None
    prefix = match[1].lower() if match[1] in ("k", "K") else match[1].upper()
    return f"{prefix}{'B' if match[2] == 'Bps' else 'bit'}/s"


@cache
def _pint() -> _Pint:
    return _Pint()


@cache
def unit_reader(language: str = DEFAULT) -> UnitReader:
    """The reader of this process for a language; pint is loaded by the first one.

    Raises:
        LanguageError: There is no such language.
    """
    return UnitReader(_pint(), language)
