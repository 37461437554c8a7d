"""Warming: a local model reads what all requests about passages begin with before a task comes.

Reading is what a small model on few cores is slow at. What is read of the instructions while the
mesh starts need not be read while somebody waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from motet_planner.prompts import PROMPTS

__all__ = ["Preparing", "warm"]


class Preparing(Protocol):
    """A model that can read a beginning beforehand; `motet.models.ChatModel` is one."""

    async def prepare(self, messages: Sequence[tuple[str, str]]) -> None:
        """Reads all but the last message."""


async def warm(model: Preparing) -> None:
    """Has a model read the instructions and examples that a small one's tasks begin with."""
    await model.prepare(PROMPTS.load("worked_out").messages(goal=""))
