"""Warming: a local model reads what all requests about passages begin with before a task comes.

Reading is what a small model on few cores is slow at. What is read of the instructions while the
mesh starts need not be read while somebody waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from motet_planner.catalogue import Catalogue
from motet_planner.prompts import PROMPTS

__all__ = ["Preparing", "warm"]


class Preparing(Protocol):
    """A model that can read a beginning beforehand; `motet.models.ChatModel` is one."""

    async def prepare(self, messages: Sequence[tuple[str, str]]) -> None:
        """Reads all but the last message."""


async def warm(model: Preparing, catalogue: Callable[[], Catalogue]) -> None:
    """Has a model read the instructions; they list the skills, so it waits for all to join."""
    shared = PROMPTS.load("passages").messages(skills=catalogue().shown())
    await model.prepare([*shared, ("user", "")])
