"""A mesh for tests: real NATS, real delivery, agents within the test's own process or beside it.

Invariants:

- Each `TestMesh` has a namespace of its own: its subjects, streams and buckets meet nobody
  else's, so tests share one server and run in parallel.
- Nothing waits by the clock: joining returns when the agent takes calls.
- Every span of the agents in the process is kept in memory, for assertions on the trace.
- When it ends, its agents have stopped and its streams are gone.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from faststream import FastStream

from motet.agent import Agent
from motet.bus import Bucket, Bus, provision
from motet.client import Motet
from motet.embedded.processes import OwnedProcess, ProcessDiedError, ProcessOwner, ProcessSpec
from motet.embedded.services import environment
from motet.errors import FaultError
from motet.messages import CallClaim, CallResult, new_id
from motet.runtime import RunningAgent, running
from motet.settings import Settings
from motet.telemetry import Telemetry, setup
from motet.telemetry.record import SpanRecord
from motet.telemetry.tree import TraceTree
from motet.testing.recorder import SpanRecorder

__all__ = ["TestMesh", "runner", "test_mesh"]

_POLL_S = 0.01


class TestMesh:
    """A mesh in one process, with room for more processes."""

    __test__ = False  # pytest must not collect it

    def __init__(
        self, bus: Bus, recorder: SpanRecorder, folder: Path, stack: AsyncExitStack
    ) -> None:
        self.bus = bus
        """The client's bus, to look at streams and to publish what no client would."""
        self.motet = Motet(bus)
        """A client."""
        self.settings = bus.settings
        """What every member of the mesh runs with."""
        self._recorder = recorder
        self._folder = folder
        self._stack = stack
        self._owner: ProcessOwner | None = None
        self._members: dict[str, AsyncExitStack] = {}

    # Members

    async def join(
        self,
        agent: Agent,
        *,
        context: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
        telemetry: Telemetry | None = None,
    ) -> FastStream:
        """Runs an agent until the mesh ends or it is told to `leave`.

        Args:
            agent: What joins; a second one of the same name is a second replica.
            context: What its lifespan and skills find in the context, such as a scripted `model`.
            settings: Others than the mesh's.
            telemetry: A set-up of the test's own, such as one with a metric reader.
        """
        settings = settings or self.settings
        own = self._recorder.record(telemetry or setup(agent.name, settings))
        member = AsyncExitStack()
        app: FastStream = await member.enter_async_context(running(agent, settings, own, context))
        self._members[runner(app).instance] = member
        self._stack.push_async_callback(self.leave, app, grace_s=0)
        return app

    async def leave(self, app: FastStream, *, grace_s: float = 10) -> None:
        """Stops an agent that joined, as a stop signal would.

        Args:
            app: What `join` gave; one that left already is left alone.
            grace_s: Seconds that running handlers have to end before they are handed back.
        """
        member = self._members.pop(runner(app).instance, None)
        if member is not None:
            await runner(app).stop(grace_s)
            await member.aclose()

    async def spawn(
        self, agent: str, *arguments: str | Path, env: Mapping[str, str] | None = None
    ) -> OwnedProcess:
        """Runs an agent as a process of its own: one to kill, to pause, to send signals to.

        Returns when the agent has announced itself.

        Args:
            agent: The agent's name.
            arguments: What Python runs: a file, or `-m` and a module.
            env: Variables beside those that give it the mesh's settings.

        Raises:
            ProcessDiedError: It ended at once, for a reason that its log names.
        """
        if self._owner is None:
            self._owner = await self._stack.enter_async_context(ProcessOwner())
        cards = Bucket(self.bus, "agents")
        before = {item.key for item in await cards.items(agent)}
        spec = ProcessSpec(
            name=f"{agent}-{len(before) + 1}",
            command=(sys.executable, *(str(argument) for argument in arguments)),
            log=self._folder / f"{agent}.log",
            env={**environment(self.settings), **(env or {})},
        )
        process = await self._owner.start(spec)

        async def announced() -> None:
            async for item in cards.watch(agent):
                if item is not None and item.value and item.key not in before:
                    return

        async with asyncio.TaskGroup() as group:
            died = group.create_task(process.wait())
            card = group.create_task(announced())
            await asyncio.wait((died, card), return_when=asyncio.FIRST_COMPLETED)
            died.cancel()
            card.cancel()
        if not process.running:
            raise ProcessDiedError(process.name, await process.wait(), spec.log)
        return process

    # What happened

    def spans(self) -> list[SpanRecord]:
        """Every span that has ended; subjects are spelled as in the default namespace."""
        return self._recorder.spans()

    async def trace(self, task: str, *, timeout_s: float = 5) -> TraceTree:
        """The trace of a task, once nothing in it is in progress any more."""
        return await self._recorder.trace(task, timeout_s)

    async def outcome(self, task: str, call: str, *, timeout_s: float = 20) -> CallResult:
        """The outcome of a call, once it stands in the ledger.

        Raises:
            TimeoutError: None does in time.
        """
        async with asyncio.timeout(timeout_s):
            async for item in Bucket(self.bus, "results").watch(task):
                if item is None or item.key != f"{task}.{call}":
                    continue
                if json.loads(item.value)["kind"] == "result":
                    return CallResult.model_validate_json(item.value)
        raise AssertionError("a watch has no end")

    async def claimed(self, *, timeout_s: float = 20) -> CallClaim:
        """The claim of a call that takes long, once there is one: the first of the mesh.

        Raises:
            TimeoutError: There is none in time.
        """
        async with asyncio.timeout(timeout_s):
            async for item in Bucket(self.bus, "results").watch():
                if item is not None and json.loads(item.value)["kind"] == "claim":
                    return CallClaim.model_validate_json(item.value)
        raise AssertionError("a watch has no end")

    async def waiting(self, stream: str) -> int:
        """How many messages a work queue holds, `TASKS` or `CALLS`: queued or being worked on."""
        name = self.bus.topology.stream(stream)
        ask = partial(self.bus.js.stream_info, name)
        return (await self.bus.patiently(ask, f"The queue {name} cannot be read")).state.messages

    async def drained(self, stream: str, *, left: int = 0, timeout_s: float = 20) -> None:
        """Waits until a work queue holds `left` messages, or fewer.

        Raises:
            TimeoutError: It holds more.
        """
        await self._waits(stream, lambda count: count <= left, timeout_s)

    async def filled(self, stream: str, *, least: int = 1, timeout_s: float = 20) -> None:
        """Waits until a work queue holds `least` messages, or more.

        Raises:
            TimeoutError: It holds fewer.
        """
        await self._waits(stream, lambda count: count >= least, timeout_s)

    async def _waits(self, stream: str, reached: Callable[[int], bool], timeout_s: float) -> None:
        # A server tells nobody how many messages it holds.
        async with asyncio.timeout(timeout_s):
            while not reached(await self.waiting(stream)):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)


def runner(app: FastStream) -> RunningAgent:
    """What runs the agent of an application."""
    found: RunningAgent = app.context.get("runner")
    return found


@asynccontextmanager
async def test_mesh(nats_url: str, folder: Path, **settings: Any) -> AsyncGenerator[TestMesh]:
    """A mesh on a running server, in a new namespace.

    Args:
        nats_url: The server, with JetStream on.
        folder: For stores, caches and logs.
        settings: Whatever else of `Settings` the test wants otherwise.
    """
    values: dict[str, Any] = {
        "nats_url": nats_url,
        "namespace": f"t{new_id()[:12]}",
        "data_dir": folder / "data",
        "cache_dir": folder / "cache",
        "stream_max_bytes": 64 << 20,
        "retry_delay_s": 0.02,
        **settings,
    }
    chosen = Settings(**values)
    recorder = SpanRecorder(chosen.namespace)
    telemetry = recorder.record(setup("test", chosen))
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(Bus.open(chosen, telemetry, client="test"))
        await provision(bus.js, bus.topology)
        stack.push_async_callback(_remove, bus)
        yield TestMesh(bus, recorder, folder, stack)


test_mesh.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it


async def _remove(bus: Bus) -> None:
    for stream in bus.topology.streams():
        name = stream.name or ""
        with suppress(FaultError):  # it was gone before the answer came, so that it was asked again
            await bus.patiently(partial(bus.js.delete_stream, name), f"{name} cannot be removed")
