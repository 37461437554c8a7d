"""Arithmetic: exact where it can be, bounded always."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from motet_tool_executor import arithmetic
from motet_tool_executor.arithmetic import Number, NumberError, OutOfRangeError
from motet_tool_executor.numerals import MAX_DIGITS

LIMIT = 10**MAX_DIGITS
small = st.fractions(min_value=-1000, max_value=1000, max_denominator=1000)


def is_bounded(value: Number) -> bool:
    if isinstance(value, Fraction):
        # The bound is in bits: a number that just passes it is 10^1000 and a little.
        return abs(value.numerator) < 10 * LIMIT and value.denominator < 10 * LIMIT
    return value.is_finite() and abs(value.adjusted()) <= MAX_DIGITS + 60


def close(value: Number, expected: Fraction) -> bool:
    return abs(Fraction(value) - expected) <= abs(expected) * Fraction(1, 10**28)


@given(small, small)
def test_operations_agree_with_fractions(a: Fraction, b: Fraction) -> None:
    assert arithmetic.add(a, b) == a + b
    assert arithmetic.subtract(a, b) == a - b
    assert arithmetic.multiply(a, b) == a * b
    assert arithmetic.equal(a, b) == (a == b)
    assert arithmetic.minimum([a, b]) == min(a, b)
    assert arithmetic.maximum([a, b]) == max(a, b)
    assert arithmetic.mean([a, b]) == (a + b) / 2
    assert arithmetic.floor(a) == a.__floor__()
    assert arithmetic.ceiling(a) == a.__ceil__()
    if b:
        assert arithmetic.divide(a, b) == a / b
        assert arithmetic.floor_divide(a, b) == a // b
        assert arithmetic.remainder(a, b) == a % b


@given(small, st.integers(min_value=-20, max_value=20))
def test_whole_powers_agree_with_fractions(base: Fraction, exponent: int) -> None:
    assume(base or exponent >= 0)
    assert arithmetic.power(base, Fraction(exponent)) == base**exponent


@given(
    st.fractions(min_value=0, max_value=10**6, max_denominator=10**6),
    st.integers(min_value=1, max_value=12),
)
def test_roots_of_powers_are_exact(base: Fraction, degree: int) -> None:
    assert arithmetic.power(base**degree, Fraction(1, degree)) == base


@given(st.fractions(min_value=Fraction(1, 1000), max_value=10**9, max_denominator=1000))
def test_square_roots_are_exact_or_within_28_digits(value: Fraction) -> None:
    root = arithmetic.square_root(value)
    if isinstance(root, Fraction):
        assert root * root == value
    else:
        assert close(arithmetic.multiply(root, root), value)


@pytest.mark.parametrize(
    "value, places, expected",
    [
        ("2.5", 0, "3"),
        ("-2.5", 0, "-3"),
        ("2.4999", 0, "2"),
        ("2.345", 2, "2.35"),
        ("-2.345", 2, "-2.35"),
        ("1250", -2, "1300"),
        ("0", 3, "0"),
    ],
)
def test_halves_are_rounded_away_from_zero(value: str, places: int, expected: str) -> None:
    assert arithmetic.rounded(Fraction(value), places) == Fraction(expected)
    assert arithmetic.rounded(Decimal(value), places) == Decimal(expected)


def test_what_was_approximated_stays_so() -> None:
    root = arithmetic.square_root(Fraction(2))
    assert isinstance(root, Decimal)
    square = arithmetic.multiply(root, root)
    assert isinstance(square, Decimal)
    assert arithmetic.floor(square) == 2
    assert arithmetic.ceiling(square) == 2
    assert arithmetic.subtract(square, Fraction(2)) == 0
    assert isinstance(arithmetic.floor(square), Decimal)


def test_fractions_that_grow_too_long_are_approximated() -> None:
    a = Fraction(1, 10**900 + 7)
    b = Fraction(1, 10**900 + 9)
    total = arithmetic.add(a, b)
    assert isinstance(total, Decimal)
    assert close(total, a + b)
    assert isinstance(arithmetic.power(Fraction("1.004166"), Fraction(360)), Decimal)


big = st.fractions().flatmap(
    lambda base: st.integers(min_value=1, max_value=900).map(
        lambda power: base * Fraction(10) ** power
    )
)
any_number = st.one_of(
    small,
    big.filter(is_bounded),
    st.tuples(st.integers(-(10**60), 10**60), st.integers(-MAX_DIGITS, MAX_DIGITS)).map(
        lambda parts: Decimal(parts[0]).scaleb(parts[1] - 60)
    ),
)
BINARY = [
    arithmetic.add,
    arithmetic.subtract,
    arithmetic.multiply,
    arithmetic.divide,
    arithmetic.floor_divide,
    arithmetic.remainder,
    arithmetic.power,
]


@given(st.sampled_from(BINARY), any_number, any_number)
def test_every_result_is_bounded_or_refused(operation, a: Number, b: Number) -> None:
    with suppress(NumberError):
        assert is_bounded(operation(a, b))


@given(any_number, st.integers(min_value=-100, max_value=100))
def test_every_rounding_is_bounded_or_refused(value: Number, places: int) -> None:
    with suppress(OutOfRangeError):
        assert is_bounded(arithmetic.rounded(value, places))
        assert is_bounded(arithmetic.floor(value))


@pytest.mark.parametrize(
    "base, exponent",
    [
        (9, 9**9),
        (9, 10**300),
        (Fraction(1, 9), 9**9),
        (Fraction(10**15 + 1, 10**15), 10**16),
        (Fraction(1, 3), -(10**12)),
        (Fraction(3, 2), Fraction(10**20, 7)),
    ],
)
def test_powers_out_of_range_are_refused(base: Fraction, exponent: Fraction) -> None:
    with pytest.raises(OutOfRangeError):
        arithmetic.power(Fraction(base), Fraction(exponent))


@pytest.mark.parametrize(
    "base, exponent, expected",
    [
        (0, 0, 1),
        (0, 5, 0),
        (1, 10**300, 1),
        (-1, 10**300 + 1, -1),
        (-2, 3, -8),
        (4, Fraction(-1, 2), Fraction(1, 2)),
        (Fraction(27, 8), Fraction(2, 3), Fraction(9, 4)),
        (Decimal(0), Decimal(0), 1),
    ],
)
def test_powers_at_the_edge(base: Number, exponent: Number, expected: Fraction) -> None:
    numbers = [each if isinstance(each, Decimal) else Fraction(each) for each in (base, exponent)]
    assert arithmetic.power(*numbers) == expected


@pytest.mark.parametrize(
    "operation, numbers, why",
    [
        (arithmetic.divide, (1, 0), "division by zero"),
        (arithmetic.remainder, (1, 0), "division by zero"),
        (arithmetic.floor_divide, (1, 0), "division by zero"),
        (arithmetic.power, (0, -1), "division by zero"),
        (arithmetic.power, (-8, Fraction(1, 3)), "not a real number"),
        (arithmetic.square_root, (-4,), "negative number"),
    ],
)
def test_what_has_no_result_says_why(operation, numbers, why: str) -> None:
    with pytest.raises(NumberError, match=why):
        operation(*map(Fraction, numbers))
