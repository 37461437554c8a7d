"""Tasks: taken up by any planner, handed on when one stops, answered wherever somebody waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from motet.agent import Call
from motet.errors import FaultError
from motet.messages import Answer, CallResult, Task, Usage
from motet.telemetry import names, setup
from motet.testing import Flaky, Gate, TestMesh, with_fault
from tests.integration.bus.agents import Done, Order, echo, planner, publish, worker


async def plan(task: Task, call: Call) -> Answer:
    done = await call.delegate("worker.work", {"text": task.goal}, Done, step="one")
    return Answer(text=f"{done.text}, attempt {call.attempt}")


async def test_planners_share_the_tasks_and_do_each_once(mesh: TestMesh) -> None:
    by: Counter[str] = Counter()

    def replica(name: str) -> Any:
        async def count(task: Task, call: Call) -> Answer:
            by[name] += 1
            return Answer(text=name)

        return planner(count)

    few = mesh.settings.model_copy(update={"concurrency": 2})
    await mesh.join(replica("a"), settings=few)
    await mesh.join(replica("b"), settings=few)
    tasks = [await mesh.motet.submit(f"goal {number}") for number in range(60)]

    records = [await task.result(20) for task in tasks]

    assert {record.state for record in records} == {"succeeded"}
    assert (by.total(), set(by)) == (60, {"a", "b"})


async def test_another_planner_goes_on_where_one_stopped(mesh: TestMesh) -> None:
    gate, runs = Gate(), Flaky()
    await mesh.join(with_fault(with_fault(worker(echo), "work", gate), "work", runs))
    first = await mesh.join(planner(plan))
    task = await mesh.motet.submit("go")
    await gate.wait()

    await mesh.leave(first, grace_s=0)
    gate.open()
    await mesh.drained("CALLS")
    await mesh.join(planner(plan))

    record = await task.result(20)
    assert record.answer == Answer(text="go, attempt 2")
    assert (record.attempts, runs.runs) == (2, 1)


async def test_a_reply_is_given_to_who_asked_for_one(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))
    await mesh.join(planner(plan))
    reply, future = await mesh.bus.replies.expect()

    await publish(mesh, "task.submit", b'{"goal": "go"}', {"motet-reply": reply})

    async with asyncio.timeout(10):
        result = CallResult.model_validate_json((await future).data)
    assert (result.task, result.call, result.ok) == ("task-1", "task", True)
    assert result.output["text"] == "go, attempt 1"


async def test_a_record_says_everything(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))
    await mesh.join(planner(plan))
    submitted = Task(goal="go", id="mine", labels={"team": "blue"}, deadline_s=60)

    record = await (await mesh.motet.submit(submitted)).result(10)

    assert record.task == submitted
    assert record.answer == Answer(text="go, attempt 1")
    assert (record.sequence, record.attempts, record.usage) == (2, 1, Usage(calls=1))
    assert record.deadline is not None
    assert (record.deadline - record.accepted_at).total_seconds() == 60
    assert record.accepted_at <= record.updated_at
    assert record.traceparent is not None
    assert [each.id for each in await mesh.motet.tasks()] == ["mine"]
    assert await mesh.motet.task("other").record() is None


async def test_a_wish_that_names_a_time_is_obeyed_by_tasks_too(mesh: TestMesh) -> None:
    later = FaultError.of("busy", "Not now.", retryable=True, retry_after_s=0.05)
    flaky = Flaky(later, later)

    async def answer(task: Task, call: Call) -> Answer:
        return Answer(text=f"attempt {call.attempt}")

    await mesh.join(planner(flaky(answer)))
    record = await (await mesh.motet.submit("go")).result(10)
    assert record.answer == Answer(text="attempt 3")


async def test_metrics_count_what_happened(mesh: TestMesh) -> None:
    reader = InMemoryMetricReader()
    measured = setup("worker", mesh.settings, metric_readers=[reader])
    gate = Gate()
    flaky = Flaky(RuntimeError("no"))

    async def work(request: Order, call: Call) -> Done:
        if request.number == 1:
            await gate(echo)(request, call)
        return Done(text="")

    app = await mesh.join(with_fault(worker(work), "work", flaky), telemetry=measured)
    await mesh.motet.call("worker.work", {})
    with pytest.raises(Exception, match="does not fit"):
        await mesh.motet.call("worker.work", {"number": "x"})
    held = asyncio.create_task(mesh.motet.call("worker.work", {"number": 1}))
    await gate.wait()
    await mesh.leave(app, grace_s=0)
    held.cancel()

    points = _points(reader)
    outcomes = {
        point.attributes[names.OUTCOME]: point.value for point in points[names.METRIC_CALLS]
    }
    assert outcomes == {"ok": 1, "internal": 1, "invalid_input": 1, "handed_back": 1}
    assert [point.value for point in points[names.METRIC_CALLS_ACTIVE]] == [0]
    assert [point.value for point in points[names.METRIC_RETRIES]] == [1]
    assert [point.value for point in points[names.METRIC_DEAD_LETTERS]] == [1]
    await measured.shutdown()


def _points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


@pytest.mark.mesh(tasks_max_age_s=4)
async def test_a_record_is_kept_for_a_while_after_the_end(mesh: TestMesh) -> None:
    gate = Gate()
    await mesh.join(planner(gate(plan)))
    await mesh.join(worker(echo))
    gate.open()
    task = await mesh.motet.submit(Task(id="mine", goal="go"))
    assert (await task.result(10)).state == "succeeded"

    async with asyncio.timeout(20):
        while await task.record() is not None:  # noqa: ASYNC110 - what expires gives no event
            await asyncio.sleep(0.05)

    assert await mesh.motet.tasks() == []
