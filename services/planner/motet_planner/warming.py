"""Warming: a local model reads the fixed parts of the prompts before the first task comes.

A server such as llama.cpp's keeps what it has read of a prompt, and reads only what follows the
longest beginning that it knows. The prompts are written for that (their fixed part comes first),
so what is read while the mesh starts need not be read while somebody waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from motet.errors import FaultError
from motet.messages import new_id
from motet_planner.catalogue import Catalogue
from motet_planner.ports import Model
from motet_planner.prompting import load

__all__ = ["WARMED", "warm"]

log = logging.getLogger(__name__)

WARMED = ("read", "judge", "compose", "formula", "query", "plan")
"""The prompts of most tasks; `plan` lists the skills that live, so it waits for all to join."""

_NAMES = ("goal", "steps", "lines", "question", "text", "answer", "known", "what", "findings")


async def warm(model: Model, catalogue: Callable[[], Catalogue]) -> None:
    """Has a local model read the prompts; what goes wrong is left for the first task to find."""
    # Something new at the end keeps a cache of answers from answering in the model's place.
    values = dict.fromkeys(_NAMES, new_id())
    try:
        for name in WARMED:
            prompt = load(name)
            await model.text(prompt.messages(**values, skills=catalogue().shown()), max_tokens=1)
    except FaultError as error:
        log.info("the prompts were not read beforehand: %s", error)
