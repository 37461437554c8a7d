"""Warming: a local model reads the fixed parts of the prompts before the first task comes.

A server such as llama.cpp's keeps what it has read of a prompt, and reads only what follows the
longest beginning that it knows. The prompts are written for that (their fixed part comes first),
so what is read while the mesh starts need not be read while somebody waits.
"""

from __future__ import annotations

from collections.abc import Callable

from motet.models import ChatModel
from motet_planner.catalogue import Catalogue
from motet_planner.prompting import load

__all__ = ["WARMED", "warm"]

WARMED = ("read", "judge", "compose", "formula", "query", "plan")
"""The prompts of most tasks; `plan` lists the skills that live, so it waits for all to join."""

_NAMES = ("goal", "steps", "lines", "question", "text", "answer", "known", "what", "findings")


async def warm(model: ChatModel, catalogue: Callable[[], Catalogue]) -> None:
    """Has a local model read the prompts' fixed parts, or remember them from an earlier run."""
    values = dict.fromkeys(_NAMES, "")
    for name in WARMED:
        await model.prepare(load(name).messages(**values, skills=catalogue().shown()))
