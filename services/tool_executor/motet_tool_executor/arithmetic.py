"""Arithmetic that is exact where it can be, and bounded always.

A `Number` is a `Fraction`, exact, or a `Decimal`, approximate. What always holds:

- A `Fraction` has at most `MAX_DIGITS` digits in its numerator and in its denominator. A result
  that would have more becomes a `Decimal`, so no operation works on more than twice that.
- A `Decimal` carries `_PRECISION` digits, far more than the `SIGNIFICANT_DIGITS` that are shown,
  and lies between 10^-MAX_DIGITS and 10^MAX_DIGITS. What is outside is an `OutOfRangeError`, never
  infinity and never a silent zero.
- Once approximate, a value stays approximate: a `Decimal` never becomes a `Fraction`.
- Steps of a function (floor, the quotient of //) are taken after the last `_GUARD_DIGITS` digits
  are rounded away, so that floor(sqrt(2) ** 2) is 2.

Powers are estimated before they are computed: no operation takes longer than milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import (
    ROUND_FLOOR,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    Underflow,
)
from fractions import Fraction
from functools import reduce
from math import isqrt

from motet_tool_executor.numerals import MAX_DIGITS

__all__ = [
    "PI",
    "E",
    "Number",
    "NumberError",
    "OutOfRangeError",
    "absolute",
    "add",
    "ceiling",
    "divide",
    "equal",
    "exponential",
    "floor",
    "floor_divide",
    "logarithm",
    "maximum",
    "mean",
    "median",
    "minimum",
    "multiply",
    "negate",
    "power",
    "remainder",
    "rounded",
    "square_root",
    "subtract",
    "total",
]

Number = Fraction | Decimal
_Operation = Callable[[Decimal, Decimal], Decimal]

_MAX_BITS = int(MAX_DIGITS * 3.3219281)
"""Bits of an integer of `MAX_DIGITS` decimal digits."""
_PRECISION = 60
_GUARD_DIGITS = 15
_MAX_EXPONENT = 10**15
"""Exponents up to here cost at most 15 digits of `_PRECISION`, so 28 correct ones are left."""
_MAX_ROOT = 64
"""Roots of a higher degree are not tried exactly."""

_APPROXIMATE = Context(
    prec=_PRECISION,
    Emax=MAX_DIGITS,
    Emin=-MAX_DIGITS,
    traps=[InvalidOperation, DivisionByZero, Overflow, Underflow],
)
_SETTLED = Context(prec=_PRECISION - _GUARD_DIGITS, Emax=MAX_DIGITS + 1, Emin=-MAX_DIGITS - 1)


PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")
"""To `_PRECISION` digits (OEIS A000796)."""
E = Decimal("2.71828182845904523536028747135266249775724709369995957496697")
"""To `_PRECISION` digits (OEIS A001113)."""


class NumberError(ArithmeticError):
    """An operation has no result; the message is a clause that says why."""


class OutOfRangeError(NumberError):
    """A result is too large, or too close to zero, to be handled."""

    def __init__(self) -> None:
        super().__init__(
            f"the result is larger than 10^{MAX_DIGITS}, or closer to zero than 10^-{MAX_DIGITS}"
        )


def add(left: Number, right: Number) -> Number:
    """The sum, left + right."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return _bounded(left + right)
    a, b = _decimal(left), _decimal(right)
    result = _run(_APPROXIMATE.add, a, b)
    # What is left when two approximations cancel is noise.
    scale = max(a.adjusted(), b.adjusted())
    if result and result.adjusted() < scale - (_PRECISION - _GUARD_DIGITS):
        return Decimal(0)
    return result


def subtract(left: Number, right: Number) -> Number:
    """The difference, left - right."""
    return add(left, negate(right))


def negate(value: Number) -> Number:
    """-value."""
    return -value if isinstance(value, Fraction) else value.copy_negate()


def absolute(value: Number) -> Number:
    """|value|."""
    return abs(value) if isinstance(value, Fraction) else value.copy_abs()


def multiply(left: Number, right: Number) -> Number:
    """The product, left * right."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return _bounded(left * right)
    return _run(_APPROXIMATE.multiply, _decimal(left), _decimal(right))


def divide(left: Number, right: Number) -> Number:
    """The quotient, left / right.

    Raises:
        NumberError: `right` is zero.
    """
    if right == 0:
        raise NumberError("division by zero")
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return _bounded(left / right)
    return _run(_APPROXIMATE.divide, _decimal(left), _decimal(right))


def floor_divide(left: Number, right: Number) -> Number:
    """The largest integer that is at most left / right, as Python's `//`."""
    if right != 0 and isinstance(left, Fraction) and isinstance(right, Fraction):
        return _bounded(Fraction(left // right))
    return floor(divide(left, right))


def remainder(left: Number, right: Number) -> Number:
    """What `//` leaves over; it has the sign of `right`, as Python's `%`."""
    if right != 0 and isinstance(left, Fraction) and isinstance(right, Fraction):
        return _bounded(left % right)
    return subtract(left, multiply(right, floor_divide(left, right)))


def floor(value: Number) -> Number:
    """The largest integer that is at most `value`."""
    if isinstance(value, Fraction):
        return Fraction(value.numerator // value.denominator)
    return _SETTLED.plus(value).to_integral_value(rounding=ROUND_FLOOR)


def ceiling(value: Number) -> Number:
    """The smallest integer that is at least `value`."""
    return negate(floor(negate(value)))


def rounded(value: Number, places: int = 0) -> Number:
    """`value` to `places` decimals, halves away from zero, as people round by hand."""
    unit = Fraction(10) ** -places
    if isinstance(value, Fraction):
        exact = unit * (abs(value) / unit + Fraction(1, 2)).__floor__()
        return _bounded(-exact if value < 0 else exact)
    steps = add(divide(absolute(value), unit), Fraction(1, 2))
    magnitude = multiply(floor(steps), unit)
    return negate(magnitude) if value < 0 else magnitude


def square_root(value: Number) -> Number:
    """The root that is not negative, exact when it is rational."""
    if value < 0:
        raise NumberError("the square root of a negative number is not a real number")
    return power(value, Fraction(1, 2))


def power(base: Number, exponent: Number) -> Number:
    """The power, base ** exponent; anything ** 0 is 1.

    Exact for a rational base and an integer exponent, and for roots that are rational, as long as
    the result has at most `MAX_DIGITS` digits.

    Raises:
        NumberError: It is not a real number, or a division by zero.
        OutOfRangeError: It, or the exponent, is too large.
    """
    if exponent == 0:
        return Fraction(1) if isinstance(exponent, Fraction) else Decimal(1)
    if base == 0 and exponent < 0:
        raise NumberError("zero to a negative power is a division by zero")
    whole = isinstance(exponent, Fraction) and exponent.denominator == 1
    if base < 0 and not whole:
        raise NumberError("a negative number to a fractional power is not a real number")
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        exact = _exact_power(base, exponent)
        if exact is not None:
            return _bounded(exact)
    if abs(exponent) > _MAX_EXPONENT:
        raise OutOfRangeError
    return _run(_APPROXIMATE.power, _decimal(base), _decimal(exponent))


def exponential(value: Number) -> Number:
    """E to the power of `value`."""
    if abs(value) > MAX_DIGITS * 3:
        raise OutOfRangeError
    if value == 0:
        return Fraction(1)
    return _run(lambda exponent, _: _APPROXIMATE.exp(exponent), _decimal(value), Decimal(0))


def logarithm(value: Number, base: Number | None = None) -> Number:
    """The logarithm to a base, exact for a whole power of it; without a base the natural one.

    Raises:
        NumberError: `value` is not above zero, or the base is not above zero or is 1.
    """
    if value <= 0:
        raise NumberError("only a number above zero has a logarithm")
    if base is None:
        return Fraction(0) if value == 1 else _natural_logarithm(value)
    if base <= 0 or base == 1:
        raise NumberError("the base of a logarithm must be above zero, and not 1")
    quotient = _run(_APPROXIMATE.divide, _natural_logarithm(value), _natural_logarithm(base))
    whole = Fraction(round(quotient))
    if isinstance(value, Fraction) and isinstance(base, Fraction):
        exact = abs(whole) <= MAX_DIGITS * 4 and power(base, whole) == value
        return whole if exact else quotient
    return quotient


def _natural_logarithm(value: Number) -> Decimal:
    return _run(lambda number, _: _APPROXIMATE.ln(number), _decimal(value), Decimal(0))


def minimum(values: Sequence[Number]) -> Number:
    """The smallest of one or more values."""
    return min(values, key=_comparable)


def maximum(values: Sequence[Number]) -> Number:
    """The largest of one or more values."""
    return max(values, key=_comparable)


def total(values: Sequence[Number]) -> Number:
    """The sum of one or more values."""
    return reduce(add, values)


def mean(values: Sequence[Number]) -> Number:
    """The arithmetic mean of one or more values."""
    return divide(total(values), Fraction(len(values)))


def median(values: Sequence[Number]) -> Number:
    """The middle of one or more values, or the mean of the two in the middle."""
    ordered = sorted(values, key=_comparable)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else mean(ordered[middle - 1 : middle + 1])


def equal(left: Number, right: Number) -> bool:
    """Whether two numbers have the same value."""
    return _comparable(left) == _comparable(right)


def _comparable(value: Number) -> Fraction:
    """Fractions and decimals do not compare with each other; their exact values do."""
    return Fraction(value)


def _bounded(value: Fraction) -> Number:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) <= _MAX_BITS:
        return value
    return _decimal(value)


def _decimal(value: Number) -> Decimal:
    if isinstance(value, Decimal):
        return value
    return _run(_APPROXIMATE.divide, Decimal(value.numerator), Decimal(value.denominator))


def _run(operation: _Operation, left: Decimal, right: Decimal) -> Decimal:
    try:
        return operation(left, right)
    except (Overflow, Underflow, InvalidOperation):
        raise OutOfRangeError from None


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    """The power as a fraction; None when it is irrational or would be too long."""
    root = exponent.denominator
    if root > _MAX_ROOT:
        return None
    numerator = _exact_root(abs(base.numerator), root)
    denominator = _exact_root(base.denominator, root)
    if numerator is None or denominator is None:
        return None
    longest = max(numerator, denominator)
    # 0 and 1 to any power stay as they are.
    if longest > 1 and longest.bit_length() * abs(exponent.numerator) > 2 * _MAX_BITS:
        return None
    sign = -1 if base < 0 and exponent.numerator % 2 else 1
    times = exponent.numerator if longest > 1 else (exponent.numerator > 0) - (exponent < 0)
    return sign * Fraction(numerator, denominator) ** times


def _exact_root(value: int, degree: int) -> int | None:
    """The integer whose `degree`-th power is `value`, by Newton's method; None without one."""
    if degree == 1 or value < 2:
        return value
    if degree == 2:
        root = isqrt(value)
    else:
        root = 1 << -(-value.bit_length() // degree)
        while True:
            closer = ((degree - 1) * root + value // root ** (degree - 1)) // degree
            if closer >= root:
                break
            root = closer
    return root if root**degree == value else None
