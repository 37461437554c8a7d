"""What a local model reads before the first task."""

from __future__ import annotations

from typing import Any

from motet_planner.catalogue import catalogue_of
from motet_planner.prompts import PROMPTS
from motet_planner.warming import _WARMED, warm


class Reader:
    """Notes what it is given to read."""

    def __init__(self) -> None:
        self.read: list[list[tuple[str, str]]] = []

    async def prepare(self, messages: list[tuple[str, str]]) -> None:
        self.read.append(messages)


async def test_the_fixed_part_of_each_prompt_is_read() -> None:
    reader: Any = Reader()
    await warm(reader, lambda: catalogue_of([], own="planner"))
    fixed = [[role for role, _ in messages[:-1]] for messages in reader.read]
    assert fixed == [[role for role, _ in PROMPTS.load(name).sections[:-1]] for name in _WARMED]
    assert all(roles[0] == "system" for roles in fixed)
