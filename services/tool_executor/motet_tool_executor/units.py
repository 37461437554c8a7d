"""Units of measure by name, and what they are worth in base units: pint's, as exact fractions.

Names are found with pint's plurals and prefixes, in any case from four letters on, and by the
aliases below. Pi has pint's 50 digits; constants that were measured have the digits that pint has.
What is kept of earlier lookups is bounded by the number of names, not by what anybody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cache, lru_cache
from threading import RLock
from typing import Any, cast

from motet_tool_executor.closest import closest
from motet_tool_executor.unit_text import Unit, UnitError, read_unit

__all__ = ["UnitReader", "unit_reader"]

_ALIASES = {
    "KM": "km",
    "Km": "km",
    "KG": "kg",
    "Kg": "kg",
    "kgs": "kg",
    "Hr": "hour",
    "wk": "week",
    "mo": "month",
    "kwh": "kWh",
    "KWH": "kWh",
    "btu": "BTU",
    "KB": "kB",
    "fl_oz": "fluid_ounce",
    "lightyear": "light_year",
    "us_gallon": "gallon",
    "uk_gallon": "imperial_gallon",
    "°c": "degC",
    "°f": "degF",
    "deg_c": "degC",
    "deg_f": "degF",
    "degree_c": "degC",
    "degree_f": "degF",
}
"""Spellings that people and models use and pint does not know."""
_COMPOUND_ALIASES = {
    "mpg": "mile/gallon",
    "Nm": "N*m",
    "decade": "10 year",
    "sqft": "ft^2",
    "sqm": "m^2",
    "sqkm": "km^2",
    "sqmi": "mile^2",
    "cuft": "ft^3",
    "kbps": "kbit/s",
    "Mbps": "Mbit/s",
    "Gbps": "Gbit/s",
}
"""The same for compound units, and what pint knows by a meaning that nobody has in mind: a decade
of frequencies, a number-metre."""
_LOGARITHMIC = frozenset(
    ("decibel", "decibelmicrowatt", "decibelmilliwatt", "decibelwatt", "neper", "octave")
)
_DIFFERENCE = "delta_"
_ANY_CASE_FROM = 4
"""Letters from which a name is also looked up in lower case: `MW` and `mW` differ."""
_PREFIXES = ("kilo", "mega", "giga", "centi", "milli", "micro")
_PREFIXED = ("meter", "gram", "liter", "watt", "watt_hour", "joule", "byte", "bit", "pascal")
"""What is also suggested with these prefixes; pint lists a unit without."""


class UnitReader:
    """Reads units by pint's registry, which takes about a second to build; see `unit_reader`.

    One thread at a time uses the registry; what was looked up is kept, within bounds.
    """

    def __init__(self) -> None:
        import pint  # 30 MB and most of a second, for those who convert

        self._container: Callable[[Any], Mapping[str, Any]] = pint.util.to_units_container
        self._errors = (pint.UndefinedUnitError, pint.OffsetUnitCalculusError)
        # Typed for float only, though any type of number will do.
        self._registry = cast("Any", pint.UnitRegistry)(non_int_type=Fraction)
        self._lock = RLock()
        self._named = lru_cache(maxsize=4096)(self._look_up)

    def read(self, text: str) -> Unit:
        """Reads a unit.

        Raises:
            UnitError: Some of it is no unit, or it has two readings; with the closest matches.
        """
        with self._lock:
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
        with self._lock:
            kelvins = value * source.factor
            if source.offset is not None:
                kelvins = Fraction(self._registry.convert(value, source.offset, "kelvin"))
            if target.offset is None:
                return kelvins / target.factor
            return Fraction(self._registry.convert(kelvins, "kelvin", target.offset))

    def named(self, name: str) -> Unit | None:
        """The unit of one name, symbol or alias; None when there is none."""
        return self._named(name)

    def suggestions(self, name: str, base: Mapping[str, Fraction] | None = None) -> tuple[str, ...]:
        """Names of units that look like `name`; with `base`, only those that convert to it."""
        with self._lock:
            names: Iterable[str] = [*self._registry, *_ALIASES, *_COMPOUND_ALIASES]
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
        for spelling in self._spellings(name):
            if spelling in _COMPOUND_ALIASES:
                return read_unit(_COMPOUND_ALIASES[spelling], self)
            try:
                canonical = self._registry.get_name(_ALIASES.get(spelling, spelling))
            except self._errors:
                continue
            if canonical in _COMPOUND_ALIASES:
                return read_unit(_COMPOUND_ALIASES[canonical], self)
            if canonical in _LOGARITHMIC:
                raise UnitError(f"`{name}` is a logarithmic unit; these are not converted.")
            factor, root = self._registry.get_root_units(canonical)
            base = {str(unit): Fraction(power) for unit, power in self._container(root).items()}
            offset = canonical if self._has_offset(canonical) else None
            difference = canonical.startswith(_DIFFERENCE)
            return Unit(Fraction(factor), base, offset, difference)
        return None

    def _spellings(self, name: str) -> Iterator[str]:
        yield name
        if len(name) >= _ANY_CASE_FROM or name.casefold() in _ALIASES:
            yield name.casefold()

    def _has_offset(self, canonical: str) -> bool:
        """Pint makes a unit of differences for each whose zero is elsewhere, and for no other."""
        try:
            self._registry.get_name(_DIFFERENCE + canonical)
        except self._errors:
            return False
        return True


@cache
def unit_reader() -> UnitReader:
    """The one reader of this process, built at its first use."""
    return UnitReader()
