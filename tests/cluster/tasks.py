"""Tasks for a release: those that take their time, and whether each ended as it should, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from motet.bus import Bus
from motet.bus.pages import pages
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import (
    EVENT,
    CallFinished,
    Event,
    Reply,
    StateChanged,
    Task,
    TaskRecord,
    TaskState,
)
from tests.containers.mesh import ROOT
from tests.containers.scripted_server import QUESTION

T = TypeVar("T")

DOCUMENT = {
    "source": "harbour.md",
    "media_type": "text/markdown",
    "text": (ROOT / "tests" / "containers" / "harbour.md").read_text("utf-8"),
}
ANSWERS = {"ask": "76", "proof": "printed", "edition": "printed"}
"""What the answer of each kind of task says."""

BEGUN: dict[str, Callable[[Event], bool]] = {
    "ask": lambda event: event.kind == "plan",
    "proof": lambda event: event.kind == "progress",
    "edition": lambda event: event.kind == "state" and event.state == TaskState.WAITING,
}
"""What tells that a task of a kind has begun."""


class Tasks:
    """Tasks that were submitted, by id: their kind and a number."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.motet = Motet(bus)
        self.ids: list[str] = []

    async def ingest(self) -> None:
        """Gives the retriever, and through it the graph, what questions are about."""
        documents = {"documents": [DOCUMENT]}
        await insistently(lambda: self.motet.call("retriever.ingest", documents))

    async def submit(self, kind: str, count: int = 1, seconds: int = 20) -> None:
        """Submits tasks.

        Args:
            kind: `ask` goes through retriever, graph and tools, `proof` takes as many seconds in
                one call, `edition` waits for a person.
            count: How many.
            seconds: Of a proof.
        """
        goal = QUESTION if kind == "ask" else f"press.{kind}, {seconds} s"
        for _ in range(count):
            id_ = f"{kind}-{len(self.ids)}"
            task = Task(id=id_, goal=goal)
            await insistently(lambda task=task: self.motet.submit(task))
            self.ids.append(id_)

    async def begun(self) -> None:
        """Waits until each question is planned, each proof at work, and each edition waits."""
        for id_ in self.ids:
            async for _, event in self.motet.task(id_).events():
                if BEGUN[id_.partition("-")[0]](event):
                    break

    async def approve(self) -> None:
        """Lets every edition be printed."""
        for record in await insistently(self.motet.approvals):
            reply = Reply(task=record.task, question=record.id, decision="approve")
            await insistently(lambda reply=reply: self.motet.reply(reply))

    async def problems(self, within_s: float = 300) -> list[str]:
        """What is wrong with how the tasks have ended; waits for them."""
        found: list[str] = []
        for id_ in self.ids:
            record = await insistently(lambda id_=id_: self.motet.task(id_).result(within_s))
            text = record.answer.text if record.answer else str(record.fault)
            if record.state != TaskState.SUCCEEDED or ANSWERS[id_.partition("-")[0]] not in text:
                found.append(f"{id_} {record.state}: {text}")
            # The end is told after it is on record.
            async with asyncio.timeout(60):
                async for _ in self.motet.task(id_).events():
                    pass
            events = await self.events(id_)
            ends = [e for e in events if isinstance(e, StateChanged) and e.state.terminal]
            if len(ends) != 1:
                found.append(f"{id_} ended {len(ends)} times")
            calls = Counter(e.call for e in events if isinstance(e, CallFinished) and e.ok)
            if calls and max(calls.values()) > 1:
                found.append(f"{id_} told {max(calls.values())} times that a call had finished")
        return found

    async def repeated(self) -> bool:
        """Whether a proof was begun more than once, because what ran it had to stop."""
        begun = [
            sum(event.kind == "progress" for event in await self.events(id_))
            for id_ in self.ids
            if id_.startswith("proof")
        ]
        return max(begun, default=0) > 1

    async def evaluated(self, task: str) -> TaskRecord | None:
        """The record of a task once nothing more comes to it."""
        await self.motet.task(task).evaluation(120)
        return await self.motet.task(task).record()

    async def events(self, task: str) -> list[Event]:
        """Everything that the stream has of a task."""
        topology = self.bus.topology
        stream, subject = topology.stream("EVENTS"), topology.event(task, ">")
        return [
            EVENT.validate_json(message.body)
            async for page in pages(self.bus, stream, subject, "Events cannot be read", 0)
            for message in page
        ]


async def insistently(action: Callable[[], Awaitable[T]]) -> T:
    """What an action gives, once the servers are there."""
    while True:
        try:
            return await action()
        except FaultError as error:
            if not error.fault.retryable:
                raise
            await asyncio.sleep(0.2)  # nobody tells when to try again
