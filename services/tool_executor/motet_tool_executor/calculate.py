"""The tool `calculate`: exact arithmetic on an expression and its variables."""

from __future__ import annotations

from fractions import Fraction

from motet.errors import FaultError
from motet.messages import CalculateRequest, CalculateResult, FaultType, SkillExample
from motet_tool_executor.expression import evaluate
from motet_tool_executor.numerals import (
    Numeral,
    NumeralError,
    decimal_text,
    parse_numeral,
    rounded_text,
)
from motet_tool_executor.registry import tool
from motet_tool_executor.tokens import ExpressionError

__all__ = ["MAX_VARIABLE_CHARACTERS", "calculate"]

MAX_VARIABLE_CHARACTERS = 200
"""Characters of a variable's value."""


@tool(
    description=(
        "Computes one arithmetic expression exactly. Use it for every sum, difference, product, "
        "ratio, percentage or average. `expression`: numbers, names of variables, + - * / ** and "
        "parentheses, and sqrt, round, abs, min, max, sum, mean; no words. `variables`: the value "
        "of each name in the expression, copied from the text, such as `$1,250.50` or `12%`."
    ),
    examples=(
        SkillExample(
            goal="By how many percent did revenue grow from $980 million to $1,250 million?",
            input={
                "expression": "(new - old) / old * 100",
                "variables": {"old": "$980 million", "new": "$1,250 million"},
            },
        ),
        SkillExample(
            goal="What do 12 licences cost at 49.90 each, with 19% tax?",
            input={"expression": "12 * 49.90 * (1 + 19%)", "variables": {}},
        ),
    ),
    typical_s=0.01,
)
def calculate(request: CalculateRequest) -> CalculateResult:
    """Computes an expression; `expression` and `numerals` say what is understood."""
    variables = {name: _variable(name, text) for name, text in request.variables.items()}
    try:
        evaluation = evaluate(request.expression, variables)
    except ExpressionError as error:
        raise FaultError.of(
            FaultType.INVALID_INPUT, str(error), field="expression", position=error.position
        ) from None
    value = evaluation.value
    if isinstance(value, Fraction):
        text, exact = decimal_text(value)
        fraction = str(value)
    else:
        text, exact, fraction = rounded_text(value), False, None
    return CalculateResult(
        value=text, exact=exact, fraction=fraction, expression=evaluation.filled_in
    )


def _variable(name: str, text: str) -> Numeral:
    try:
        if len(text) > MAX_VARIABLE_CHARACTERS:
            raise NumeralError(f"it has more than {MAX_VARIABLE_CHARACTERS} characters")
        return parse_numeral(text)
    except NumeralError as error:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"The variable `{name[:40]}` has the value {text[:40]!r}, which is no number: {error}.",
            field="variables",
            variable=name[:40],
        ) from None
