"""The tool `calculate`: exact arithmetic on an expression and its variables."""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction

from motet.errors import FaultError
from motet.messages import CalculateRequest, CalculateResult, FaultType, SkillExample
from motet_tool_executor.dates import read_date
from motet_tool_executor.expression import evaluate
from motet_tool_executor.locale_data import DEFAULT, LanguageError
from motet_tool_executor.numerals import (
    Numeral,
    NumeralError,
    decimal_text,
    parse_numeral,
    rounded_text,
)
from motet_tool_executor.registry import tool
from motet_tool_executor.tokens import ExpressionError
from motet_tool_executor.written_dates import DATES_HINT

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
    language = request.language
    try:
        variables = {n: _variable(n, text, language) for n, text in request.variables.items()}
        evaluation = evaluate(request.expression, variables, language or DEFAULT)
    except LanguageError as error:
        raise FaultError.of(FaultType.INVALID_INPUT, str(error), field="language") from None
    except ExpressionError as error:
        hint = f" {DATES_HINT[0].upper()}{DATES_HINT[1:]}." if _has_date(request.expression) else ""
        raise FaultError.of(
            FaultType.INVALID_INPUT, f"{error}{hint}", field="expression", position=error.position
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


def _has_date(expression: str) -> bool:
    """Whether one side of a sign with spaces around it is a date in words: `3 March 2024`."""
    for part in re.split(r"\s[-+\u2013\u2212]\s", expression):
        try:
            read_date(part, date.min)
        except FaultError:
            continue
        return True
    return False


def _variable(name: str, text: str, language: str | None) -> Numeral:
    try:
        if len(text) > MAX_VARIABLE_CHARACTERS:
            raise NumeralError(f"it has more than {MAX_VARIABLE_CHARACTERS} characters")
        return parse_numeral(text, language)
    except NumeralError as error:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"The variable `{name[:40]}` has the value {text[:40]!r}, which is no number: {error}.",
            field="variables",
            variable=name[:40],
        ) from None
