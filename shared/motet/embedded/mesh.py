"""The mesh on one machine, started, watched and ended as one thing.

Order: everything that can be wrong beforehand is looked at first; then the model server begins to
load, NATS starts and gets its streams, and every service starts at once. The mesh is up when each
service has announced its card and the model answers. It ends the other way round, services before
NATS, so that they can still hand their work back.

Invariants:

- One mesh runs in a data folder (see `state`).
- A process that dies unasked is reported with its last words, and either started again, each time
  after a longer pause, or ends the mesh.
- A process that dies before the mesh is up always ends it: that is a mistake in the set-up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from motet.bus import Bus, Registry, provision
from motet.embedded.model_process import ModelProcess
from motet.embedded.nats import NatsServer
from motet.embedded.needs import require_weights, served_model
from motet.embedded.processes import OwnedProcess, ProcessDiedError, ProcessOwner
from motet.embedded.services import chosen_agents, service_spec
from motet.embedded.state import MeshLock, MeshState, ProcessState, write_state
from motet.errors import SetupError
from motet.messages import now
from motet.models.choice import choose
from motet.settings import Settings, load_settings
from motet.telemetry import setup

__all__ = ["EmbeddedMesh"]

T = TypeVar("T")

log = logging.getLogger(__name__)

UP_WITHIN_S = 60.0
"""Seconds that the services get to announce themselves."""

STOP_WITHIN_S = 15.0
"""Seconds that processes get to stop in order: some more than a service gives its handlers."""

RESTART_DELAY_S = 0.5
RESTART_DELAY_MAX_S = 30.0
"""The pause before a dead process is started again: doubled each time, up to the second value."""

HEALTHY_AFTER_S = 60.0
"""Seconds of life after which the pause begins anew."""

FREE_DISK_BYTES = 256 << 20
"""What must be free in the data folder for a mesh to start."""

_CARD_POLL_S = 0.05


@dataclass
class _Part:
    """A process of the mesh, and how to start it again."""

    name: str
    start: Callable[[], Awaitable[OwnedProcess]]
    process: OwnedProcess


class EmbeddedMesh:
    """`async with EmbeddedMesh() as mesh:` runs a mesh; `mesh.settings` lead clients to it.

    Args:
        settings: Where and with what; None reads the environment.
        agents: Names of installed agents; None runs them all.
        nats_port: A fixed port for NATS; None takes a free one.
        on_death: What a process that dies means: start it again, or end the mesh.
        grace_s: Seconds that processes get to stop in order.
        notice: Told, in a sentence, what happens to processes.

    Raises:
        SetupError: A setting is wrong, or no agent of a name is installed.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        agents: Iterable[str] | None = None,
        nats_port: int | None = None,
        on_death: Literal["restart", "end"] = "restart",
        grace_s: float = STOP_WITHIN_S,
        notice: Callable[[str], None] = log.warning,
    ) -> None:
        given = settings or load_settings()
        self.settings = given.model_copy(
            update={"spans_dir": given.spans_dir or given.data_dir / "spans"}
        )
        self.timings: dict[str, float] = {}
        """Seconds from the beginning until each part was ready."""
        self._entries = chosen_agents(agents)
        self._nats_port = nats_port
        self._on_death = on_death
        self._grace_s = grace_s
        self._notice = notice
        self._began = 0.0
        self._began_at = now()
        self._parts: dict[str, _Part] = {}
        self._failed = asyncio.Event()
        self._failure: BaseException | None = None
        self._stack = AsyncExitStack()

    @property
    def logs(self) -> Path:
        """The folder of the log files, one a process."""
        return self.settings.data_dir / "logs"

    @property
    def processes(self) -> dict[str, OwnedProcess]:
        """The processes as they are now, by name."""
        return {name: part.process for name, part in self._parts.items()}

    @property
    def agents(self) -> tuple[str, ...]:
        """The names of the agents that run."""
        return tuple(self._entries)

    @property
    def state(self) -> MeshState:
        """What other commands are told of this mesh."""
        settings = self.settings
        return MeshState(
            pid=os.getpid(),
            started_at=self._began_at,
            namespace=settings.namespace,
            nats_url=settings.nats_url,
            model=settings.model,
            model_url=settings.model_url,
            spans_dir=settings.spans_dir,
            processes=tuple(
                ProcessState(name=name, pid=process.pid, log=process.spec.log)
                for name, process in self.processes.items()
            ),
        )

    async def __aenter__(self) -> Self:
        self._began, self._began_at = time.monotonic(), now()
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Does something with the mesh, and stops it when the mesh fails.

        Raises:
            ProcessDiedError: A process died, and `on_death` is `end`.
        """
        working = asyncio.create_task(work)
        failing = asyncio.create_task(self.wait())
        try:
            await asyncio.wait({working, failing}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                failing.result()
            return await working
        finally:
            working.cancel()
            failing.cancel()
            await asyncio.gather(working, failing, return_exceptions=True)

    async def wait(self) -> None:
        """Waits until the mesh fails, which with `on_death="restart"` it does not.

        Raises:
            ProcessDiedError: A process died.
        """
        await self._failed.wait()
        if self._failure is not None:
            raise self._failure

    async def _start(self, stack: AsyncExitStack) -> None:
        require_weights(self.settings, self._entries)
        chat = served_model(self.settings)
        # Resolved here: with the address of a local model, `auto` would mean that one.
        self._now_at(model=choose(self.settings).id)
        lock = MeshLock(self.settings.data_dir)
        await lock.acquire()
        stack.callback(lock.release)
        self._prepare_folder()
        owner = await stack.enter_async_context(
            ProcessOwner(grace_s=self._grace_s, hold_open=[lock.descriptor])
        )

        model: ModelProcess | None = None
        if chat is not None:
            model = ModelProcess(owner, chat, self.settings, self.logs / "model-server.log")
            await self._add("model-server", model.start)
            self._now_at(model_url=model.url)
        await self._start_nats(owner)
        stack.push_async_callback(self._stop_services, owner, self.agents)
        for name, entry in self._entries.items():
            spec = service_spec(entry, self.settings, self.logs)
            await self._add(name, lambda spec=spec: owner.start(spec))
        await self._provision_and_meet(set(self._entries))
        if model is not None:
            await model.ready(self._parts["model-server"].process)
            self._took("model-server")
        self._watch(stack)
        write_state(self.settings.data_dir, self.state)
        self._took("all")

    def _prepare_folder(self) -> None:
        """Checks that there is room, and puts the former run's logs aside."""
        free = shutil.disk_usage(self.settings.data_dir).free
        if free < FREE_DISK_BYTES:
            raise SetupError(
                f"{self.settings.data_dir} has {free / 1e6:.0f} MB left, and a mesh needs "
                f"{FREE_DISK_BYTES / 1e6:.0f} MB: make room, or set MOTET_DATA_DIR to a folder on "
                "another disk."
            )
        for former in self.logs.glob("*.log"):
            former.replace(former.with_suffix(".log.1"))

    async def _start_nats(self, owner: ProcessOwner) -> None:
        server = NatsServer(
            owner,
            self.settings.data_dir / "nats",
            port=self._nats_port,
            log=self.logs / "nats-server.log",
        )
        await self._add("nats-server", server.start)
        self._now_at(nats_url=server.url)
        self._took("nats-server")

    async def _add(self, name: str, start: Callable[[], Awaitable[OwnedProcess]]) -> None:
        self._parts[name] = _Part(name, start, await start())

    async def _provision_and_meet(self, agents: set[str]) -> None:
        """Makes the streams, for which the services wait, then waits for the services."""
        telemetry = setup("mesh", self.settings.model_copy(update={"spans_dir": None}))
        try:
            async with Bus.open(self.settings, telemetry, client="mesh") as bus:
                await provision(bus.js, bus.topology)
                self._took("streams")
                registry = Registry(bus)
                await registry.start()
                try:
                    await self._meet(agents, registry)
                finally:
                    await registry.stop()
        finally:
            await telemetry.shutdown()

    async def _meet(self, missing: set[str], registry: Registry) -> None:
        """Waits until each service of this run has announced itself.

        A card that an earlier run left behind is older than this run, and does not count.
        """
        while True:
            for card in registry.cards():
                if card.name in missing and card.started_at >= self._began_at:
                    missing.discard(card.name)
                    self._took(card.name)
            if not missing:
                return
            for process in self.processes.values():
                if not process.running:
                    raise ProcessDiedError(process.name, await process.wait(), process.spec.log)
            if time.monotonic() > self._began + UP_WITHIN_S:
                raise SetupError(
                    f"Not announced after {UP_WITHIN_S:.0f} s: {', '.join(sorted(missing))}. "
                    f"The logs in {self.logs} say what they wait for."
                )
            await asyncio.sleep(_CARD_POLL_S)

    def _watch(self, stack: AsyncExitStack) -> None:
        """Begins to supervise every process."""
        supervisors = [
            asyncio.create_task(self._supervise(part), name=f"supervise {part.name}")
            for part in self._parts.values()
        ]

        for supervisor in supervisors:
            supervisor.add_done_callback(self._note_failure)

        async def end() -> None:
            for supervisor in supervisors:
                supervisor.cancel()
            await asyncio.gather(*supervisors, return_exceptions=True)

        stack.push_async_callback(end)

    def _note_failure(self, supervisor: asyncio.Task[None]) -> None:
        if not supervisor.cancelled() and (error := supervisor.exception()) is not None:
            self._failure = self._failure or error
            self._failed.set()

    async def _supervise(self, part: _Part) -> None:
        """Waits for a process' unasked end, and does what `on_death` says."""
        delay = RESTART_DELAY_S
        while True:
            status = await part.process.wait()
            if part.process.stopping:
                return
            died = ProcessDiedError(part.name, status, part.process.spec.log)
            if self._on_death == "end":
                raise died
            if time.monotonic() - part.process.started_at > HEALTHY_AFTER_S:
                delay = RESTART_DELAY_S
            self._notice(f"{died}\nStarting it again in {delay:g} s.")
            await asyncio.sleep(delay)
            delay = min(2 * delay, RESTART_DELAY_MAX_S)
            try:
                part.process = await part.start()
            except (ProcessDiedError, SetupError) as error:
                self._notice(str(error))
            else:
                self._notice(f"{part.name} runs again (process {part.process.pid}).")
                write_state(self.settings.data_dir, self.state)

    async def _stop_services(self, owner: ProcessOwner, names: tuple[str, ...]) -> None:
        """Ends the services side by side, while NATS still runs."""
        await owner.stop(*(self._parts[name].process for name in names if name in self._parts))

    def _now_at(self, **addresses: str) -> None:
        self.settings = self.settings.model_copy(update=addresses)

    def _took(self, part: str) -> None:
        self.timings[part] = time.monotonic() - self._began
