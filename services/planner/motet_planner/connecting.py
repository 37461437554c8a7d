"""Connecting: what a graph's paths say, as a finding that stands on passages.

An output with `paths` and `passages` tells how two things are connected. Its statements are
findings by themselves: nothing is left for a model to read. What always holds: each statement that
is told is quoted from a passage of the output that names both of its ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from motet_planner.evidence import Line, lines_of
from motet_planner.instructions import is_instruction
from motet_planner.state import Outcome, PassageData, Quote
from motet_planner.words import coverage

__all__ = ["connection", "tells_paths"]

_BOTH = 0.99
"""Share of the words of a statement's two names that a sentence about both has."""


def tells_paths(output: object) -> bool:
    """Whether an output is one of paths."""
    return isinstance(output, Mapping) and isinstance(output.get("paths"), list)


def connection(output: Mapping[str, Any], passages: Sequence[PassageData]) -> Outcome:
    """What the first path says that can be quoted throughout; missing when none can."""
    lines = [line for line in lines_of(passages) if not is_instruction(line.shown)]
    for path in cast("list[dict[str, Any]]", output["paths"]):
        statements = cast("list[dict[str, Any]]", path.get("statements", []))
        lines_by_statement = [(each, _quoted(each, lines)) for each in statements]
        quotes = [_quote(each, line) for each, line in lines_by_statement if line is not None]
        if statements and len(quotes) == len(statements):
            return Outcome(status="found", answer="; ".join(map(_told, statements)), quotes=quotes)
    return Outcome(status="missing", reason="no path that passages state connects them")


def _told(statement: Mapping[str, Any]) -> str:
    return " ".join(str(statement.get(part, "")) for part in ("subject", "predicate", "object"))


def _quote(statement: Mapping[str, Any], line: Line) -> Quote:
    shown = _told(statement) if line.leans else line.shown
    return Quote(passage=line.passage_id, text=line.quote, shown=shown)


def _quoted(statement: Mapping[str, Any], lines: Sequence[Line]) -> Line | None:
    """The line that states it: one of its passages, with both names or one that leans on them."""
    stating = set(cast("list[str]", statement.get("passages", [])))
    both = f"{statement.get('subject', '')} {statement.get('object', '')}"

    def has_both(line: Line) -> bool:
        around = f"{line.heading} {line.paragraph}" if line.leans else line.shown
        return coverage(both, around) >= _BOTH

    stated = (line for line in lines if line.passage_id in stating and has_both(line))
    return max(stated, key=lambda line: coverage(_told(statement), line.shown), default=None)
