"""Arithmetic: the figures in what was found get names, and a model writes a formula over them.

The model never copies a figure: it sees names with their values and writes an expression, which
is then held to those names and to the numbers of the goal. Figures keep the step that found them,
and through it the passage.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from motet.errors import FaultError
from motet.messages import FaultType
from motet_planner.run import Run
from motet_planner.words import numbers, quantities, terms

__all__ = ["expression_of", "fault_of_expression", "figures_of"]

_NAME = re.compile(r"[^\W_]+")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_LABELLED = re.compile(r"([^:;]+):([^;]+)")
"""The parts of a finding such as `Morwenna: 420 passengers; Petrel: 260 passengers`."""
_FUNCTIONS = {"abs", "min", "max", "sum", "mean", "round", "floor", "ceil", "sqrt"}
_CONSTANTS = {Decimal(value) for value in (1, 2, 100, 1000, 10**6)}
_FORMULA = {
    "type": "object",
    "properties": {"expression": {"type": "string", "minLength": 1, "maxLength": 300}},
    "required": ["expression"],
    "additionalProperties": False,
}


def figures_of(known: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The figures of what was found, as decimal text by a name made of what they are.

    A list such as `Ticket: island; Adult: 14.50; Child: 6` names each by its label, after the
    first part where that has no number.
    """
    figures: dict[str, str] = {}
    for asked, found in known:
        labelled = _LABELLED.findall(found) if ";" in found else []
        values = quantities(found)
        if labelled:
            first = "" if quantities(labelled[0][1]) else labelled[0][1]
            named = [(f"{first} {label}", quantities(value)) for label, value in labelled]
            pairs = [(_identifier(name), each[0]) for name, each in named if len(each) == 1]
        else:
            numbered = [f"{asked} {place}" for place in range(1, len(values) + 1)]
            pairs = [
                (_identifier(name), value)
                for name, value in zip(
                    [asked] if len(values) == 1 else numbered, values, strict=True
                )
            ]
        for name, value in pairs:
            figures[_unused(name, figures)] = format(value, "f")
    return figures


def _unused(name: str, taken: Mapping[str, str]) -> str:
    while name in taken:
        name += "_b"
    return name


def _identifier(text: str) -> str:
    words = [word.casefold() for word in _NAME.findall(text) if word.isascii()]
    kept = [word for word in words if terms(word)]
    name = "_".join((kept or ["x"])[:6])
    return name if name[0].isalpha() else f"x_{name}"


async def expression_of(
    what: str, goal: str, known: Sequence[tuple[str, str]], run: Run
) -> dict[str, Any]:
    """An expression with its variables, as `tool_executor.calculate` takes them.

    Raises:
        FaultError: `model_output_invalid` when two attempts give none that holds.
    """
    figures = figures_of(known)
    shown = "\n".join(f"{name} = {value}" for name, value in figures.items())
    wanted, problem = what, ""
    for _ in range(2):
        reply = await run.ask("formula", _FORMULA, max_tokens=120, known=shown, what=wanted)
        expression = cast("str", reply["expression"]).split("=")[-1].strip()
        problem = fault_of_expression(expression, figures, f"{goal} {what}")
        if not problem:
            used = set(_IDENTIFIER.findall(expression))
            return {
                "expression": expression,
                "variables": {name: value for name, value in figures.items() if name in used},
            }
        wanted = f"{what} (not {expression!r}: {problem})"
    raise FaultError.of(
        FaultType.MODEL_OUTPUT_INVALID, f"No formula for {what!r} came about: {problem}."
    )


def fault_of_expression(expression: str, figures: Mapping[str, str], context: str) -> str:
    """What is wrong with an expression; empty when nothing is.

    It may use the figures and their count, the numbers of `context` and a few constants; with
    figures it must use at least one.
    """
    try:
        tree = ast.parse(re.sub(r"(\d)\s*%(?!\s*[\w(])", r"\1/100", expression), mode="eval")
    except (SyntaxError, ValueError):
        return "it is no arithmetic expression"
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if unknown := used - set(figures) - _FUNCTIONS:
        return f"there is no {', '.join(sorted(unknown))}"
    if figures and not used & set(figures):
        return "it must use the names"
    allowed = numbers(context) | _CONSTANTS | {Decimal(len(figures))}
    allowed |= {value / 100 for value in allowed} | {1 + value / 100 for value in allowed}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, int | float):
                return "it has something other than numbers"
            if abs(Decimal(str(node.value))) not in allowed:
                return f"{node.value} is given nowhere"
    return ""
