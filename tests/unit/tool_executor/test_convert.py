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
from motet_tool_executor.locale_data import unit_names
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
        ("300", "kelvin", "degrees_celsius", "26.85"),
        ("101.3", "degrees Fahrenheit", "degrees Celsius", "38.5"),
        ("25", "degrees Celsius", "degrees Fahrenheit", "77"),
        ("25", "Degrees Celsius", "degrees Kelvin", "298.15"),
        ("25", "deg. C", "deg F", "77"),
        ("25", "degrees C", "\u2109", "77"),
        ("25", "\u00b0 c", "\u00b0F", "77"),
        ("25", "degrees centigrade", "degrees Rankine", "536.67"),
        ("25", "c", "f", "77"),
        ("6", "degrees Celsius per minute", "K/s", "0.1"),
        ("9", "degrees Fahrenheit per hour", "degrees Celsius per hour", "5"),
        ("4", "W per square metre per degree Celsius", "W/(m^2 K)", "4"),
        ("-5", "K", "delta_degF", "-9"),
        ("37", "degree Celsius", "degF", "98.6"),
        ("5", "C", "F", "41"),
        ("41", "F", "C", "5"),
        ("300", "K", "C", "26.85"),
        ("26.85", "C", "K", "300"),
        ("9", "delta_degF", "delta_degC", "5"),
        ("1", "C", "coulomb", "1"),
    ],
)
def test_temperatures(value: str, from_unit: str, to_unit: str, expected: str) -> None:
    assert run(value, from_unit, to_unit) == expected


@pytest.mark.parametrize(
    "value, from_unit, to_unit",
    [("-300", "degrees Celsius", "K"), ("-460", "\u00b0F", "\u00b0C"), ("-1", "K", "degC"),
     ("-1", "degR", "F")],
)  # fmt: skip
def test_nothing_is_colder_than_absolute_zero(value: str, from_unit: str, to_unit: str) -> None:
    fault = fault_of(value, from_unit, to_unit)
    assert "below absolute zero" in fault.message
    assert fault.detail["field"] == "value"
    assert run("-273.15", "degC", "K") == "0"


@pytest.mark.parametrize(
    "value, from_unit, to_unit, expected",
    [
        ("80", "mbps", "MB/s", "10"),
        ("2", "Gbps", "Mbit/s", "2000"),
        ("3", "MBps", "mbit/s", "24"),
        ("40", "kw", "W", "40000"),
        ("50", "hz", "1/s", "50"),
        ("2.4", "ghz", "MHz", "2400"),
        ("1", "PSI", "psi", "1"),
        ("1", "mpa", "bar", "10"),
        ("7", "KWH", "MJ", "25.2"),
        ("900", "sq. ft.", "sq. yd.", "100"),
        ("2", "fl. oz.", "US fl oz", "2"),
        ("10", "LBS", "oz", "160"),
        ("60", "m.p.h.", "kmph", "96.56064"),
        ("70", "MM", "CM", "7"),
        ("3", "NM", "m", "5556"),
        ("4", "Cal", "kcal", "4"),
        ("2", "quarters", "months", "6"),
        ("6", "mS", "S", "0.006"),
        ("6", "kN", "N", "6000"),
        ("8", "Mb", "MB", "1"),
        ("2", "US gallons", "L", "7.570823568"),
        ("2", "UK gallons", "L", "9.09218"),
        ("2", "long tons", "pounds", "4480"),
    ],
)
def test_spellings_that_people_use(value: str, from_unit: str, to_unit: str, expected: str) -> None:
    assert run(value, from_unit, to_unit) == expected


@pytest.mark.parametrize("unit", ["kb", "mb", "gb", "mw", "mwh"])
def test_a_name_with_two_meanings_is_refused(unit: str) -> None:
    fault = fault_of("1", unit, unit)
    assert "may mean" in fault.message
    assert len(fault.detail["matches"]) >= 2


@pytest.mark.parametrize(
    "from_unit, to_unit, value, told",
    [
        ("barrels", "US gallon", "126", "one of oil"),
        ("tons", "lb", "6000", "2000 pounds"),
        ("gallons", "quarts", "12", "US one"),
        ("mbit", "kbit", "3000", "read as `M`"),
    ],
)
def test_it_is_told_which_meaning_was_taken(
    from_unit: str, to_unit: str, value: str, told: str
) -> None:
    result = convert(ConvertRequest(value="3", from_unit=from_unit, to_unit=to_unit))
    assert result.value == value
    assert any(told in warning for warning in result.warnings)
    assert convert(ConvertRequest(value="3", from_unit="km", to_unit="mi")).warnings == ()


@pytest.mark.parametrize(
    "value, from_unit, to_unit, expected",
    [("235.2145833", "mpg", "L/100km", "1.000000"), ("5", "L/100 km", "km/L", "20"),
     ("6", "min/km", "km/h", "10"), ("4", "Hz", "s", "0.25")],
)  # fmt: skip
def test_inverse_units_convert_and_say_so(
    value: str, from_unit: str, to_unit: str, expected: str
) -> None:
    result = convert(ConvertRequest(value=value, from_unit=from_unit, to_unit=to_unit))
    assert float(result.value) == pytest.approx(float(expected))
    assert any("reciprocal" in warning for warning in result.warnings)
    assert "no reciprocal" in fault_of("0", from_unit, to_unit).message


@pytest.mark.parametrize(
    "language, value, from_unit, to_unit, expected",
    [
        ("de", "25,5", "Grad Celsius", "Grad Fahrenheit", "77.9"),
        ("de", "1.250", "Quadratmeter", "ha", "0.125"),
        ("de", "36", "Kilometer pro Stunde", "Meter pro Sekunde", "10"),
        ("fr", "1 000", "milles marins", "km", "1852"),
        ("sv", "2", "liter", "cubic centimetres", "2000"),
        ("ja", "3", "キログラム", "g", "3000"),
    ],
)
def test_units_are_named_in_a_language(
    language: str, value: str, from_unit: str, to_unit: str, expected: str
) -> None:
    request = ConvertRequest(value=value, from_unit=from_unit, to_unit=to_unit, language=language)
    assert convert(request).value == expected


def test_a_unit_of_cldr_measures_what_cldr_says() -> None:
    """Names of one kind have one base, so none is read by another meaning."""
    reader, bases = unit_reader(), {}
    for name, units in unit_names("en").items():
        kinds = {unit.partition("-")[0] for unit in units - {"volume-drop"}}  # pint has no drops
        try:
            unit = reader.named(name)
        except UnitError:
            continue
        if (
            unit is not None
            and kinds
            and kinds
            <= {
                "area",
                "length",
                "volume",
                "mass",
                "power",
                "duration",
                "temperature",
                "pressure",
                "digital",
            }
        ):
            bases.setdefault(kinds.pop(), {})[name] = unit.base
    assert {
        kind: len({tuple(sorted(base.items())) for base in named.values()})
        for kind, named in bases.items()
    } == dict.fromkeys(bases, 1), bases
    assert sum(map(len, bases.values())) > 200


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
        ("1,5,2", "m", "km", "separators"),
        ("20", "5 degC", "K", "no multiple"),
        ("1", "pinch", "m", "not converted here"),
        ("1", "zorkmids", "km", "not a unit"),
        ("1", "francs", "km", "exchange rates"),
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
        "import sys, motet_tool_executor.app; assert not {'pint', 'babel'} & {*sys.modules};"
        "from motet_tool_executor.units import unit_reader; unit_reader();"
        "assert 'pint' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
