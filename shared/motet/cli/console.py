"""Console: where commands write, safe from what they write.

An answer, a fault or a question has words of documents, models and agents in it. Characters that a
terminal takes for commands (to hide text, to fill the clipboard, to write from right to left) are
shown as `�` there, so that a person who approves something sees what is approved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

__all__ = ["UNSAFE", "SafeConsole"]

UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 controls but tab and newline, and Unicode's controls of direction (UAX #9)."""


class SafeConsole(Console):
    """A console on which no text is a command."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """See `Console.render`."""
        for segment in super().render(renderable, options):
            # What Rich itself tells the terminal is in segments of its own.
            if segment.control or UNSAFE.search(segment.text) is None:
                yield segment
            else:
                yield Segment(UNSAFE.sub("\ufffd", segment.text), segment.style)
