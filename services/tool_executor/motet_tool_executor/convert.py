"""The tool `convert`: a quantity in another unit."""

from __future__ import annotations

from fractions import Fraction

from motet.errors import FaultError
from motet.messages import ConvertRequest, ConvertResult, FaultType, SkillExample
from motet_tool_executor.closest import did_you_mean
from motet_tool_executor.numerals import (
    SIGNIFICANT_DIGITS,
    NumeralError,
    decimal_text,
    parse_numeral,
)
from motet_tool_executor.registry import tool
from motet_tool_executor.unit_text import Unit, UnitError
from motet_tool_executor.units import UnitReader, unit_reader

__all__ = ["convert"]

_DEGREES = {"C": "degC", "F": "degF"}
"""Letters that are coulomb and farad, unless the other unit is a temperature, or such a letter."""


@tool(
    description=(
        "Converts a quantity from one unit to another: length, area, volume, weight, speed, "
        "temperature, energy, data size, time. Not for currencies. `value`: the number. "
        "`from_unit`: its unit. `to_unit`: the unit that is wanted. Units are names or symbols "
        "such as `mile`, `km/h`, `degC`, `square feet`."
    ),
    examples=(
        SkillExample(
            goal="How many kilometres are 26.2 miles?",
            input={"value": "26.2", "from_unit": "mile", "to_unit": "km"},
        ),
        SkillExample(
            goal="What is 350 degrees Fahrenheit in Celsius?",
            input={"value": "350", "from_unit": "degF", "to_unit": "degC"},
        ),
    ),
    typical_s=0.01,
)
def convert(request: ConvertRequest) -> ConvertResult:
    """Converts a quantity; `units` says which units are understood."""
    value = _value(request.value)
    reader = unit_reader()
    source, target = _units(reader, request.from_unit.strip(), request.to_unit.strip())
    if source.base != target.base:
        raise _incompatible(reader, request, source, target)
    try:
        converted = reader.convert(value, source, target)
    except UnitError as error:
        raise FaultError.of(FaultType.INVALID_INPUT, str(error), field="to_unit") from None
    text, _ = decimal_text(converted, SIGNIFICANT_DIGITS)
    return ConvertResult(value=text, unit=request.to_unit.strip())


def _value(text: str) -> Fraction:
    try:
        numeral = parse_numeral(text)
        if numeral.percentage or numeral.currency:
            raise NumeralError("it needs to be a plain number, its unit goes into `from_unit`")
    except NumeralError as error:
        raise FaultError.of(
            FaultType.INVALID_INPUT, f"The value {text!r} is no number: {error}.", field="value"
        ) from None
    return numeral.value


def _units(reader: UnitReader, source: str, target: str) -> tuple[Unit, Unit]:
    units = _read(reader, source, "from_unit"), _read(reader, target, "to_unit")
    if source in _DEGREES and (target in _DEGREES or _is_temperature(units[1])):
        units = reader.read(_DEGREES[source]), units[1]
    if target in _DEGREES and _is_temperature(units[0]):
        units = units[0], reader.read(_DEGREES[target])
    return units


def _read(reader: UnitReader, text: str, field: str) -> Unit:
    try:
        return reader.read(text)
    except UnitError as error:
        raise FaultError.of(
            FaultType.INVALID_INPUT, str(error), field=field, matches=list(error.matches)
        ) from None


def _is_temperature(unit: Unit) -> bool:
    return unit.base == {"kelvin": 1}


def _incompatible(
    reader: UnitReader, request: ConvertRequest, source: Unit, target: Unit
) -> FaultError:
    from_unit, to_unit = request.from_unit.strip(), request.to_unit.strip()
    matches = reader.suggestions(to_unit, source.base)
    matches = matches or reader.suggestions(from_unit, target.base)
    return FaultError.of(
        FaultType.INVALID_INPUT,
        f"`{from_unit}` ({source.base_text}) and `{to_unit}` ({target.base_text}) measure "
        f"different things and do not convert.{did_you_mean(matches)}",
        field="to_unit",
        matches=list(matches),
    )
