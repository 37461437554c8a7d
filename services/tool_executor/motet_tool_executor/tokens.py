"""Tokens of arithmetic expressions, and what is said about mistakes in them.

Every character of an expression belongs to one token, or is white space, or is a mistake.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from motet_tool_executor.numerals import (
    CURRENCY_SIGNS,
    SCALES,
    Numeral,
    NumeralError,
    currency_code,
    digits_fraction,
)

__all__ = ["ExpressionError", "Token", "tokens_of"]

_TOKEN = re.compile(
    rf"""
    (?P<number>
        (?P<currency>[{re.escape(CURRENCY_SIGNS)}]\ ?)?
        (?P<digits>
            [0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])(?:\.[0-9]*)? | [0-9]+(?:\.[0-9]*)? | \.[0-9]+
        )
        (?:[eE](?P<exponent>[+-]?[0-9]{{1,6}})(?!\w))?
        (?:\ ?(?P<scale>(?i:{"|".join(SCALES)}))\b)?
    )
    | (?P<name>[^\W\d]\w*)
    | (?P<sign>\*\*|//|[-+*/%^()\[\],\u00d7·⋅÷\u2212\u2013])
    """,
    re.VERBOSE,
)
_SAME_SIGN = {
    "^": "**",
    "\u00d7": "*",
    "·": "*",
    "⋅": "*",
    "÷": "/",
    "\u2212": "-",
    "\u2013": "-",
}
_QUOTED = 40
"""Characters of a token that a message quotes."""
_NEAR = 24
"""Characters of the expression that a message quotes from the mistake on."""


class ExpressionError(ValueError):
    """An expression cannot be computed; the message is a sentence or two, with the position."""

    def __init__(self, problem: str, expression: str, position: int, hint: str = "") -> None:
        start, end = max(0, position - _NEAR // 2), position + _NEAR
        near = f"{'…' if start else ''}{expression[start:end]}{'…' if expression[end:] else ''}"
        place = f"at position {position + 1}" if position < len(expression) else "at the end"
        super().__init__(f"{problem[:1].upper()}{problem[1:]}, {place} of `{near}`.{hint}")
        self.position = position
        """Where, counted in characters from 0."""


class Token(NamedTuple):
    """A number, a name, or a sign, in its canonical form."""

    kind: Literal["number", "name", "sign", "end"]
    """`end` follows the last token, so that there is always a next one."""
    text: str
    start: int
    end: int
    numeral: Numeral | None = None
    """What a number is worth."""

    @property
    def quoted(self) -> str:
        """The text for a message, shortened."""
        return f"`{self.text}`" if len(self.text) <= _QUOTED else f"`{self.text[:_QUOTED]}…`"


def tokens_of(expression: str) -> list[Token]:
    """Splits an expression; the last token is of the kind `end`.

    Raises:
        ExpressionError: A character has no meaning, or a number has too many digits.
    """
    tokens: list[Token] = []
    at = 0
    while at < len(expression):
        if expression[at].isspace():
            at += 1
            continue
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ExpressionError(f"{expression[at]!r} has no meaning here", expression, at)
        tokens.append(_token(match))
        at = match.end()
    tokens.append(Token("end", "", at, at))
    return tokens


def _token(match: re.Match[str]) -> Token:
    start, end, text = match.start(), match.end(), match.group()
    if match["name"]:
        return Token("name", text, start, end)
    if match["sign"]:
        return Token("sign", _SAME_SIGN.get(text, text), start, end)
    try:
        value = digits_fraction(match["digits"], match["exponent"])
    except NumeralError as error:
        raise ExpressionError(f"a number cannot be used: {error}", match.string, start) from None
    value *= SCALES[match["scale"].lower()] if match["scale"] else 1
    currency = currency_code(match["currency"].strip()) if match["currency"] else None
    return Token("number", text, start, end, Numeral(value, currency=currency))
