"""Warming: a local model reads the fixed parts of the prompts before the first task comes.

Reading is what a small model on few cores is slow at. The prompts are written so that what never
changes comes first; what is read of it while the mesh starts need not be read while somebody waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from motet_planner.catalogue import Catalogue
from motet_planner.prompts import PROMPTS

__all__ = ["Preparing", "warm"]

_WARMED = ("goal", "read", "judge", "compose", "formula", "query", "plan")
"""The prompts of most tasks; `plan` lists the skills that live, so it waits for all to join."""

_NAMES = (
    "goal",
    "said",
    "steps",
    "lines",
    "question",
    "text",
    "answer",
    "known",
    "what",
    "findings",
)


class Preparing(Protocol):
    """A model that can read a beginning beforehand; `motet.models.ChatModel` is one."""

    async def prepare(self, messages: Sequence[tuple[str, str]]) -> None:
        """Reads all but the last message."""


async def warm(model: Preparing, catalogue: Callable[[], Catalogue]) -> None:
    """Has a model read the prompts but for their last message."""
    values = dict.fromkeys(_NAMES, "")
    for name in _WARMED:
        await model.prepare(PROMPTS.load(name).messages(**values, skills=catalogue().shown()))
