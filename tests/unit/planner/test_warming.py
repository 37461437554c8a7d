"""Warming: what all requests about passages begin with is read beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from motet.testing import ScriptedModel
from motet_planner.catalogue import catalogue_of
from motet_planner.warming import warm
from tests.unit.planner.scripted import CALCULATE, SEARCH, Bench, FakeCall, gives, passage


async def test_a_task_begins_with_what_was_read() -> None:
    read: list[Sequence[tuple[str, str]]] = []

    class Preparing:
        async def prepare(self, messages: Sequence[tuple[str, str]]) -> None:
            read.append(messages[:-1])

    cards = [SEARCH, CALCULATE]
    await warm(Preparing(), lambda: catalogue_of(cards, own="planner"))
    model = ScriptedModel(
        {"route": {"skill": "retriever.search"}, "text": "The tower is 38 metres high."},
        profile="small",
    )
    call = FakeCall(
        {"retriever.search": gives(passage("The tower is 38 metres high."))}, agents=cards
    )
    await Bench().answer("How high is the tower?", call, model)

    assert model.asked[-1].messages[: len(read[0])] == tuple(read[0])
