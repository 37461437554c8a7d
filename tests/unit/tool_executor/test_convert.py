"""The tool `convert`: what units are understood, and that conversion is exact."""

from __future__ import annotations

import subprocess
import sys
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import FaultError
from motet.messages import ConvertRequest, Fault
from motet_tool_executor.convert import convert
from motet_tool_executor.unit_text import MAX_POWER, UnitError
from motet_tool_executor.units import UnitReader, unit_reader


@pytest.fixture(scope="session")
def reader() -> UnitReader:
    return unit_reader()


def run(value: str, from_unit: str, to_unit: str) -> str:
    request = ConvertRequest(value=value, from_unit=from_unit, to_unit=to_unit)
    result = convert(request)
    assert result.unit == to_unit
    return result.value


def fault_of(value: str, from_unit: str, to_unit: str) -> Fault:
    with pytest.raises(FaultError) as caught:
        run(value, from_unit, to_unit)
    assert caught.value.fault.type == "invalid_input"
    return caught.value.fault


def outcome_of(request: ConvertRequest) -> str:
    """The type of the fault that the request ends in, or `ok`."""
    try:
        convert(request)
    except FaultError as error:
        return error.fault.type
    return "ok"


@pytest.mark.parametrize(
    "value, from_unit, to_unit, expected",
    [
        ("26.2", "mile", "km", "42.1648128"),
        ("26.2", "Miles", "Kilometres", "42.1648128"),
        ("1,500", "m", "km", "1.5"),
        ("0.1", "m", "cm", "10"),
        ("5", "KG", "lb", "11.02311310924387903614869007"),
        ("1", "nautical mile", "metres", "1852"),
        ("2", "kilowatt-hours", "MJ", "7.2"),
        ("1", "watt hour", "J", "3600"),
        ("5", "GB", "MiB", "4768.37158203125"),
        ("3", "fl oz", "ml", "88.7205886875"),
        ("1", "US gallon", "litre", "3.785411784"),
        ("1", "year", "days", "365.25"),
        ("2", "decades", "years", "20"),
        ("90", "degree", "rad", "1.570796326794896619231321692"),
        ("1", "%", "ppm", "10000"),
    ],
)
def test_simple_units(value: str, from_unit: str, to_unit: str, expected: str) -> None:
    assert run(value, from_unit, to_unit) == expected


@pytest.mark.parametrize(
    "value, from_unit, to_unit, expected",
    [
        ("60", "mph", "km/h", "96.56064"),
        ("60", "miles per hour", "metres per second", "26.8224"),
        ("1", "m s-1", "km/h", "3.6"),
        ("1", "m*s^-1", "km/h", "3.6"),
        ("1", "m·s⁻¹", "km/h", "3.6"),
        ("1000", "sq ft", "m²", "92.90304"),
        ("1000", "square feet", "m2", "92.90304"),
        ("1000", "ft^2", "m**2", "92.90304"),
        ("1000", "sqft", "square metres", "92.90304"),
        ("3", "cubic metres", "L", "3000"),
        ("3", "metres cubed", "L", "3000"),
        ("1", "mile/gallon", "mpg", "1"),
        ("8", "L/100km", "m^2", "0.00000008"),
        ("1", "kilocalories per 100 grams", "kJ/kg", "41.84"),
        ("1", "J/(kg*degC)", "J kg^-1 K^-1", "1"),
        ("9", "W/degF", "W/K", "16.2"),
        ("1", "Nm", "J", "1"),
        ("1", "1/s", "Hz", "1"),
    ],
)
def test_compound_units(value: str, from_unit: str, to_unit: str, expected: str) -> None:
    assert run(value, from_unit, to_unit) == expected


@pytest.mark.parametrize(
    "value, from_unit, to_unit, expected",
    [
        ("350", "degF", "degC", "176.6666666666666666666666667"),
        ("-40", "Celsius", "Fahrenheit", "-40"),
        ("100", "°C", "K", "373.15"),
        ("300", "kelvin", "degrees_celsius", None),
        ("37", "degree Celsius", "degF", "98.6"),
        ("5", "C", "F", "41"),
        ("41", "F", "C", "5"),
        ("300", "K", "C", "26.85"),
        ("26.85", "C", "K", "300"),
        ("9", "delta_degF", "delta_degC", "5"),
        ("1", "C", "coulomb", "1"),
    ],
)
def test_temperatures(value: str, from_unit: str, to_unit: str, expected: str | None) -> None:
    if expected is not None:
        assert run(value, from_unit, to_unit) == expected
    else:
        assert "Did you mean" in fault_of(value, from_unit, to_unit).message


def test_numbers_may_be_given_as_numbers() -> None:
    request = ConvertRequest.model_validate({"value": 1.5, "from_unit": "km", "to_unit": "m"})
    assert convert(request).value == "1500"


@pytest.mark.parametrize(
    "from_unit, to_unit, match",
    [
        ("milles", "km", "mile"),
        ("mile", "kilogramm", "kilogram"),
        ("mile", "kilomter", "kilometer"),
        ("ounce", "ml", "fluid_ounce"),
    ],
)
def test_a_fault_has_the_closest_matches(from_unit: str, to_unit: str, match: str) -> None:
    fault = fault_of("1", from_unit, to_unit)
    assert match in fault.detail["matches"]
    assert f"`{match}`" in fault.message


@pytest.mark.parametrize(
    "value, from_unit, to_unit, words",
    [
        ("1", "mile", "kg", "`mile` (meter) and `kg` (gram) measure different things"),
        ("1", "m/s", "m", "`m/s` (meter / second) and `m` (meter)"),
        ("1", "rpm", "Hz", "different things"),
        ("1", "percent", "m", "a plain number"),
        ("1", "J/kg K", "W", "above or below"),
        ("1", "(m", "m", "not closed"),
        ("1", "m)", "m", "not expected"),
        ("1", "m^", "m", "no meaning"),
        ("1", "m/", "m", "missing at the end"),
        ("1", "  ", "m", "empty"),
        ("1", "m/0 s", "m", "cannot be zero"),
        ("1", "dB", "W", "logarithmic"),
        ("1", "degC", "delta_degC", "difference of temperatures"),
        ("1", "USD", "EUR", "exchange rates"),
        ("1", "€", "km", "exchange rates"),
        ("1,5", "m", "km", "comma"),
        ("$5", "m", "km", "plain number"),
        ("5%", "m", "km", "plain number"),
        ("5 km", "km", "m", "not a number"),
    ],
)
def test_what_is_refused(value: str, from_unit: str, to_unit: str, words: str) -> None:
    assert words in fault_of(value, from_unit, to_unit).message


# Hostile input.


@pytest.mark.parametrize(
    "unit",
    [
        "m^99",
        "m**999999999",
        "m**9**9**9",
        "m^9*m^9",
        "((m^9)^9)^9",
        "(" * 64,
        "m" * 64,
        "m*" * 31 + "m",
        "Qm*" * 21 + "m",
        "(((Qm*Qm*Qm*Qm)^2)^2)^3",
        "9" * 64,
        "999999 " * 9,
        "m^-" + "9" * 60,
        "-" * 64,
    ],
)
def test_hostile_units_end_soon(unit: str, reader: UnitReader) -> None:
    started = time.process_time()
    request = ConvertRequest(value="1e900", from_unit=unit, to_unit="ym^9")
    assert outcome_of(request) in ("ok", "invalid_input")
    assert time.process_time() - started < 1


def test_powers_are_limited_by_their_sum(reader: UnitReader) -> None:
    assert reader.read(f"m^{MAX_POWER}").base == {"meter": MAX_POWER}
    with pytest.raises(UnitError, match="more than 9 together"):
        reader.read("m^5/s^5")


# Properties.

GROUPS = [
    ["m", "km", "mile", "ft", "inch", "nautical mile", "light_year", "nm"],
    ["kg", "g", "lb", "oz", "tonne", "stone"],
    ["degC", "degF", "K", "degR"],
    ["m/s", "km/h", "mph", "knot", "ft/min"],
    ["J", "kWh", "kcal", "BTU", "eV"],
    ["L", "m^3", "gallon", "cup", "cubic feet"],
]
pairs = st.sampled_from(GROUPS).flatmap(
    lambda group: st.tuples(st.sampled_from(group), st.sampled_from(group))
)
values = st.decimals(min_value=-(10**9), max_value=10**9, places=4).map(Fraction)


@given(pairs, values)
def test_there_and_back_is_where_one_was(pair: tuple[str, str], value: Fraction) -> None:
    reader = unit_reader()
    source, target = map(reader.read, pair)
    assert reader.convert(reader.convert(value, source, target), target, source) == value


@given(pairs, values, values)
def test_conversion_keeps_the_order(pair: tuple[str, str], a: Fraction, b: Fraction) -> None:
    reader = unit_reader()
    source, target = map(reader.read, pair)
    converted = (reader.convert(each, source, target) for each in (a, b))
    assert (a < b) == (next(converted) < next(converted))


pieces = st.sampled_from(
    [*"0123456789*/^()-. %°²", "**", " per ", "square ", "cubic ", "m", "km", "degC", "s", "C"]
)
unit_texts = st.text(max_size=64) | st.lists(pieces, max_size=30).map("".join)


@given(st.text(max_size=64) | st.just("1"), unit_texts, unit_texts)
def test_any_text_is_converted_or_an_invalid_input(value: str, source: str, target: str) -> None:
    request = ConvertRequest.model_construct(value=value, from_unit=source, to_unit=target)
    assert outcome_of(request) in ("ok", "invalid_input")


@given(unit_texts)
def test_a_unit_that_is_read_converts_to_itself(text: str) -> None:
    reader = unit_reader()
    try:
        unit = reader.read(text)
    except UnitError:
        return
    assert reader.convert(Fraction(7, 3), unit, unit) == Fraction(7, 3)


def test_pint_is_loaded_by_the_first_conversion_only() -> None:
    code = (
        "import sys, motet_tool_executor.app; assert 'pint' not in sys.modules;"
        "from motet_tool_executor.units import unit_reader; unit_reader();"
        "assert 'pint' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
