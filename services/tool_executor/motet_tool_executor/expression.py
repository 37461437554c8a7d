"""Arithmetic expressions: read and computed in one pass, without Python's own parser or `eval`.

The grammar, loosest first; a calculator's, with Python's operators:

    sum      = product (("+" | "-") product)*
    product  = signed (("*" | "/" | "//" | "%") signed)*
    signed   = ("+" | "-")* power
    power    = percent (("**" | "^") signed)?           from the right: 2 ** 3 ** 2 is 2 ** 9
    percent  = operand "%"*
    operand  = [currency] number [word] [currency] | variable | constant
             | function "(" arguments ")" | "√" operand | "(" sum ")"
    arguments = (sum | "[" sum ("," sum)* "]") ("," ...)*

What is decided here:

- `^` is a power: nothing here works on bits, and people and models mean a power by it.
- The signs of multiplication, division and minus that only Unicode has are `*`, `/` and `-`; so is
  an `x` between two values where no variable has that name. An `=` at the end is ignored.
- A date is refused, and never a subtraction or a division.
- A variable goes before a function or a constant (`pi`, `e`) of its name.
- `%` before a number, a name or a parenthesis is the remainder, otherwise a percent sign. Where
  only spacing tells (`50% -20`), and in `20% revenue`, both readings are plausible: refused.
- `price + 10%` is 10 percent more on a pocket calculator and 0.1 more in mathematics: refused
  wherever these differ. Percentages add to percentages: `100% - 20%`.
- Numbers are read as `numerals` says, with two exceptions: a space parts no thousands, and among a
  function's arguments a comma is no decimal sign. `max(1,250)` is one number or two: refused.
- Currency signs and codes beside numbers are dropped, but two currencies in one expression are
  refused.

Bounds: `MAX_CHARACTERS` long, `MAX_DEPTH` levels deep, one operation a token, and each operation
is bounded by `arithmetic`. Every mistake is an `ExpressionError` with its position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from motet_tool_executor import arithmetic
from motet_tool_executor.arithmetic import Number, NumberError
from motet_tool_executor.closest import closest, did_you_mean
from motet_tool_executor.locale_data import DEFAULT, currency_code, is_currency
from motet_tool_executor.numerals import Numeral, decimal_text, scale_of
from motet_tool_executor.tokens import ExpressionError, Token, tokens_of

__all__ = ["FUNCTIONS", "MAX_CHARACTERS", "MAX_DEPTH", "Evaluation", "evaluate"]

MAX_CHARACTERS = 1000
MAX_DEPTH = 50

_SUMS: dict[str, Callable[[Number, Number], Number]] = {
    "+": arithmetic.add,
    "-": arithmetic.subtract,
}
_PRODUCTS: dict[str, Callable[[Number, Number], Number]] = {
    "*": arithmetic.multiply,
    "/": arithmetic.divide,
    "//": arithmetic.floor_divide,
    "%": arithmetic.remainder,
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an expression came to."""

    value: Number
    filled_in: str
    """The expression with the values of its variables in place of their names."""


class _Operand(NamedTuple):
    value: Number
    percentage: bool = False
    """Whether it is a percentage, or a sum of percentages."""


@dataclass(frozen=True, slots=True)
class _Function:
    compute: Callable[[Sequence[Number]], Number]
    least: int
    most: int | None
    """Most arguments; None when there is no limit."""

    @property
    def takes(self) -> str:
        """How many arguments, in words."""
        if self.most is None:
            return f"{self.least} or more arguments"
        return "1 argument" if self.most == 1 else f"{self.least} to {self.most} arguments"


def _round(values: Sequence[Number]) -> Number:
    places = values[1] if len(values) > 1 else Fraction(0)
    if not isinstance(places, Fraction) or places.denominator != 1 or abs(places) > 100:
        raise NumberError("round takes a whole number of decimals from -100 to 100")
    return arithmetic.rounded(values[0], places.numerator)


def _logarithm(values: Sequence[Number]) -> Number:
    if len(values) == 1:
        raise NumberError("log needs its base; write ln(x), log10(x) or log(x, 2)")
    return arithmetic.logarithm(values[0], values[1])


_TEN, _TWO = Fraction(10), Fraction(2)
_MEAN = _Function(arithmetic.mean, 1, None)
FUNCTIONS: Mapping[str, _Function] = {
    "abs": _Function(lambda values: arithmetic.absolute(values[0]), 1, 1),
    "average": _MEAN,
    "avg": _MEAN,
    "ceil": _Function(lambda values: arithmetic.ceiling(values[0]), 1, 1),
    "count": _Function(lambda values: Fraction(len(values)), 1, None),
    "exp": _Function(lambda values: arithmetic.exponential(values[0]), 1, 1),
    "floor": _Function(lambda values: arithmetic.floor(values[0]), 1, 1),
    "ln": _Function(lambda values: arithmetic.logarithm(values[0]), 1, 1),
    "log": _Function(_logarithm, 1, 2),
    "log10": _Function(lambda values: arithmetic.logarithm(values[0], _TEN), 1, 1),
    "log2": _Function(lambda values: arithmetic.logarithm(values[0], _TWO), 1, 1),
    "max": _Function(arithmetic.maximum, 1, None),
    "mean": _MEAN,
    "median": _Function(arithmetic.median, 1, None),
    "min": _Function(arithmetic.minimum, 1, None),
    "mod": _Function(lambda values: arithmetic.remainder(values[0], values[1]), 2, 2),
    "pow": _Function(lambda values: arithmetic.power(values[0], values[1]), 2, 2),
    "round": _Function(_round, 1, 2),
    "sqrt": _Function(lambda values: arithmetic.square_root(values[0]), 1, 1),
    "sum": _Function(arithmetic.total, 1, None),
}
_CONSTANTS: Mapping[str, Number] = {
    "pi": arithmetic.PI,
    "\u03c0": arithmetic.PI,
    "e": arithmetic.E,
}
_TIMES = ("x", "X")
"""Letters that are written for a sign of multiplication."""


def evaluate(
    expression: str, variables: Mapping[str, Numeral] | None = None, language: str = DEFAULT
) -> Evaluation:
    """Computes an expression; `language` is that of words such as `million` in it.

    Raises:
        ExpressionError: It is not an expression of this grammar, names something unknown, has no
            result, or is over a limit.
    """
    if len(expression) > MAX_CHARACTERS:
        problem = f"the expression is longer than {MAX_CHARACTERS:,} characters"
        raise ExpressionError(problem, expression, MAX_CHARACTERS)
    return _Reader(expression.rstrip(" =?\n"), variables or {}, language).evaluation()


class _Reader:
    """Reads one expression from left to right and computes on the way."""

    def __init__(self, expression: str, variables: Mapping[str, Numeral], language: str) -> None:
        self._expression = expression
        self._language = language
        self._variables = variables
        self._tokens = tokens_of(expression)
        self._next = 0
        self._depth = 0
        self._calls = 0
        self._currency: str | None = None
        self._filled: list[str] = []
        self._filled_to = 0

    def evaluation(self) -> Evaluation:
        operand = self._sum()
        if self._token.kind != "end":
            raise self._not_expected(self._token)
        self._filled.append(self._expression[self._filled_to :])
        return Evaluation(operand.value, "".join(self._filled).strip())

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _accept(self, *texts: str) -> Token | None:
        """Takes the next token if it is one of these signs."""
        token = self._token
        if token.kind == "sign" and token.text in texts:
            self._next += 1
            return token
        return None

    def _expect(self, text: str, opened: Token) -> None:
        if self._accept(text) is None:
            if self._token.kind == "end":
                raise self._error(f"{opened.quoted} is never closed with `{text}`", opened)
            raise self._not_expected(self._token)

    # The grammar.

    def _sum(self) -> _Operand:
        left = self._product()
        while sign := self._accept("+", "-"):
            right = self._product()
            one = isinstance(left.value, Fraction) and left.value == 1
            if right.percentage and not left.percentage and right.value != 0 and not one:
                raise self._error(
                    f"{sign.quoted} a percentage could mean a share of the number before it or "
                    f"the plain fraction; write `* (1 {sign.text} 10%)` or `{sign.text} 0.1`",
                    sign,
                )
            value = self._compute(sign, _SUMS[sign.text], left.value, right.value)
            left = _Operand(value, left.percentage and right.percentage)
        return left

    def _product(self) -> _Operand:
        left = self._signed()
        while sign := self._accept(*_PRODUCTS) or self._accept_times():
            right = self._signed()
            value = self._compute(sign, _PRODUCTS[sign.text], left.value, right.value)
            left = _Operand(value)
        return left

    def _accept_times(self) -> Token | None:
        """Takes the next token if it is a letter that is written for `*`."""
        token, after = self._token, self._tokens[min(self._next + 1, len(self._tokens) - 1)]
        value = after.kind in ("number", "name", "currency") or after.text == "("
        if token.text not in _TIMES or token.text in self._variables or not value:
            return None
        self._next += 1
        return token._replace(kind="sign", text="*")

    def _signed(self) -> _Operand:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"this is nested more than {MAX_DEPTH} levels deep", self._token)
        negative = False
        while sign := self._accept("+", "-"):
            negative ^= sign.text == "-"
        operand = self._power()
        self._depth -= 1
        return operand._replace(value=arithmetic.negate(operand.value)) if negative else operand

    def _power(self) -> _Operand:
        base = self._percent()
        if sign := self._accept("**"):
            exponent = self._signed()
            return _Operand(self._compute(sign, arithmetic.power, base.value, exponent.value))
        return base

    def _percent(self) -> _Operand:
        operand = self._operand()
        while self._token.text == "%" and self._is_percent_sign():
            sign = self._token
            self._next += 1
            value = self._compute(sign, arithmetic.divide, operand.value, Fraction(100))
            operand = _Operand(value, percentage=True)
        return operand

    def _is_percent_sign(self) -> bool:
        """Whether the `%` that is next ends a percentage; otherwise it is a remainder."""
        sign, after = self._tokens[self._next], self._tokens[self._next + 1]
        attached = self._tokens[self._next - 1].end == sign.start and sign.end < after.start
        if after.text in ("+", "-"):
            if attached:
                return True
            problem = f"`%` may be percent or remainder; write `(5%) {after.text} 2` or `5 % (2)`"
            raise self._error(problem, sign)
        if after.kind in ("number", "name") or after.text == "(":
            if not attached:
                return False
            problem = "`%` may be percent or remainder; write `5% * 2` or `5 % 2`"
            raise self._error(problem, sign)
        return True

    def _operand(self) -> _Operand:
        currency = self._accept_currency()
        token = self._token
        self._next += 1
        if token.numeral is not None:
            return self._amount(token.numeral, token, currency)
        if currency is not None:
            raise self._error("a number is missing behind the currency", token)
        if token.kind == "name":
            return self._call(token) if self._token.text == "(" else self._variable(token)
        if token.text == "√":
            return _Operand(self._compute(token, arithmetic.square_root, self._operand().value))
        if token.text == "(":
            operand = self._sum()
            self._expect(")", token)
            return operand
        before = f" before {token.quoted}" if token.text else ""
        raise self._error(f"a number is missing{before}", token)

    def _amount(self, numeral: Numeral, token: Token, currency: str | None) -> _Operand:
        """A number that stands in the expression, with what stands behind it."""
        if self._calls and "," in token.text:
            problem = (
                f"{token.quoted} among the arguments of a function is one number or several; "
                f"write `{token.text.replace(',', '')}` or `{token.text.replace(',', ', ')}`"
            )
            raise self._error(problem, token)
        value, word = numeral.value, self._token
        if word.kind == "name" and word.text not in self._variables and len(word.text) > 1:
            scale = scale_of(word.text, self._language)
            if scale is not None:
                value *= scale
                self._next += 1
        behind = self._accept_currency()
        if currency and behind:
            raise self._error("it has two currencies", token)
        return self._number(Numeral(value, currency=currency or behind), token)

    def _accept_currency(self) -> str | None:
        """Takes the next token if it is a currency's sign or code, and not a variable."""
        token = self._token
        named = token.kind == "name" and token.text not in self._variables
        if token.kind == "currency" or (named and is_currency(token.text)):
            self._next += 1
            return currency_code(token.text, self._language)
        return None

    def _number(self, numeral: Numeral, token: Token) -> _Operand:
        if numeral.currency:
            if self._currency and self._currency != numeral.currency:
                problem = f"{self._currency} and {numeral.currency} cannot be mixed"
                raise self._error(problem, token)
            self._currency = numeral.currency
        return _Operand(numeral.value, numeral.percentage)

    def _variable(self, token: Token) -> _Operand:
        numeral = self._variables.get(token.text)
        if numeral is None and token.text in _CONSTANTS:
            return _Operand(_CONSTANTS[token.text])
        if numeral is None:
            if token.text in FUNCTIONS:
                raise self._error(f"{token.quoted} needs its arguments in parentheses", token)
            hint = did_you_mean(closest(token.text, [*self._variables, *FUNCTIONS]))
            raise self._error(f"{token.quoted} is neither a variable nor a function", token, hint)
        text, exact = decimal_text(numeral.value)
        text = text if exact else str(numeral.value)
        self._filled += [
            self._expression[self._filled_to : token.start],
            text if text[0] != "-" and "/" not in text else f"({text})",
        ]
        self._filled_to = token.end
        return self._number(numeral, token)

    def _call(self, name: Token) -> _Operand:
        function = FUNCTIONS.get(name.text)
        if function is None:
            hint = f" There are {', '.join(FUNCTIONS)}."
            raise self._error(f"{name.quoted} is not a function", name, hint)
        opened = self._tokens[self._next]
        self._next += 1
        self._calls += 1
        values = [] if self._token.text == ")" else self._arguments()
        self._calls -= 1
        self._expect(")", opened)
        if len(values) < function.least or (function.most and len(values) > function.most):
            problem = f"{name.quoted} takes {function.takes}, not {len(values)}"
            raise self._error(problem, name)
        return _Operand(self._compute(name, function.compute, values))

    def _arguments(self) -> list[Number]:
        values: list[Number] = []
        while True:
            if opened := self._accept("["):
                values.append(self._sum().value)
                while self._accept(","):
                    values.append(self._sum().value)
                self._expect("]", opened)
            else:
                values.append(self._sum().value)
            if not self._accept(","):
                return values

    # Results and mistakes.

    def _compute(self, at: Token, operation: Callable[..., Number], *operands: Any) -> Number:
        try:
            return operation(*operands)
        except NumberError as error:
            raise self._error(str(error), at) from None

    def _not_expected(self, token: Token) -> ExpressionError:
        if token.text == ",":
            return self._error("a comma only separates thousands, or arguments", token)
        if token.kind == "sign" and token.text not in ("(", "["):
            return self._error(f"{token.quoted} is not expected here", token)
        return self._error(f"an operator such as * is missing before {token.quoted}", token)

    def _error(self, problem: str, token: Token, hint: str = "") -> ExpressionError:
        return ExpressionError(problem, self._expression, token.start, hint)
