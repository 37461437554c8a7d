r"""Cypher as tokens.

Invariants:

- Every character of a query belongs to a token, or is one of four kinds of white space.
- What a database might read otherwise than this module is refused, not guessed at: comments,
  backslashes (Neo4j replaces `\uXXXX` before it parses), backticks, semicolons and every character
  outside a string that is not ASCII.
- Tokens are written back from their values, so the database sees what was checked.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

__all__ = ["Kind", "QueryError", "Token", "tokens", "written"]

Kind = Literal["word", "string", "number", "parameter", "sign", "end"]

MAX_STRING = 1000
_PATTERNS: tuple[tuple[Kind | None, re.Pattern[str]], ...] = (
    (None, re.compile(r"[ \t\r\n]+")),
    ("word", re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}(?![A-Za-z0-9_])")),
    (
        "number",
        re.compile(r"(?:\d{1,18}(?:\.\d{1,18})?|\.\d{1,18})(?:[eE][+-]?\d{1,3})?(?![A-Za-z0-9_])"),
    ),
    ("parameter", re.compile(r"\$[A-Za-z_][A-Za-z0-9_]{0,63}(?![A-Za-z0-9_])")),
    ("sign", re.compile(r"<=|>=|<>|=~|\.\.|->|<-|[-+*/%^=<>()\[\]{},.:|]")),
)
_STRING = {quote: re.compile(rf"{quote}[^{quote}\\\x00-\x08\x0b-\x1f]*{quote}") for quote in "'\""}


class QueryError(ValueError):
    """A query that is not accepted; the message says why, in a sentence."""


class Token(NamedTuple):
    """A piece of a query."""

    kind: Kind
    text: str
    """As it is written."""
    at: int
    """Offset of its first character."""

    @property
    def word(self) -> str:
        """A word in capitals; empty for other tokens."""
        return self.text.upper() if self.kind == "word" else ""


def tokens(query: str) -> list[Token]:
    """The tokens of a query, with an `end` at last.

    Raises:
        QueryError: There is something in it that is no token.
    """
    found: list[Token] = []
    at = 0
    while at < len(query):
        if query.startswith(("//", "/*"), at):
            raise QueryError(f"Comments are not accepted (at character {at}).")
        kind, text = _next(query, at)
        if kind is not None:
            found.append(Token(kind, text, at))
        at += len(text)
    found.append(Token("end", "", at))
    return found


def written(found: list[Token]) -> str:
    """A query from its tokens, with one space where there was white space."""
    text: list[str] = []
    end = 0
    for token in found:
        if text and token.at > end:
            text.append(" ")
        text.append(token.text)
        end = token.at + len(token.text)
    return "".join(text).strip()


def _next(query: str, at: int) -> tuple[Kind | None, str]:
    pattern = _STRING.get(query[at])
    if pattern is not None:
        match = pattern.match(query, at)
        if match is None:
            raise QueryError(
                f"The string at character {at} has no end, or a backslash or control character."
            )
        if len(match[0]) > MAX_STRING:
            raise QueryError(f"The string at character {at} is over {MAX_STRING} characters.")
        return "string", match[0]
    for kind, each in _PATTERNS:
        if match := each.match(query, at):
            return kind, match[0]
    raise QueryError(f"{query[at]!r} at character {at} is not accepted.")
