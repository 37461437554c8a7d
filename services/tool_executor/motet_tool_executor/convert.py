"""The tool `convert`: a quantity in another unit."""

from __future__ import annotations

from fractions import Fraction

from motet.errors import FaultError
from motet.messages import ConvertRequest, ConvertResult, FaultType, SkillExample
from motet_tool_executor.closest import did_you_mean
from motet_tool_executor.locale_data import DEFAULT, LanguageError
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
    try:
        value = _value(request.value, request.language)
        reader = unit_reader(request.language or DEFAULT)
    except LanguageError as error:
        raise FaultError.of(FaultType.INVALID_INPUT, str(error), field="language") from None
    from_unit, to_unit = request.from_unit.strip(), request.to_unit.strip()
    source, target = _units(reader, from_unit, to_unit)
    warnings = [*source.notes, *target.notes]
    if source.base != target.base:
        if not source.is_inverse_of(target):
            raise _incompatible(reader, request, source, target)
        converted = _inverse(value, source, target)
        warnings.append(
            f"`{to_unit}` is the inverse of `{from_unit}`: the value is its reciprocal."
        )
    else:
        converted = _converted(reader, value, source, target, request)
    text, _ = decimal_text(converted, SIGNIFICANT_DIGITS)
    return ConvertResult(value=text, unit=to_unit, warnings=tuple(dict.fromkeys(warnings)))


def _converted(
    reader: UnitReader, value: Fraction, source: Unit, target: Unit, request: ConvertRequest
) -> Fraction:
    # Without an offset on either side, a value in kelvins may be a difference.
    temperature = source.offset is not None or target.offset is not None
    if temperature and reader.kelvins(value, source) < 0:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"{request.value} {request.from_unit} is below absolute zero (0 K): no temperature is; "
            "for a difference of temperatures write `delta_degC` or `delta_degF`.",
            field="value",
        )
    try:
        return reader.convert(value, source, target)
    except UnitError as error:
        raise FaultError.of(FaultType.INVALID_INPUT, str(error), field="to_unit") from None


def _inverse(value: Fraction, source: Unit, target: Unit) -> Fraction:
    """Such as litres per 100 km of miles per gallon."""
    if value == 0:
        raise FaultError.of(
            FaultType.INVALID_INPUT, "Zero has no reciprocal in that unit.", field="value"
        )
    return 1 / (value * source.factor * target.factor)


def _value(text: str, language: str | None) -> Fraction:
    try:
        numeral = parse_numeral(text, language)
        if numeral.percentage or numeral.currency:
            raise NumeralError("it needs to be a plain number, its unit goes into `from_unit`")
    except NumeralError as error:
        raise FaultError.of(
            FaultType.INVALID_INPUT, f"The value {text!r} is no number: {error}.", field="value"
        ) from None
    return numeral.value


def _units(reader: UnitReader, source: str, target: str) -> tuple[Unit, Unit]:
    letters = source.upper() in _DEGREES, target.upper() in _DEGREES
    if all(letters):
        return reader.read(_DEGREES[source.upper()]), reader.read(_DEGREES[target.upper()])
    units = _read(reader, source, "from_unit"), _read(reader, target, "to_unit")
    if letters[0] and units[1].is_temperature:
        units = reader.read(_DEGREES[source.upper()]), units[1]
    if letters[1] and units[0].is_temperature:
        units = units[0], reader.read(_DEGREES[target.upper()])
    return units


def _read(reader: UnitReader, text: str, field: str) -> Unit:
    try:
        return reader.read(text)
    except UnitError as error:
        raise FaultError.of(
            FaultType.INVALID_INPUT, str(error), field=field, matches=list(error.matches)
        ) from None


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
