"""kill -9 of every container of docker-compose.yml, while tasks run: the chaos audit holds."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import docker
import pytest

from benchmarks.chaos import Run
from benchmarks.chaos.agents import AGENTS
from benchmarks.chaos.audit import Audit, keep_revisions
from benchmarks.chaos.person import Person
from benchmarks.chaos.plan import FaultPlan, Plan
from motet.bus import Bus, provision
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import Task, TaskState
from motet.settings import Settings
from motet.telemetry import setup
from tests.containers.compose import EMBEDDED, Compose
from tests.containers.mesh import ROOT
from tests.containers.scripted_server import QUESTION

KILLED = (
    *("conductor", "branch", "hand", "nats", "planner", "retriever-embedded", "graph-embedded"),
    *("tool_executor", "speech", "evaluator", "scripted"),
)
EVERY_S = 3.0
ACK_WAIT_S = 3.0
ENDS_WITHIN_S = 120.0

T = TypeVar("T")


class Containers:
    """The containers of a project, as what a plan's faults happen to."""

    def __init__(self, engine: docker.DockerClient, project: str) -> None:
        self._engine = engine
        self._project = project
        self.faults: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()

    async def suffer(self, fault: FaultPlan) -> None:
        """Kills a container, and starts it again."""
        self.faults[fault.fault] += 1
        self.kills[fault.part] += 1
        container = self._engine.containers.get(f"{self._project}-{fault.part}-1")
        await asyncio.to_thread(container.kill, "SIGKILL")
        await asyncio.sleep(fault.lasts_s)
        await asyncio.to_thread(container.start)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where agents and this test write spans and effects."""
    tmp_path.chmod(0o777)
    return tmp_path


@pytest.fixture
def stack(
    compose: list[str], engine: docker.DockerClient, images: Any, folder: Path
) -> Iterator[Compose]:
    """The services, and the chaos benchmark's agents in a namespace of their own."""
    images(*EMBEDDED)
    variables = {
        "CHAOS_FOLDER": str(folder),
        "CHAOS_USER": f"{os.getuid()}:{os.getgid()}",
        "MOTET_FOLDER": str(ROOT / "tests/containers"),
    }
    with Compose(compose, ["compose.test.yml", "compose.chaos.yml"], **variables) as up:
        up.up("planner", "retriever-embedded")
        up.motet("ingest", "/work/harbour.md")
        yield up


# The NATS client leaves the sockets of a server that was killed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(600)
async def test_tasks_outlive_every_container(
    stack: Compose, engine: docker.DockerClient, folder: Path
) -> None:
    faults = tuple(
        FaultPlan(part, "kill", at_s=number * EVERY_S, lasts_s=0.5)
        for number, part in enumerate(KILLED)
    )
    over_s = len(KILLED) * EVERY_S
    planned = Plan.of(120, seed=5, over_s=over_s, every_s=over_s, ack_wait_s=ACK_WAIT_S)
    plan = Plan(planned.tasks, faults)
    url = f"nats://127.0.0.1:{stack.nats_port}"
    chaos = Settings(
        nats_url=url,
        namespace="chaos",
        data_dir=folder,
        spans_dir=folder / "spans",
        stream_max_bytes=256 << 20,
    )
    containers = Containers(engine, stack.project)
    telemetry = setup("client", chaos)
    async with (
        Bus.open(chaos, telemetry) as bus,
        Bus.open(Settings(nats_url=url), setup("client", Settings())) as services,
    ):
        await provision(bus.js, bus.topology)
        await keep_revisions(bus)
        await asyncio.to_thread(stack.up)
        assert not await Motet(bus).wait_for_agents(set(AGENTS), 60)
        run = Run(plan, containers, bus, bus)  # type: ignore[arg-type]
        async with Person(bus, plan.tasks):
            answered = asyncio.create_task(ask(services, over_s))
            await run.suffer()
            await run.drain(ENDS_WITHIN_S)
            states = await answered
        telemetry.flush()
        audit = await Audit.of(bus, run.accepted, folder / "effects.jsonl", folder / "spans")
    assert audit.problems == []
    assert audit.succeeded + audit.failed_as_expected == len(plan.tasks)
    assert set(containers.kills) == set(KILLED)
    assert states == Counter({TaskState.SUCCEEDED: states.total()})


async def insistently(action: Callable[[], Awaitable[T]]) -> T:
    """What an action gives, once the server is there."""
    while True:
        try:
            return await action()
        except FaultError as error:
            if not error.fault.retryable:
                raise
            await asyncio.sleep(0.1)


async def ask(bus: Bus, over_s: float) -> Counter[TaskState]:
    """Asks the services a question again and again; how the tasks ended."""
    motet = Motet(bus)

    async def one(number: int) -> TaskState:
        await asyncio.sleep(number)
        task = Task(id=f"asked-{number}", goal=QUESTION)
        handle = await insistently(lambda: motet.submit(task))
        return (await insistently(lambda: handle.result(ENDS_WITHIN_S))).state

    return Counter(await asyncio.gather(*(one(number) for number in range(int(over_s)))))
