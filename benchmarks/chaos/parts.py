"""The parts of a run: agents and servers as owned processes, each agent on lines of its own.

A part that dies is started again, whoever killed it. Faults of one part happen one after the
other; faults of different parts may overlap.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.chaos.plan import AGENT_PARTS, FaultPlan
from motet.embedded.processes import OwnedProcess, ProcessOwner, ProcessSpec
from motet.testing import Line, TestServer, test_cluster, test_server

__all__ = ["Parts"]

STOPS_WITHIN_S = 60.0
"""Seconds within which an agent has ended that was told to, whatever else goes on."""


class Lines:
    """A line to each server, all of which suffer alike."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines
        self.url = ",".join(line.url for line in lines)
        """Where clients find them."""

    @classmethod
    @asynccontextmanager
    async def to(cls, servers: Sequence[TestServer]) -> AsyncGenerator[Self]:
        """Lines to all servers of a cluster, or to one that stands alone."""
        async with AsyncExitStack() as stack:
            yield cls([await stack.enter_async_context(Line.to(each.url)) for each in servers])

    async def cut(self) -> None:
        await asyncio.gather(*(line.cut() for line in self._lines))

    async def mend(self) -> None:
        for line in self._lines:
            await line.mend()

    def slow(self, delay_s: float) -> None:
        for line in self._lines:
            line.delay_s = delay_s


class _AgentPart:
    """One replica of an agent, kept running."""

    def __init__(
        self, owner: ProcessOwner, name: str, lines: Lines, folder: Path, env: dict[str, str]
    ) -> None:
        agent = name.partition("-")[0]
        self._spec = ProcessSpec(
            name,
            (sys.executable, "-m", "benchmarks.chaos", agent),
            folder / "logs" / f"{name}.log",
            {**env, "MOTET_NATS_URL": lines.url},
        )
        self._owner = owner
        self._process: OwnedProcess | None = None
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._keeper: asyncio.Task[None] | None = None
        self.lines = lines
        self.ends = 0
        """How often the process ended by itself, as an agent does that finds no server."""
        self._told = False
        """Whether it was told to end."""

    async def start(self) -> None:
        self._process = await self._owner.start(self._spec)
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self._spec.name}")

    async def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep(self) -> None:
        while self._process is not None:
            self.ends += await self._process.wait() != -signal.SIGKILL and not self._told
            await self._allowed.wait()
            self._told = False
            self._process = await self._owner.start(self._spec)

    async def kill(self, away_s: float) -> None:
        self._allowed.clear()
        self._signal(signal.SIGKILL)
        await asyncio.sleep(away_s)
        self._allowed.set()

    async def end(self, away_s: float) -> None:
        """Has the process end in order; another starts when it has.

        Raises:
            SystemExit: It does not end.
        """
        self._allowed.clear()
        self._told = True
        self._signal(signal.SIGTERM)
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), STOPS_WITHIN_S)
            except TimeoutError:
                raise SystemExit(
                    f"{self._spec.name} has not stopped within {STOPS_WITHIN_S:g} s: "
                    f"see {self._spec.log}"
                ) from None
        await asyncio.sleep(away_s)
        self._allowed.set()

    async def pause(self, for_s: float) -> None:
        self._signal(signal.SIGSTOP)
        await asyncio.sleep(for_s)
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.signal(number)


class Parts:
    """All parts of a mesh, and what was done to them."""

    def __init__(self, folder: Path, servers: int) -> None:
        self._folder = folder
        self._count = servers
        self._stack = AsyncExitStack()
        self._agents: dict[str, _AgentPart] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self.kills: Counter[str] = Counter()
        """SIGKILLs by part."""
        self.faults: Counter[str] = Counter()
        """Faults by kind."""

    async def __aenter__(self) -> Self:
        folder, self._cluster = self._folder / "nats", None
        if self._count > 1:
            self._cluster = await self._stack.enter_async_context(test_cluster(folder))
            self._servers = self._cluster.servers
        else:
            self._servers = [await self._stack.enter_async_context(test_server(folder))]
        self.url = ",".join(server.url for server in self._servers)
        self.client_lines = await self._stack.enter_async_context(Lines.to(self._servers))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def agents(self, env: dict[str, str]) -> AsyncGenerator[None]:
        """Runs every agent, and ends each in order; the streams must be there."""
        async with AsyncExitStack() as stack:
            lines = [await stack.enter_async_context(Lines.to(self._servers)) for _ in AGENT_PARTS]
            owner = await stack.enter_async_context(ProcessOwner(grace_s=15))
            for name, line in zip(AGENT_PARTS, lines, strict=True):
                part = self._agents[name] = _AgentPart(owner, name, line, self._folder, env)
                await part.start()
                stack.push_async_callback(part.stop)
            yield

    @property
    def unexpected_ends(self) -> int:
        """How often an agent ended by itself."""
        return sum(part.ends for part in self._agents.values())

    async def suffer(self, fault: FaultPlan) -> None:
        """Does a fault and what ends it."""
        async with self._turns.setdefault(fault.part, asyncio.Lock()):
            self.faults[fault.fault] += 1
            if fault.fault == "kill":
                self.kills[fault.part] += 1
            if fault.part == "nats":
                await self._server_suffers(fault)
            elif fault.fault in ("cut", "slow"):
                await self._line_suffers(fault)
            elif fault.fault == "kill":
                await self._agents[fault.part].kill(fault.lasts_s)
            elif fault.fault == "stop":
                await self._agents[fault.part].end(fault.lasts_s)
            else:
                await self._agents[fault.part].pause(fault.lasts_s)

    async def _server_suffers(self, fault: FaultPlan) -> None:
        server = await self._suffering(fault)
        if fault.fault == "kill":
            await server.kill()
            await asyncio.sleep(fault.lasts_s)
            await server.start()
        else:
            server.pause()
            await asyncio.sleep(fault.lasts_s)
            server.resume()
        if self._cluster is not None:
            # One at a time: two that are away are no cluster.
            await self._cluster.healthy()

    async def _suffering(self, fault: FaultPlan) -> TestServer:
        """The server that a fault is of."""
        if self._cluster is None:
            return self._servers[0]
        stream, consumer = fault.led
        if stream:
            return await self._cluster.leader(stream, consumer)
        return await self._cluster.meta_leader()

    async def _line_suffers(self, fault: FaultPlan) -> None:
        agent = self._agents.get(fault.part)
        lines = self.client_lines if agent is None else agent.lines
        if fault.fault == "cut":
            await lines.cut()
            await asyncio.sleep(fault.lasts_s)
            await lines.mend()
        else:
            lines.slow(fault.delay_s)
            await asyncio.sleep(fault.lasts_s)
            lines.slow(0.0)
