"""Partial: the text of one field of a JSON object while the object is still being written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_core import from_json

__all__ = ["Streamed", "field_of"]

Streamed = Callable[[Callable[[str], Awaitable[None]]], Callable[[str], Awaitable[None]]]
"""Makes, of somebody who takes a text's pieces, somebody who takes the pieces of the JSON."""

_EVERY = 24
"""Characters of JSON after which it is read again."""


def field_of(name: str) -> Streamed:
    """Passes on what is new in a field of text."""

    def passing(heard: Callable[[str], Awaitable[None]]) -> Callable[[str], Awaitable[None]]:
        json, read, told = "", 0, 0

        async def take(piece: str) -> None:
            nonlocal json, read, told
            json += piece
            if len(json) - read < _EVERY and not piece.rstrip().endswith(("}", '"')):
                return
            read = len(json)
            try:
                value: Any = from_json(json, allow_partial="trailing-strings")
            except ValueError:
                return
            text = value.get(name) if isinstance(value, dict) else None
            if isinstance(text, str) and len(text) > told:
                told, new = len(text), text[told:]
                await heard(new)

        return take

    return passing
