"""Consumers that stand before any service runs, for autoscalers to read."""

from __future__ import annotations

import pytest
from nats.js.errors import NotFoundError

from motet.bus import Bus
from motet.bus.intake import SUBMISSIONS
from motet.bus.standing import StandingSettings, ensure_standing_consumers
from motet.bus.topology import Topology
from motet.errors import SetupError
from motet.testing import TestMesh


@pytest.fixture
def bus(mesh: TestMesh) -> Bus:
    return mesh.bus


async def test_they_are_there_before_any_agent(bus: Bus) -> None:
    wanted = StandingSettings(skills="retriever.search, weather.now", finished="evaluator")

    made = await ensure_standing_consumers(bus.js, bus.topology, wanted)
    again = await ensure_standing_consumers(bus.js, bus.topology, wanted)

    assert made == again
    there = {
        info.name
        for stream in ("TASKS", "CALLS", "EVENTS")
        for info in await bus.js.consumers_info(bus.topology.stream(stream))
    }
    assert set(made) <= there
    assert {"retriever-search", "weather-now", "evaluator-finished"} <= set(made)
    assert {f"task-{kind}" for kind in SUBMISSIONS} <= set(made)


async def test_the_queues_of_known_tenants_stand_and_others_go(bus: Bus) -> None:
    known = Topology(bus.settings.model_copy(update={"tenants": "default, acme"}))
    stream = known.stream("TASKS")
    # It was made when its tenant was not known yet.
    await bus.js.add_consumer(stream, Topology(bus.settings).ready_consumer("batch", "acme"))

    await ensure_standing_consumers(bus.js, known, StandingSettings())

    for tenant in ("default", "acme"):
        info = await bus.js.consumer_info(stream, f"task-ready-batch-{tenant}")
        assert not info.config.inactive_threshold
    with pytest.raises(NotFoundError):
        await bus.js.consumer_info(stream, "task-ready-batch-other")
    assert known.ready_consumer("batch", "other").inactive_threshold


@pytest.mark.parametrize("skills", ["retriever", "retriever.", ".search", "a.b.c"])
async def test_what_is_no_skill_is_told_in_a_sentence(bus: Bus, skills: str) -> None:
    with pytest.raises(SetupError, match=r"MOTET_PROVISION_SKILLS .* form agent\.skill"):
        await ensure_standing_consumers(bus.js, bus.topology, StandingSettings(skills=skills))
