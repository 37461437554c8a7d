"""The parts of a run: agents and the server as owned processes, each agent on a line of its own.

A part that dies is started again, whoever killed it. Faults of one part happen one after the
other; faults of different parts may overlap.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.chaos.plan import AGENT_PARTS, FaultPlan
from motet.embedded.processes import OwnedProcess, ProcessOwner, ProcessSpec
from motet.testing import Line, TestServer, test_server

__all__ = ["Parts"]

STOPS_WITHIN_S = 60.0
"""Seconds within which an agent has ended that was told to, whatever else goes on."""


class _AgentPart:
    """One replica of an agent, kept running."""

    def __init__(
        self, owner: ProcessOwner, name: str, line: Line, folder: Path, env: dict[str, str]
    ) -> None:
        agent = name.partition("-")[0]
        self._spec = ProcessSpec(
            name,
            (sys.executable, "-m", "benchmarks.chaos", agent),
            folder / "logs" / f"{name}.log",
            {**env, "MOTET_NATS_URL": line.url},
        )
        self._owner = owner
        self._process: OwnedProcess | None = None
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._keeper: asyncio.Task[None] | None = None
        self.line = line
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

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = AsyncExitStack()
        self._agents: dict[str, _AgentPart] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self.kills: Counter[str] = Counter()
        """SIGKILLs by part."""
        self.faults: Counter[str] = Counter()
        """Faults by kind."""

    async def __aenter__(self) -> Self:
        self.server: TestServer = await self._stack.enter_async_context(
            test_server(self._folder / "nats")
        )
        self.client_line = await self._stack.enter_async_context(Line.to(self.server.url))
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
            lines = [await stack.enter_async_context(Line.to(self.server.url)) for _ in AGENT_PARTS]
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
        if fault.fault == "kill":
            await self.server.kill()
            await asyncio.sleep(fault.lasts_s)
            await self.server.start()
        else:
            self.server.pause()
            await asyncio.sleep(fault.lasts_s)
            self.server.resume()

    async def _line_suffers(self, fault: FaultPlan) -> None:
        agent = self._agents.get(fault.part)
        line = self.client_line if agent is None else agent.line
        if fault.fault == "cut":
            await line.cut()
            await asyncio.sleep(fault.lasts_s)
            await line.mend()
        else:
            line.delay_s = fault.delay_s
            await asyncio.sleep(fault.lasts_s)
            line.delay_s = 0.0
