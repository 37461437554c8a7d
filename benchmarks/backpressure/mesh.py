"""The mesh that is measured: a NATS server, a client, and agents that are started when wanted."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from array import array
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from nats.aio.msg import Msg

from benchmarks.backpressure.figures import rss_mb
from motet.bus import Bus, provision
from motet.client import Motet
from motet.embedded.nats import NatsServer
from motet.embedded.processes import OwnedProcess, ProcessOwner, ProcessSpec
from motet.messages import StateChanged, Task
from motet.settings import Settings
from motet.telemetry import setup

__all__ = ["Ends", "Mesh"]

READY_WITHIN_S = 30.0
SILENT_S = 30.0
"""Seconds without an end of a task after which the rest is given up."""


class Ends:
    """When each of a set of tasks ended, in the order of their ends."""

    def __init__(self, prefix: str) -> None:
        """`prefix` is how the ids begin; the number of the task follows."""
        self._prefix = prefix
        self.numbers = array("l")
        self.times = array("d")
        self._came = asyncio.Event()

    def note(self, task: str) -> None:
        """Notes the end of a task, unless it is another's."""
        if task.startswith(self._prefix):
            self.numbers.append(int(task.removeprefix(self._prefix)))
            self.times.append(time.perf_counter())
            self._came.set()

    async def reach(self, count: int) -> None:
        """Waits until `count` have ended.

        Raises:
            SystemExit: None has ended for a long time.
        """
        while len(self.times) < count:
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), SILENT_S)
            except TimeoutError:
                raise SystemExit(
                    f"{len(self.times)} of {count} tasks have ended, and no more for {SILENT_S:g} s"
                ) from None


class Mesh:
    """A server and a client; agents come and go."""

    def __init__(
        self, motet: Motet, bus: Bus, owner: ProcessOwner, server: OwnedProcess, folder: Path
    ) -> None:
        self.motet = motet
        self.bus = bus
        self._owner = owner
        self._server = server
        self._folder = folder
        self._agents: dict[str, OwnedProcess] = {}
        self._ends: list[Ends] = []

    @classmethod
    @asynccontextmanager
    async def of(cls, folder: Path) -> AsyncGenerator[Mesh]:
        """A mesh without agents."""
        async with AsyncExitStack() as stack:
            owner = await stack.enter_async_context(ProcessOwner(grace_s=15))
            nats_server = NatsServer(owner, folder / "nats")
            server = await nats_server.start()
            settings = Settings(
                nats_url=nats_server.url, data_dir=folder, spans_dir=folder / "spans"
            )
            telemetry = setup("client", settings)
            stack.push_async_callback(telemetry.shutdown)
            bus = await stack.enter_async_context(Bus.open(settings, telemetry))
            await provision(bus.js, bus.topology)
            mesh = cls(Motet(bus), bus, owner, server, folder)
            await bus.subscribe(bus.topology.event("*", "state"), mesh._heard)
            yield mesh

    @property
    def url(self) -> str:
        """Where the server is."""
        return self.bus.settings.nats_url

    @property
    def nats_pid(self) -> int:
        """The server's process."""
        return self._server.pid

    async def start(self, name: str) -> None:
        """Starts an agent, and waits until it has announced itself."""
        command = (sys.executable, "-m", "benchmarks.backpressure", name)
        environment = {
            "MOTET_NATS_URL": self.url,
            "MOTET_DATA_DIR": str(self._folder),
            "MOTET_SPANS_DIR": str(self._folder / "spans"),
            "MOTET_TASK_DEADLINE_S": "86400",
            "MOTET_LOG_LEVEL": "warning",
        }
        log = self._folder / f"{name}.log"
        self._agents[name] = await self._owner.start(ProcessSpec(name, command, log, environment))
        if await self.motet.wait_for_agents({name}, READY_WITHIN_S):
            raise SystemExit(f"{name} did not start: see {log}")

    async def stop(self, name: str) -> None:
        """Stops an agent, in order."""
        await self._owner.stop(self._agents.pop(name))

    def rss(self) -> dict[str, float]:
        """Resident memory of each process, in MB."""
        processes = {"submitter": os.getpid(), "nats": self._server.pid}
        processes.update({name: process.pid for name, process in self._agents.items()})
        return {name: rss_mb(pid) for name, pid in processes.items()}

    def watch(self, prefix: str) -> Ends:
        """Follows the ends of the tasks whose ids begin so."""
        ends = Ends(prefix)
        self._ends.append(ends)
        return ends

    async def submit(self, prefix: str, count: int, **values: object) -> array[float]:
        """Submits tasks one by one; gives the seconds that each submission took."""
        taken = array("d")
        for number in range(count):
            task = Task.model_validate({"id": f"{prefix}{number}", "goal": "x", **values})
            began = time.perf_counter()
            await self.motet.submit(task)
            taken.append(time.perf_counter() - began)
        return taken

    async def one_by_one(self, prefix: str, count: int, **values: object) -> array[float]:
        """Submits each task when the one before has ended; gives the seconds from end to end."""
        taken, ends = array("d"), self.watch(prefix)
        for number in range(count):
            task = Task.model_validate({"id": f"{prefix}{number}", "goal": "x", **values})
            began = time.perf_counter()
            await self.motet.submit(task)
            await ends.reach(number + 1)
            taken.append(time.perf_counter() - began)
        return taken

    async def _heard(self, message: Msg) -> None:
        event = StateChanged.model_validate_json(message.data)
        if event.state.terminal:
            for ends in self._ends:
                ends.note(event.task)
