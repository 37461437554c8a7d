"""The agent of examples/agents: it joins a running mesh, is used by its card, leaves again."""

from __future__ import annotations

import signal
from pathlib import Path

from motet.agent import Call
from motet.messages import Answer, CallStarted, Progress, Task
from motet.testing import TestMesh
from tests.integration.bus.agents import planner

WEATHER = Path(__file__).parents[3] / "examples" / "agents" / "weather.py"


async def plan(task: Task, call: Call) -> Answer:
    """A planner in a nutshell: knows no agent, and uses the one whose card fits the goal."""
    for card in call.cards():
        for skill in card.skills:
            if skill.plannable and "city" in skill.input_schema.get("required", ()):
                found = await call.delegate(
                    f"{card.name}.{skill.name}", {"city": task.goal}, step="weather"
                )
                return Answer(text=f"{found['sky']}, {found['celsius']} degrees")
    return Answer(text="Nobody knows the weather.", answered=False)


async def ask(mesh: TestMesh, city: str) -> Answer:
    record = await (await mesh.motet.submit(city)).result(20)
    assert record.answer is not None, record.fault
    return record.answer


async def test_it_joins_is_used_and_leaves_and_the_planner_goes_on(mesh: TestMesh) -> None:
    await mesh.join(planner(plan))
    assert not (await ask(mesh, "Oslo")).answered

    process = await mesh.spawn("weather", WEATHER)
    assert [card.name for card in await mesh.motet.agents()] == ["planner", "weather"]
    there = await ask(mesh, "Oslo")
    assert there == await ask(mesh, "oslo")
    assert there.answered
    assert there != await ask(mesh, "Bergen")

    process.signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert not (await ask(mesh, "Oslo")).answered


async def test_what_it_tells_reaches_whoever_follows(mesh: TestMesh) -> None:
    await mesh.join(planner(plan))
    await mesh.spawn("weather", WEATHER)

    task = await mesh.motet.submit("Oslo")
    events = [event async for _, event in task.events()]

    (progress,) = [event for event in events if isinstance(event, Progress)]
    assert progress.message == "looking out of the window in Oslo"
    (started,) = [event for event in events if isinstance(event, CallStarted)]
    assert (started.skill, started.step, started.caller) == ("weather.now", "weather", "planner")
