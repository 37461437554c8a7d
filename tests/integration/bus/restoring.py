"""A mesh that is backed up at work, and what came of it where it was restored."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from motet.agent import Agent, Call
from motet.bus import Bucket, Bus
from motet.bus.backups import Progress, Told, stream_names
from motet.bus.pages import pages
from motet.messages import Answer, StateChanged, Task, TaskState
from motet.settings import Settings
from motet.telemetry import setup
from motet.testing import Line, TestMesh
from tests.integration.bus.agents import Done, Order, planner, worker

STEPS = 4


def untold(_: Progress) -> None:
    """Nobody looks."""


@asynccontextmanager
async def signed_on(url: str, like: Settings, **others: Any) -> AsyncGenerator[Bus]:
    """Another connection of the same mesh, as its operator has when it is restored."""
    settings = like.model_copy(update={"nats_url": url, **others})
    async with Bus.open(settings, setup("backup", settings), client="backup") as bus:
        yield bus


@dataclass
class World:
    """What agents do to the outside: how often each effect was applied."""

    effects: Counter[str] = field(default_factory=Counter)
    """By idempotency keys of calls."""
    held: tuple[str, ...] = ()
    """What never ends in it: work whose text ends like this."""

    def agents(self) -> tuple[Agent, Agent, Agent]:
        """A planner whose tasks take several steps, every second of which delegates further."""

        async def plan(task: Task, call: Call) -> Answer:
            await call.state(TaskState.RUNNING)
            texts: list[str] = []
            for step in range(STEPS):
                skill = "boss.work" if step % 2 else "worker.work"
                text = f"{task.goal}/{step}"
                done = await call.delegate(skill, {"text": text}, Done, step=f"step {step}")
                texts.append(done.text)
            return Answer(text=" ".join(texts))

        async def delegate(request: Order, call: Call) -> Done:
            self.effects[call.idempotency_key] += 1
            return await call.delegate("worker.work", {"text": request.text}, Done, step="below")

        async def work(request: Order, call: Call) -> Done:
            self.effects[call.idempotency_key] += 1
            if request.text.endswith(self.held or ("nothing",)):
                await asyncio.Event().wait()
            return Done(text=request.text)

        return planner(plan), worker(delegate, "boss"), worker(work)


def answer(goal: str) -> Answer:
    """What a task of that goal must come to."""
    return Answer(text=" ".join(f"{goal}/{step}" for step in range(STEPS)))


async def outcomes(bus: Bus) -> set[str]:
    """The calls whose outcome is stored, by their idempotency keys."""
    items = await Bucket(bus, "results").items()
    return {item.key for item in items if json.loads(item.value)["kind"] == "result"}


async def ends(bus: Bus) -> Counter[str]:
    """How often the end of each task is told."""
    told: Counter[str] = Counter()
    subject = bus.topology.event("*", "state")
    async for page in pages(bus, bus.topology.stream("EVENTS"), subject, "no events"):
        for message in page:
            event = StateChanged.model_validate_json(message.body)
            told[event.task] += event.state.terminal
    return told


async def forget_ids(bus: Bus) -> None:
    """Has the server drop no message for its id, as when a backup is older than its window."""
    for name in ("TASKS", "CALLS", "EVENTS"):
        config = (await bus.js.stream_info(bus.topology.stream(name))).config
        config.duplicate_window = 0.1
        await bus.js.update_stream(config)


@dataclass
class Held:
    """A connection whose line is held when something has gone so far."""

    bus: Bus
    line: Line
    told: Told
    reached: asyncio.Event


@asynccontextmanager
async def held_at(
    url: str, mesh: TestMesh, step: str, stream: str, done: int
) -> AsyncGenerator[Held]:
    """A line to a server that carries nothing more once a stream's step has come so far."""
    reached, name = asyncio.Event(), stream_names(mesh.bus.topology)[stream]
    async with Line.to(url) as line, signed_on(line.url, mesh.settings) as bus:

        def told(progress: Progress) -> None:
            so_far = (progress.step, progress.stream) == (step, name) and progress.done >= done
            if so_far and not reached.is_set():
                line.hold()
                reached.set()

        yield Held(bus, line, told, reached)
