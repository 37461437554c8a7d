"""Script: the arithmetic of a few lines of Python that a model wrote; nothing runs them.

Asked for a formula, a small model often writes that of the example. Asked for a script, it does the
right thing with the right figures. What a tool is given is read from the script's syntax alone:
assignments of figures, and arithmetic over them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from motet.text.numbers import values

__all__ = ["Computation", "computation_of"]

ANSWER = "answer"
"""The name that a script assigns its result to."""
_FENCE = re.compile(r"```[a-z]*\n(.*?)(?:```|\Z)", re.DOTALL)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
_FUNCTIONS = {"sum", "min", "max", "abs", "mean"}
"""Those that Python's scripts and the tool have in common."""
_MOST_LINES = 60
_MOST_OPERATIONS = 200
"""Names that stand for formulas over each other could grow without an end."""


@dataclass
class Computation:
    """An expression over named figures."""

    expression: str
    variables: dict[str, Decimal] = field(default_factory=dict[str, Decimal])

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Computation:
        """The computation that `request` asked for.

        A request has points for decimals only, so that of two readings of `1.234` the lesser holds.
        """
        variables: Mapping[str, Any] = request.get("variables", {})
        found = {name: values(str(value)) for name, value in variables.items()}
        return cls(request["expression"], {name: min(each) for name, each in found.items() if each})

    @property
    def figures(self) -> set[Decimal]:
        """All numbers that the expression computes with, named or not."""
        return set(self.variables.values()) | values(self.expression)

    def rests_on(self, given: set[Decimal]) -> bool:
        """Whether the evidence gives all named figures of the computation, and a number at all.

        A number without a name may be any: 12 months, 100 percent, how many values are averaged.
        """
        named = set(self.variables.values())
        return named <= given and not self.figures.isdisjoint(given)

    def is_told(self, result: str, text: str) -> bool:
        """Whether a text gives the result, rounded to as many digits as the text likes."""
        exact = min(values(result), default=None)
        return exact is not None and any(_rounds_to(exact, each) for each in values(text))

    @property
    def request(self) -> dict[str, object]:
        """The input of a skill that computes."""
        variables = {name: format(value, "f") for name, value in self.variables.items()}
        return {"expression": self.expression, "variables": variables}

    @property
    def working(self) -> str:
        """The expression with the figures in the place of their names."""
        return re.sub(
            r"[A-Za-z_]\w*",
            lambda name: (
                format(self.variables[name[0]], "f") if name[0] in self.variables else name[0]
            ),
            self.expression,
        )


class _UnreadableError(ValueError):
    """The script does something else than arithmetic."""


@dataclass
class _Reader:
    """The values of names, as far as the script was read."""

    figures: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    formulas: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    used: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    operations: int = 0

    def assign(self, name: str, value: ast.expr) -> None:
        self.figures.pop(name, None)
        self.formulas.pop(name, None)
        number = _number(value)
        if number is None:
            self.formulas[name] = value
        else:
            self.figures[name] = number

    def written(self, node: ast.expr, *, inside: bool = False) -> str:
        """An expression in the words of the tool; names that stand for formulas are replaced."""
        number = _number(node)
        match node:
            case _ if number is not None:
                text = format(number, "f")
            case ast.Name(id=name):
                text = self._named(name, inside=inside)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                self._operate()
                sign = _OPERATORS[type(operator)]
                text = " ".join(
                    (self.written(left, inside=True), sign, self.written(right, inside=True))
                )
                text = f"({text})" if inside else text
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                text = f"-{self.written(operand, inside=True)}"
            case ast.Call(func=ast.Name(id=name), args=[_, *_] as arguments, keywords=[]):
                text = self._called(name, arguments, inside=inside)
            case _:
                raise _UnreadableError(ast.unparse(node))
        return text

    def _operate(self) -> None:
        self.operations += 1
        if self.operations > _MOST_OPERATIONS:
            raise _UnreadableError(f"more than {_MOST_OPERATIONS} operations")

    def _named(self, name: str, *, inside: bool) -> str:
        if name in self.figures:
            self.used[name] = self.figures[name]
            return name
        if name not in self.formulas:
            raise _UnreadableError(name)
        formula = self.formulas.pop(name)  # a formula over itself has no end
        text = self.written(formula, inside=inside)
        self.formulas[name] = formula
        return text

    def _called(self, name: str, arguments: list[ast.expr], *, inside: bool) -> str:
        items = self.items(arguments[0])
        if name == "round":
            return self.written(arguments[0], inside=inside)
        if name == "len" and items:
            return str(len(items))
        if name not in _FUNCTIONS:
            raise _UnreadableError(name)
        self._operate()
        given = items if items and len(arguments) == 1 else arguments
        return f"{name}({', '.join(self.written(each) for each in given)})"

    def items(self, node: ast.expr) -> list[ast.expr] | None:
        """The items of a list, or of a name that stands for one."""
        if isinstance(node, ast.Name):
            node = self.formulas.get(node.id, node)
        return node.elts if isinstance(node, ast.List | ast.Tuple) else None


def computation_of(script: str) -> Computation | None:
    """What a script computes; None where it computes nothing, or not with arithmetic alone.

    Figures that its answer does not rest on are left out.
    """
    block = _FENCE.search(script)
    reader = _Reader()
    for line in (block[1] if block else script).splitlines()[:_MOST_LINES]:
        try:
            (statement,) = ast.parse(_THOUSANDS.sub("", line.strip())).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            reader.assign(statement.targets[0].id, statement.value)
    if (answer := reader.formulas.get(ANSWER)) is None:
        return None
    try:
        expression = reader.written(answer)
    except (_UnreadableError, RecursionError):
        return None
    return Computation(expression, reader.used) if reader.operations else None


def _rounds_to(exact: Decimal, value: Decimal) -> bool:
    try:
        return exact.quantize(value) == value
    except InvalidOperation:  # more digits than a Decimal holds
        return exact == value


def _number(node: ast.expr) -> Decimal | None:
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() as value):
            return Decimal(str(value))
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if (
            not isinstance(value, bool)
        ):
            return -Decimal(str(value))
        case _:
            return None
