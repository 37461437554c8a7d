"""JSON and JSON Lines: written anew with a value a line, so that it can be cut between values.

A value that is large is written part by part, each under the names that lead to it; escapes become
the characters that they stand for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from motet_retriever.parsers.parsed import Parsed, UnreadableError, Writer

__all__ = ["parse_json", "parse_json_lines"]

LARGE = 1000
"""Characters from which on a value is written part by part."""
DEEP = 6
"""Levels down to which that is done."""


def parse_json(text: str, limit: int) -> Parsed:
    """A JSON document.

    Raises:
        UnreadableError: It is not JSON, or its text is too large.
    """
    writer = Writer(limit)
    value = _loaded(text, "It")
    for path, part in _parts((), value):
        writer.code(part, path)
    return writer.parsed(_title(value))


def parse_json_lines(text: str, limit: int) -> Parsed:
    """A JSON document a line; empty lines are passed by.

    Raises:
        UnreadableError: A line is not JSON, or the text is too large.
    """
    writer = Writer(limit)
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            for path, part in _parts((), _loaded(line, f"Line {number:,}")):
                writer.code(part, (f"line {number}", *path))
    return writer.parsed()


def _loaded(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise UnreadableError(f"{what} is nested too deeply.") from None
    except ValueError as error:
        raise UnreadableError(f"{what} is not JSON: {error}.") from None


def _parts(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """A value in parts, each with the names that lead to it."""
    whole = _dumped(value)
    if len(whole) <= LARGE or len(path) >= DEEP or not isinstance(value, dict | list):
        yield path, whole
        return
    small: list[str] = []
    for name, each in _children(value):
        part = _dumped(each)
        if len(part) <= LARGE and isinstance(value, dict):
            small.append(f"{_dumped(name)}: {part}")
            continue
        if small:
            yield path, "\n".join(small)
            small = []
        yield from _parts((*path, name[:80]), each)
    if small:
        yield path, "\n".join(small)


def _children(value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    else:
        yield from ((f"[{place}]", each) for place, each in enumerate(value))


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _title(value: Any) -> str | None:
    title = value.get("title") if isinstance(value, dict) else None
    return title if isinstance(title, str) else None
