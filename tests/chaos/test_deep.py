"""A planner that is killed in the middle of a deep task: another one goes on, and nothing is lost.

Its files are read by the other replica, what was delegated is not done again, and the model is
asked nothing that it was asked before, neither by the agent nor by the part that it gave away.
"""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from motet.agent import Agent, Call
from motet.messages import CallStarted, Message, Task, TaskState
from motet.testing import TestServer, test_mesh

PLANNER = Path(__file__).parents[1] / "integration" / "deep_planner.py"
NOTE = {
    "name": "write_file",
    "args": {"file_path": "/plan.md", "content": "first Lund, then Ely"},
}
READ = {"name": "read_file", "args": {"file_path": "/plan.md"}}


class City(Message):
    city: str


class Sky(Message):
    sky: str


class Weather:
    """An agent whose second skill does not answer until it may."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.may = asyncio.Event()
        self.agent = Agent("weather", "Weather by city.")

        @self.agent.skill("now", "The sky over a city.")
        async def now(request: City, _call: Call) -> Sky:
            self.ran.append(f"now {request.city}")
            return Sky(sky=f"clear over {request.city}")

        @self.agent.skill("slow", "The sky over a city, later.")
        async def slow(request: City, _call: Call) -> Sky:
            self.ran.append(f"slow {request.city}")
            await self.may.wait()
            return Sky(sky=f"rain over {request.city}")


def sky(skill: str, city: str) -> dict[str, Any]:
    return {"name": f"weather__{skill}", "args": {"city": city}}


PART = {
    "name": "task",
    "args": {"description": "See about both.", "subagent_type": "general-purpose"},
}
BY_ITSELF = (
    [[NOTE], [sky("now", "Lund")], [sky("now", "Ulm"), sky("slow", "Ely")]],
    [[READ], "Clear over Lund, rain over Ely."],
    ["now Lund", "now Ulm", "slow Ely"],
)
BY_A_PART = (
    [[NOTE], [PART], [sky("now", "Lund")], [sky("now", "Ulm"), sky("slow", "Ely")]],
    ["Clear and rain.", [READ], "Clear over Lund, rain over Ely."],
    ["now Lund", "now Ulm", "slow Ely"],
)


@pytest.mark.parametrize("first, second, ran", [BY_ITSELF, BY_A_PART], ids=["itself", "part"])
async def test_another_replica_goes_on(
    nats_server: TestServer, tmp_path: Path, first: list[Any], second: list[Any], ran: list[str]
) -> None:
    async with test_mesh(nats_server.url, tmp_path, ack_wait_s=1) as mesh:
        weather = Weather()
        await mesh.join(weather.agent)
        asked = [tmp_path / "first", tmp_path / "second"]
        env = {"TURNS": json.dumps(first), "ASKED": str(asked[0])}
        process = await mesh.spawn("planner", PLANNER, env=env)
        task = await mesh.motet.submit(Task(goal="How is the sky?", strategy="deep"))
        async with asyncio.timeout(60):
            async for _, event in task.events():
                if isinstance(event, CallStarted) and event.skill == "weather.slow":
                    break

        process.signal(signal.SIGKILL)
        await process.wait()
        env = {"TURNS": json.dumps(second), "ASKED": str(asked[1])}
        await mesh.spawn("planner", PLANNER, env=env)
        weather.may.set()
        record = await task.result(60)

        assert record.state == TaskState.SUCCEEDED, record.fault
        assert record.answer is not None
        assert record.answer.text == "Clear over Lund, rain over Ely."
        assert list(record.answer.data["files"]) == ["/plan.md"]
        assert sorted(weather.ran) == ran
        assert len(record.answer.data["steps"]) == len(ran)
        turns = [[json.loads(line) for line in each.read_text().splitlines()] for each in asked]
        assert list(map(len, turns)) == [len(first), len(second)]
        # What the second replica's model was told is what the first one's tools gave.
        assert any("clear over Lund" in text for text in turns[1][0])
        assert any("first Lund, then Ely" in text for text in turns[1][-1])
