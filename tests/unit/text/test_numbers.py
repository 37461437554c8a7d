"""Quantities: what Babel writes in many locales is read back, and what people write besides."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from babel import Locale
from babel.dates import format_date
from babel.numbers import format_compact_decimal, format_currency, format_decimal, format_percent
from babel.units import format_unit
from hypothesis import given, settings
from hypothesis import strategies as st

from motet.text.numbers import Quantity, quantities
from motet.text.numerals import MAX_DIGITS, readings

LOCALES = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "nb", "da", "fi", "pl", "cs", "ru", "uk")
MORE = (*LOCALES, "tr", "ja", "zh", "ko", "ar", "hi", "el", "he", "id", "vi", "hu", "ro")

locales = st.sampled_from(MORE)
amounts = st.decimals(min_value=0, max_value=99_999_999, places=2)


def only(text: str, language: str | None = None) -> Quantity:
    found = quantities(text, language)
    assert len(found) == 1, (text, found)
    return found[0]


def values(text: str, language: str | None = None) -> list[Decimal]:
    return [each.value for each in quantities(text, language)]


@settings(deadline=None)
@given(locales, amounts)
def test_a_decimal_is_read_as_its_language_writes_it(language: str, value: Decimal) -> None:
    assert only(format_decimal(value, locale=language), language).value == value


@settings(deadline=None)
@given(locales, st.decimals(min_value=-99_999, max_value=-1, places=1))
def test_a_sign_is_read(language: str, value: Decimal) -> None:
    assert only(format_decimal(value, locale=language), language).value == value


@settings(deadline=None)
@given(
    locales,
    amounts,
    st.sampled_from(("EUR", "USD", "GBP", "SEK", "NOK", "PLN", "CZK", "CHF", "BRL")),
)
def test_money_is_read_with_its_currency(language: str, value: Decimal, currency: str) -> None:
    for style in ("symbol", "name"):
        format_type = "standard" if style == "symbol" else "name"
        written = format_currency(value, currency, locale=language, format_type=format_type)
        read = only(written, language)
        assert read.value == value, written
        assert read.kind == "money", written
        assert currency in read.units, written


@settings(deadline=None)
@given(
    st.sampled_from(LOCALES),
    st.dates(min_value=date(1000, 1, 1), max_value=date(2999, 12, 31)),
    st.sampled_from(("long", "medium")),
)
def test_a_date_is_read(language: str, day: date, style: str) -> None:
    written = format_date(day, style, locale=language)
    read = only(written, language)
    assert read.kind == "date", written
    assert read.canonical == day.isoformat(), written


@settings(deadline=None)
@given(st.sampled_from(("ja", "zh", "ko")), st.dates(min_value=date(1000, 1, 1)))
def test_a_date_is_read_where_characters_name_its_parts(language: str, day: date) -> None:
    assert only(format_date(day, "long", locale=language), language).canonical == day.isoformat()


@settings(deadline=None)
@given(
    st.sampled_from(LOCALES),
    st.integers(2, 9_999),
    st.sampled_from(
        ("mass-kilogram", "length-kilometer", "duration-month", "duration-hour", "volume-liter")
    ),
    st.sampled_from(("long", "short")),
)
def test_a_measure_is_read_with_its_unit(language: str, count: int, unit: str, style: str) -> None:
    read = only(format_unit(count, unit, style, locale=language), language)
    assert read.value == count
    assert unit.partition("-")[2] in read.units


@settings(deadline=None)
@given(st.sampled_from(LOCALES), st.integers(1, 99))
def test_a_percentage_is_read(language: str, percent: int) -> None:
    read = only(format_percent(Decimal(percent) / 100, locale=language), language)
    assert (read.kind, read.value) == ("percent", percent)


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "sv", "pl", "ru", "ja"])
def test_a_scale_is_read(language: str) -> None:
    for style in ("long", "short"):
        written = format_compact_decimal(
            3_500_000, format_type=style, locale=language, fraction_digits=1
        )
        assert 3_500_000 in (only(written, language).value, *only(written, language).alternatives)


@pytest.mark.parametrize(
    "text, language, value",
    [
        ("twenty-one", "en", 21),
        ("two hundred and fifty", "en", 250),
        ("three million", "en", 3_000_000),
        ("siebenundvierzig", "de", 47),
        ("zweihundertfünfzig", "de", 250),
        ("vingt et un", "fr", 21),
        ("quatre-vingt-douze", "fr", 92),
        ("treinta y dos", "es", 32),
        ("tjugosju", "sv", 27),
        ("двадцать семь", "ru", 27),
        ("sieben Millionen", "de", 7_000_000),
        ("二百五十", "ja", 250),
        ("七个月", "zh", 7),
        ("سبعة", "ar", 7),
    ],
)
def test_numbers_in_words(text: str, language: str, value: int) -> None:
    assert only(text, language).value == value


def test_an_article_is_no_number() -> None:
    assert quantities("One must bring a passport.", "en") == []
    assert quantities("Ein Ausweis und eine Karte", "de") == []
    assert only("one million", "en").value == 1_000_000


@pytest.mark.parametrize(
    "text, expected",
    [
        ("In 2019 734 visitors came.", [2019, 734]),
        ("In 2019, 734 visitors came.", [2019, 734]),
        ("from 7 to 9", [7, 9]),
        ("7-9", [7, 9]),
        ("7–9", [7, 9]),
        ("at -7 and −9", [-7, -9]),
        ("minus 7", [-7]),
        ("-€7.50 and €-7.50", [Decimal("-7.5"), Decimal("-7.5")]),
        ("1,25,000 rupees", [125_000]),
        ("2'350.75", [Decimal("2350.75")]),
        ("2\u202f350,75", [Decimal("2350.75")]),
        ("2 350", [2350]),
        (".5", [5]),
        ("24/7", [24, 7]),
        ("٤٥٠", [450]),
        ("４５０", [450]),
    ],
)
def test_values(text: str, expected: list[Decimal]) -> None:
    assert values(text, "en") == expected


@pytest.mark.parametrize(
    "text, language, unit, value",
    [
        ("€2.4m", "en", "EUR", 2_400_000),
        ("2.4 million euros", "en", "EUR", 2_400_000),
        ("2,4 Mio. Euro", "de", "EUR", 2_400_000),
        ("2,4 millions d'euros", "fr", "EUR", 2_400_000),
        ("2,4 millones de euros", "es", "EUR", 2_400_000),
        ("$7", None, "USD", 7),
        ("7 dollars", "en", "USD", 7),
        ("US$7", None, "USD", 7),
        ("700 SEK", None, "SEK", 700),
        ("700 kr", "sv", "SEK", 700),
        ("700 kr", "da", "DKK", 700),
        ("700 kronor", "sv", "SEK", 700),
        ("700 zł", "pl", "PLN", 700),
        ("700円", "ja", "JPY", 700),
        ("1850 euros", "en", "EUR", 1850),
        ("7 kg", "en", "kilogram", 7),
        ("7 g", "en", "gram", 7),
        ("38 feet", "en", "foot", 38),
        ("38 metres", "en", "meter", 38),
        ("7 °C", "en", "celsius", 7),
        ("a 7-year lease", "en", "year", 7),
        ("7 %", "en", "percent", 7),
        ("7 Prozent", "de", "percent", 7),
    ],
)
def test_units(text: str, language: str | None, unit: str, value: int) -> None:
    read = only(text, language)
    assert (read.unit, read.value) == (unit, value)


def test_a_sign_of_several_currencies_is_each_of_them() -> None:
    assert {"USD", "CAD", "AUD"} <= only("$7").units
    assert {"SEK", "NOK", "DKK"} <= only("7 kr", "en").units
    assert "USD" in only("7 dollars", "en").units & only("$7").units


@pytest.mark.parametrize(
    "text, canonical",
    [
        ("2024-06-30", "2024-06-30"),
        ("30 June 2024", "2024-06-30"),
        ("30th of June 2024", "2024-06-30"),
        ("June 30th, 2024", "2024-06-30"),
        ("Jun 30, 2024", "2024-06-30"),
        ("30.6.2024", "2024-06-30"),
        ("30/06/2024", "2024-06-30"),
        ("June 2024", "2024-06"),
        ("30 June", "--06-30"),
    ],
)
def test_dates_as_people_write_them(text: str, canonical: str) -> None:
    assert only(f"Due {text}.", "en").canonical == canonical


def test_a_date_in_digits_may_have_two_readings() -> None:
    british, american = Decimal(20240506), Decimal(20240605)
    read = only("05/06/2024", "en")
    assert {read.value, *read.alternatives} == {british, american}
    assert only("05.06.2024", "de").alternatives == ()


def test_a_verb_is_no_month() -> None:
    assert [each.kind for each in quantities("Up to 5 may enter.", "en")] == ["plain"]


@pytest.mark.parametrize(
    "text, canonical",
    [("5 pm", "17:00"), ("5:30 p.m.", "17:30"), ("17:30", "17:30"), ("12 am", "00:00")],
)
def test_clock_times(text: str, canonical: str) -> None:
    assert (only(text, "en").kind, only(text, "en").canonical) == ("time", canonical)


def test_versions_are_not_numbers_of_another_order() -> None:
    first, second = quantities("from 3.10.2 to v3.2.10", "en")
    assert (first.kind, first.canonical, second.canonical) == ("version", "3.10.2", "3.2.10")


@pytest.mark.parametrize("text", ["KX-200", "B2B", "3D", "user_42", "a4", "x1.5"])
def test_digits_of_an_identifier_are_no_quantity(text: str) -> None:
    assert quantities(f"the {text} pump", "en") == []


def test_what_can_be_read_twice_says_so() -> None:
    assert only("1,850", "en").alternatives == (Decimal("1.850"),)
    assert only("1.850", "de").value == 1850
    assert only("1.850,50").alternatives == ()
    assert 7_000_000 in only("7m", "en").alternatives


@settings(deadline=None)
@given(st.text(alphabet="0123456789.,-€$kM %/:'’ \nJune", max_size=40))
def test_any_text_is_read_and_each_literal_is_in_it(text: str) -> None:
    end = 0
    for each in quantities(text, "en"):
        assert text[each.start : each.end] == each.literal
        assert each.start >= end
        end = each.end


def test_a_very_long_number_is_none() -> None:
    assert quantities("7" * (MAX_DIGITS + 1), "en") == []


def test_readings_of_every_locale_agree_with_its_symbols() -> None:
    for language in MORE:
        group = Locale.parse(language).number_symbols["latn"]["group"]
        if group in ",.":
            assert readings(f"7{group}250", language)[0] == 7250
