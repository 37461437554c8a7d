"""Numbers as people write them."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_tool_executor.locale_data import LanguageError
from motet_tool_executor.numerals import (
    MAX_DIGITS,
    Numeral,
    NumeralError,
    decimal_text,
    parse_numeral,
    rounded_text,
)


@pytest.mark.parametrize(
    "text, value",
    [
        ("1250.5", "1250.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("2.5e-3", "0.0025"),
        ("1,250.50", "1250.5"),
        ("1 250", "1250"),
        ("1\u202f250\u00a0000", "1250000"),
        ("12,345,678", "12345678"),
        ("$3.20", "3.2"),
        ("-$3.20", "-3.2"),
        ("$-3.20", "-3.2"),
        ("5 EUR", "5"),
        ("USD 5", "5"),
        ("$3.2 million", "3200000"),
        ("3.2 Billion USD", "3200000000"),
        ("€ 3.2bn", "3200000000"),
        ("3M", "3000000"),
        ("40k", "40000"),
        ("12%", "0.12"),
        ("12.5 percent", "0.125"),
        ("\u22125", "-5"),
        ("+5", "5"),
        ("(1,234)", "-1234"),
        ("($1,234.50)", "-1234.5"),
        ("  7 ", "7"),
        ("3,2", "3.2"),
        ("1,2345", "1.2345"),
        ("0,250", "0.25"),
        ("\u20ac 7.300,00", "7300"),
        ("1.250,5", "1250.5"),
        ("2.450.000", "2450000"),
        ("CHF 3'480.25", "3480.25"),
        ("3\u2019480", "3480"),
        ("2 750,40", "2750.4"),
        ("8200 SEK", "8200"),
        ("NOK 61", "61"),
        ("US$ 15", "15"),
        ("\u20b945,60,000", "4560000"),
        ("\u20ba7", "7"),
        ("1_000", "1000"),
        ("\u00a32.5m", "2500000"),
        ("7 trillion", "7000000000000"),
    ],
)
def test_what_is_read(text: str, value: str) -> None:
    assert parse_numeral(text).value == Fraction(value)


def test_percent_and_currency_are_remembered() -> None:
    assert parse_numeral("12%") == Numeral(Fraction(12, 100), percentage=True)
    assert parse_numeral("$5").currency == parse_numeral("5 USD").currency == "USD"
    assert parse_numeral("5").currency is None


@pytest.mark.parametrize(
    "language, text, value, currency",
    [
        ("de", "1.250", "1250", None),
        ("de", "1,250", "1.25", None),
        ("de", "1,250.50", "1250.5", None),
        ("de", "1,2 Mio. \u20ac", "1200000", "EUR"),
        ("de-CH", "1.250", "1.25", None),
        ("sv", "4 800 kr", "4800", "SEK"),
        ("nb", "4 800 kr", "4800", "NOK"),
        ("es", "2,5 millones", "2500000", None),
        ("de", "12 Prozent", "0.12", None),
        ("ja", "3\u4e07", "30000", None),
    ],
)
def test_a_language_says_what_has_two_readings(
    language: str, text: str, value: str, currency: str | None
) -> None:
    numeral = parse_numeral(text, language)
    assert (numeral.value, numeral.currency) == (Fraction(value), currency)


def test_a_language_that_there_is_not_is_named() -> None:
    with pytest.raises(LanguageError, match="'xx' is no language"):
        parse_numeral("1.250", "xx")


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "empty"),
        ("   ", "empty"),
        ("about 5", "not a number"),
        ("1.2.3", "not a number"),
        ("1,250,50", "separators"),
        ("1.250.50", "separators"),
        ("1 250 5", "not a number"),
        ("1'2", "not a number"),
        ("2024-01-31", "`dates`"),
        ("31.01.2024", "`dates`"),
        ("5 XYZ", "ISO code"),
        ("12 Euro", "ISO code"),
        ("kr 5", "ISO code"),
        ("3m", "milli or million"),
        ("(5", "parenthesis"),
        ("5)", "parenthesis"),
        ("(-5)", "two signs"),
        ("-$-5", "two signs"),
        ("$5 EUR", "two currencies"),
        ("nan", "not a number"),
        ("inf", "not a number"),
        ("0x10", "not a number"),
        ("1_00", "not a number"),
        ("\u0663", "not a number"),
        ("1e1001", "1,000 digits"),
        ("1e-1001", "1,000 digits"),
        ("1e999999999", "not a number"),
        ("9" * (MAX_DIGITS + 1), "1,000 digits"),
        ("9" * 1_000_000, "2,000 characters"),
        ("1" + " " * 1990 + "x", "not a number"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(NumeralError, match=why):
        parse_numeral(text)


@given(st.text())
def test_any_text_is_a_numeral_or_refused(text: str) -> None:
    with suppress(NumeralError):
        assert isinstance(parse_numeral(text), Numeral)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6))
def test_every_decimal_survives_writing_and_reading(number: Decimal) -> None:
    for text in (str(number), f"{number:,f}"):
        assert parse_numeral(text).value == Fraction(number)


@given(st.fractions())
def test_text_of_a_fraction_is_exact_or_within_28_digits(value: Fraction) -> None:
    text, exact = decimal_text(value)
    read = parse_numeral(text).value
    if exact:
        assert read == value
    else:
        assert abs(read - value) <= abs(value) * Fraction(1, 10**27)


@pytest.mark.parametrize(
    "value, text, exact",
    [
        (Fraction(0), "0", True),
        (Fraction(1, 8), "0.125", True),
        (Fraction(-5), "-5", True),
        (Fraction(1, 3), "0.3333333333333333333333333333", False),
        (Fraction(200, 3), "66.66666666666666666666666667", False),
        (Fraction(10) ** 300, "1E+300", True),
        (Fraction(1, 10**300), "1E-300", True),
        (Fraction(2) ** 200, str(2**200), True),
        (Fraction(1, 2**200), None, True),
        (Fraction(1, 2**2000), None, False),
    ],
)
def test_writing(value: Fraction, text: str | None, exact: bool) -> None:
    written, is_exact = decimal_text(value)
    assert is_exact is exact
    assert text is None or written == text
    assert len(written) <= MAX_DIGITS + 3


def test_decimals_are_rounded_half_to_even_and_without_trailing_zeros() -> None:
    assert rounded_text(Decimal("1." + "0" * 27 + "5")) == "1"
    assert rounded_text(Decimal("1.414213562373095048801688724209698078")).startswith("1.4142")
    assert rounded_text(Decimal("1E+500")) == "1E+500"
