"""Warming: what a small model's requests begin with is read beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from motet.testing import ScriptedModel
from motet_planner.warming import warm
from tests.unit.planner.scripted import CALCULATE, SEARCH, Bench, FakeCall, gives, passage


async def test_a_tasks_first_request_begins_with_what_was_read() -> None:
    read: list[Sequence[tuple[str, str]]] = []

    class Preparing:
        async def prepare(self, messages: Sequence[tuple[str, str]]) -> None:
            read.append(messages[:-1])

    await warm(Preparing())
    model = ScriptedModel(
        {"worked_out": {"answer": "stated"}, "text": "The tower is 38 metres high."},
        profile="small",
    )
    call = FakeCall(
        {"retriever.search": gives(passage("The tower is 38 metres high."))},
        agents=[SEARCH, CALCULATE],
    )
    await Bench().answer("How high is the tower?", call, model)

    first = model.asked[0].messages
    assert any(first[:-1] == tuple(each) for each in read)
