"""How lines are laid out: a gutter, then text that wraps under itself, in at most 100 columns.

Colour and glyphs say nothing that words do not also say, so that a pipe, a log and a screen
reader lose nothing.
"""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

__all__ = ["GUTTER", "clock", "glyph", "hanging", "indented", "plural", "seconds", "width"]

GUTTER = 8
"""Columns at the left that hold a time or nothing."""

_WIDEST = 100

_GLYPHS = {
    "start": ("→", "->"),
    "done": ("✓", "ok"),
    "failed": ("✗", "x "),
    "again": ("↻", "~ "),
    "note": ("·", "- "),
    "state": ("●", "* "),
    "ellipsis": ("…", "..."),
    "dash": ("\N{EN DASH}", "-"),
    "left": ("“", '"'),
    "right": ("”", '"'),
    "dot": ("·", "|"),
}


def glyph(console: Console, name: str) -> str:
    """A sign, or its stand-in where the output's encoding has it not."""
    return _GLYPHS[name][0 if console.encoding.lower().startswith("utf") else 1]


def width(console: Console) -> int:
    """Columns to fill."""
    return min(console.width, _WIDEST)


def hanging(console: Console, *columns: tuple[int, Text], text: Text) -> Table:
    """A row: columns of fixed widths, then `text`, wrapped in what is left."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    cells: list[Text] = []
    for columns_wide, cell in columns:
        grid.add_column(width=columns_wide, no_wrap=True, overflow="ellipsis")
        cells.append(cell)
    used = sum(columns_wide + 1 for columns_wide, _ in columns)
    grid.add_column(width=max(20, width(console) - used))
    grid.add_row(*cells, text)
    return grid


def indented(what: RenderableType, by: int = GUTTER) -> Padding:
    """Something, moved to the right."""
    return Padding(what, (0, 0, 0, by), expand=False)


def clock(at_s: float) -> str:
    """A moment of a recording: `1:02:03`, `2:03`."""
    minutes, second = divmod(int(at_s), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def seconds(value: float) -> str:
    """A duration for people: `0.08 s`, `2.4 s`, `35 s`, `2 min 05 s`."""
    if value < 1:
        return f"{value:.2f} s"
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: `1 step`, `3 steps`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
