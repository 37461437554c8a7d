"""Tokens of arithmetic expressions, and what is said about mistakes in them.

Every character of an expression belongs to one token, or is white space, or is a mistake.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal, NamedTuple

from motet_tool_executor.locale_data import CURRENCY_SIGNS
from motet_tool_executor.numerals import (
    DIGITS,
    DIGITS_OF_ARGUMENTS,
    Numeral,
    NumeralError,
    digits_fraction,
)
from motet_tool_executor.written_dates import DATES_HINT, date_at

__all__ = ["ExpressionError", "Token", "tokens_of"]


def _pattern(digits: str) -> re.Pattern[str]:
    return re.compile(
        rf"""
        (?P<number> (?P<digits>{digits}) (?:[eE](?P<exponent>[+-]?[0-9]{{1,6}})(?!\w))? )
        | (?P<currency>[A-Z]{{0,3}}[{re.escape(CURRENCY_SIGNS)}])
        | (?P<power>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)
        | (?P<name>[^\W\d⁰¹²³⁴⁵⁶⁷⁸⁹][^\W⁰¹²³⁴⁵⁶⁷⁸⁹]*)
        | (?P<sign>\*\*|//|[-+*/%^()\[\],√])
        """,
        re.VERBOSE,
    )


_TOKEN, _TOKEN_OF_ARGUMENTS = _pattern(DIGITS), _pattern(DIGITS_OF_ARGUMENTS)
_SAME_CHARACTERS = str.maketrans(
    {
        "\u00d7": "*", "\u2715": "*", "\u2217": "*", "\u2219": "*", "\u00b7": "*", "\u22c5": "*",
        "\u00f7": "/", "\u2215": "/", "\u2044": "/",
        "\u2212": "-", "\u2013": "-", "\u2010": "-", "\u2011": "-", "\ufe63": "-", "\uff0d": "-",
        "\u2019": "'", "\u02bc": "'", "\uff05": "%", "\u066a": "%", "\uff08": "(", "\uff09": ")",
        "\uff0b": "+", "\u2007": "\u00a0",
    }
)  # fmt: skip
"""Signs that only Unicode has, and that mean what an ASCII one does; one for one, so that positions
stay."""
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
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
    """A number, a name, a currency's sign, or another sign, in its canonical form."""

    kind: Literal["number", "name", "currency", "sign", "end"]
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
        ExpressionError: A character has no meaning, a number has too many digits, or is a date.
    """
    tokens: list[Token] = []
    plain = expression.translate(_SAME_CHARACTERS)
    opened: list[bool] = []  # parentheses, and whether they hold arguments
    at = 0
    while at < len(plain):
        if plain[at].isspace():
            at += 1
            continue
        arguments = bool(opened) and opened[-1]
        match = (_TOKEN_OF_ARGUMENTS if arguments else _TOKEN).match(plain, at)
        if match is None:
            raise ExpressionError(f"{expression[at]!r} has no meaning here", expression, at)
        if match["number"] and (written := date_at(plain, at)) is not None:
            raise ExpressionError(f"`{written}` is a date, and {DATES_HINT}", expression, at)
        if match.group() in ("(", "["):
            opened.append(arguments or (bool(tokens) and tokens[-1].kind == "name"))
        elif match.group() in (")", "]") and opened:
            opened.pop()
        tokens += _tokens(match)
        at = match.end()
    tokens.append(Token("end", "", at, at))
    return tokens


def _tokens(match: re.Match[str]) -> list[Token]:
    start, end, text = match.start(), match.end(), match.group()
    for kind in ("name", "currency"):
        if match[kind]:
            return [Token(kind, text, start, end)]
    if match["sign"]:
        return [Token("sign", "**" if text == "^" else text, start, end)]
    if match["power"]:  # x² is x ** 2
        power = Token("sign", "**", start, start)
        value = Fraction(int(text.translate(_SUPERSCRIPTS)))
        return [power, Token("number", text, start, end, Numeral(value))]
    try:
        value = digits_fraction(match["digits"], match["exponent"])
    except NumeralError as error:
        raise ExpressionError(f"a number cannot be used: {error}", match.string, start) from None
    return [Token("number", text, start, end, Numeral(value))]
