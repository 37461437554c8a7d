"""Deadlines, depth and budgets: checked before work starts and while it runs, all the way down."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from motet.agent import Agent, Call
from motet.bus import calls
from motet.errors import FaultError
from motet.messages import Answer, Budget, FaultType, Task, TaskRecord, Usage
from motet.testing import Flaky, Gate, ScriptedModel, TestMesh, with_fault
from tests.integration.bus.agents import Done, Order, echo, planner, worker


async def run(mesh: TestMesh, task: Task) -> TaskRecord:
    return await (await mesh.motet.submit(task)).result(20)


async def test_a_deadline_that_passes_in_the_queue(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LATE_GRACE_S", 0.05)
    runs = Flaky()
    agent = with_fault(worker(echo), "work", runs)
    await mesh.leave(await mesh.join(agent))

    with pytest.raises(FaultError, match="gave no outcome before the deadline") as raised:
        await mesh.motet.call("worker.work", {}, timeout_s=0.1)
    assert raised.value.fault.type == FaultType.DEADLINE_EXCEEDED

    await mesh.join(agent)
    await mesh.drained("CALLS")
    assert runs.runs == 0
    (stored,) = await mesh.motet.dead()
    assert stored.letter.fault.message == "The deadline passed while the call was queued."


async def test_a_deadline_that_passes_while_it_runs(mesh: TestMesh) -> None:
    gate = Gate()
    await mesh.join(with_fault(worker(echo), "work", gate))

    with pytest.raises(FaultError, match=r"worker\.work was stopped at its deadline") as raised:
        await mesh.motet.call("worker.work", {}, timeout_s=0.2)

    assert raised.value.fault.type == FaultType.DEADLINE_EXCEEDED
    assert (gate.entered, gate.cancelled) == (1, 1)


async def test_an_attempt_that_takes_too_long_is_tried_again(mesh: TestMesh) -> None:
    gate = Gate()
    agent = worker(echo, timeout_s=0.1, max_attempts=2)
    await mesh.join(with_fault(agent, "work", gate))

    with pytest.raises(FaultError, match=r"worker\.work raised TimeoutError") as raised:
        await mesh.motet.call("worker.work", {})

    assert raised.value.fault.type == FaultType.INTERNAL
    assert (gate.entered, gate.cancelled) == (2, 2)


async def test_what_is_delegated_has_no_later_deadline(mesh: TestMesh) -> None:
    left: dict[str, float] = {}

    async def note(request: Order, call: Call) -> Done:
        left[request.text] = call.time_left_s() or 0
        return Done(text="")

    async def plan(task: Task, call: Call) -> Answer:
        left["task"] = call.time_left_s() or 0
        await call.delegate("worker.work", {"text": "inherited"}, step="a")
        await call.delegate("worker.work", {"text": "shorter"}, step="b", timeout_s=5)
        await call.delegate("worker.work", {"text": "longer"}, step="c", timeout_s=500)
        return Answer(text="")

    await mesh.join(worker(note))
    await mesh.join(planner(plan))

    assert (await run(mesh, Task(goal="g", deadline_s=50))).state == "succeeded"
    assert 45 < left["inherited"] <= left["task"] <= 50
    assert 0 < left["shorter"] <= 5
    assert 45 < left["longer"] <= left["task"]


async def test_a_task_expires_with_all_that_it_delegated(mesh: TestMesh) -> None:
    gate = Gate()

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("worker.work", {}, step="a")
        return Answer(text="")

    await mesh.join(with_fault(worker(echo), "work", gate))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", deadline_s=0.3))

    assert record.state == "expired"
    assert record.fault is not None
    assert record.fault.type == FaultType.DEADLINE_EXCEEDED
    await gate.wait_cancelled()
    assert gate.entered == 1


async def test_a_task_that_expires_in_the_queue_is_not_begun(mesh: TestMesh) -> None:
    begun: list[str] = []

    async def plan(task: Task, call: Call) -> Answer:
        begun.append(task.goal)
        return Answer(text="")

    await mesh.leave(await mesh.join(planner(plan)))
    task = await mesh.motet.submit(Task(goal="late", deadline_s=1e-6))
    await mesh.join(planner(plan))

    record = await task.result(10)

    assert (record.state, begun) == ("expired", [])


async def test_delegation_goes_only_so_deep(mesh: TestMesh) -> None:
    depths: list[int] = []

    async def deeper(request: Order, call: Call) -> Any:
        depths.append(call.depth)
        return await call.delegate("worker.work", {}, step="deeper")

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("worker.work", {}, step="down")
        return Answer(text="")

    await mesh.join(worker(deeper, recursive=True))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", budget=Budget(depth=3)))

    assert record.fault is not None
    assert record.fault.type == FaultType.DEPTH_EXCEEDED
    assert depths == [1, 2, 3]


async def test_parallel_calls_cannot_all_take_the_last_of_the_budget(mesh: TestMesh) -> None:
    runs = Flaky()

    async def plan(task: Task, call: Call) -> Answer:
        steps = [call.delegate("worker.work", {}, step=str(number)) for number in range(5)]
        outcomes = await asyncio.gather(*steps, return_exceptions=True)
        faults = [each.fault for each in outcomes if isinstance(each, FaultError)]
        assert {fault.type for fault in faults} == {FaultType.BUDGET_EXCEEDED}
        return Answer(text=f"{len(faults)} refused, {call.budget.calls} left")

    await mesh.join(with_fault(worker(echo), "work", runs))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", budget=Budget(calls=2)))

    assert record.answer is not None
    assert record.answer.text == "3 refused, 0 left"
    assert (runs.runs, record.usage.calls) == (2, 2)


async def test_calls_are_counted_over_the_whole_tree(mesh: TestMesh) -> None:
    async def split(request: Order, call: Call) -> int:
        for number in range(request.number):
            await call.delegate("worker.work", {}, step=str(number))
        return request.number

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("boss.work", {"number": 2}, step="a")
        assert call.budget.calls == 1
        await call.delegate("boss.work", {"number": 1}, step="b")
        return Answer(text="")

    await mesh.join(worker(echo))
    await mesh.join(worker(split, "boss"))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", budget=Budget(calls=4)))

    assert record.fault is not None
    assert (record.fault.type, record.fault.agent) == (FaultType.BUDGET_EXCEEDED, "boss")
    assert record.usage.calls == 4


def thinker(model: ScriptedModel, name: str = "thinker") -> Agent:
    async def think(request: Order, call: Call) -> str:
        return await model.text([("user", request.text)], max_tokens=10)

    return worker(think, name)


async def test_tokens_are_one_budget_for_the_whole_tree(mesh: TestMesh) -> None:
    usage = Usage(input_tokens=30, output_tokens=10, model_calls=1)
    model = ScriptedModel({"text": "hm"}, usage=usage)
    left: list[int | None] = []

    async def plan(task: Task, call: Call) -> Answer:
        for number in range(9):
            left.append(call.budget.tokens)
            await call.delegate("thinker.work", {}, step=str(number))
        return Answer(text="")

    await mesh.join(thinker(model))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", budget=Budget(tokens=100)))

    assert record.fault is not None
    assert (record.fault.type, record.fault.agent) == (FaultType.BUDGET_EXCEEDED, "thinker")
    assert record.fault.detail["limit"] == "tokens"
    # 20 tokens were left, and the third request may have taken 50: it was not made.
    assert (left, model.count("text")) == ([100, 60, 20], 2)
    assert record.usage == Usage(input_tokens=60, output_tokens=20, model_calls=2, calls=3)


async def test_a_step_may_be_given_less_than_all(mesh: TestMesh) -> None:
    model = ScriptedModel({"text": "hm"}, usage=Usage(input_tokens=30, model_calls=1))

    async def plan(task: Task, call: Call) -> Answer:
        share = Budget(tokens=20)
        with pytest.raises(FaultError, match="budget_exceeded"):
            await call.delegate("thinker.work", {}, step="a", budget=share)
        await call.delegate("thinker.work", {}, step="b", budget=Budget(tokens=10_000))
        return Answer(text="")

    await mesh.join(thinker(model))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", budget=Budget(tokens=1000)))
    assert (record.state, model.count("text")) == ("succeeded", 1)


async def test_money_is_a_budget_too(mesh: TestMesh) -> None:
    model = ScriptedModel({"text": "hm"}, usage=Usage(cost_usd=0.3, model_calls=1))

    async def plan(task: Task, call: Call) -> Answer:
        for _ in range(9):
            await model.text([("user", "think")], max_tokens=1)
        return Answer(text="")

    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", budget=Budget(cost_usd=0.5)))

    assert record.fault is not None
    assert record.fault.message == (
        "The budget of 0.5 cost_usd is used up: 0.3 spent, 0 reserved, 0.3 more wanted."
    )
    assert model.count("text") == 1
