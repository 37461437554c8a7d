"""What is queued, kept and alive is told in the metrics of whoever does the mesh's tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from motet.agent import Call
from motet.bus import queue_watch
from motet.errors import FaultError
from motet.messages import Answer, Task
from motet.telemetry import names, setup
from motet.testing import TestMesh
from tests.integration.bus.agents import Done, Order, planner, worker

Levels = dict[tuple[str, ...], float]


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_watch, "LOOK_S", 0.05)


class Watched:
    """The gauges that a planner reports."""

    def __init__(self, mesh: TestMesh) -> None:
        self._reader = InMemoryMetricReader()
        self.telemetry = setup("planner", mesh.settings, metric_readers=[self._reader])

    def levels(self, metric: str, *labels: str) -> Levels:
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        return {
            tuple(str((point.attributes or {})[label]) for label in labels): _value(point)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
        }

    async def until(self, reached: Callable[[Levels], bool], metric: str, *labels: str) -> Levels:
        async with asyncio.timeout(10):
            while not reached(levels := self.levels(metric, *labels)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return levels


def _value(point: Any) -> float:
    return float(point.value)


@pytest.mark.usefixtures("often")
async def test_queued_calls_are_counted_by_skill_whether_or_not_somebody_works(
    mesh: TestMesh,
) -> None:
    free = asyncio.Event()

    async def busy(request: Order, call: Call) -> Done:
        await free.wait()
        return Done(text="")

    async def plan(task: Task, call: Call) -> Answer:
        async with asyncio.TaskGroup() as group:
            for step in ("a", "b", "c"):
                group.create_task(call.delegate("worker.work", {}, step=step))
        return Answer(text="")

    watched = Watched(mesh)
    await mesh.join(worker(busy))
    await mesh.join(planner(plan), telemetry=watched.telemetry)
    task = await mesh.motet.submit(Task(goal="go", tenant="acme"))

    skill = (names.METRIC_CALLS_QUEUED, names.AGENT, names.SKILL)
    await watched.until(lambda levels: levels == {("worker", "work"): 3}, *skill)
    ages = watched.levels(names.METRIC_CALLS_OLDEST, names.AGENT, names.SKILL)
    assert 0 <= ages["worker", "work"] < 10
    queued = watched.levels(names.METRIC_TASKS_QUEUED, names.QUEUE, names.PRIORITY, names.TENANT)
    assert queued == {("ready", "normal", "acme"): 1}
    free.set()
    assert (await task.result(20)).state == "succeeded"
    await watched.until(lambda levels: levels == {}, *skill)


@pytest.mark.usefixtures("often")
async def test_dead_letters_streams_and_live_agents_are_counted(mesh: TestMesh) -> None:
    async def plan(task: Task, call: Call) -> Answer:
        return Answer(text="")

    async def broken(request: Order, call: Call) -> Done:
        raise FaultError.of("broken", "It is broken.")

    watched = Watched(mesh)
    gone = await mesh.join(worker(broken))
    await mesh.join(worker(broken))
    await mesh.join(planner(plan), telemetry=watched.telemetry)
    with pytest.raises(FaultError):
        await mesh.motet.call("worker.work", {})

    agents = (names.METRIC_INSTANCES, names.AGENT)
    await watched.until(lambda levels: levels == {("worker",): 2, ("planner",): 1}, *agents)
    kept = (names.METRIC_DEAD_LETTERS_KEPT, names.AGENT, names.SKILL)
    await watched.until(lambda levels: levels == {("worker", "work"): 1}, *kept)
    sizes = watched.levels(names.METRIC_STREAM_SIZE, names.STREAM)
    limits = watched.levels(names.METRIC_STREAM_LIMIT, names.STREAM)
    assert sizes["DEAD",] > 0
    assert limits["CALLS",] == mesh.settings.stream_max_bytes
    assert set(limits) <= set(sizes)
    assert watched.levels(names.METRIC_STREAM_MESSAGES, names.STREAM)["DEAD",] == 1

    await mesh.leave(gone)
    await watched.until(lambda levels: levels["worker",] < 2, *agents)


async def test_nothing_is_asked_when_nobody_reads(mesh: TestMesh) -> None:
    watch = queue_watch.QueueWatch(mesh.bus)
    before = mesh.bus.client.stats["out_msgs"]
    await watch.start()
    await asyncio.sleep(0)
    await watch.stop()
    assert mesh.bus.client.stats["out_msgs"] == before
