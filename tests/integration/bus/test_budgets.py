"""Budgets hold across parallel branches, replicas and crashes; cycles are found."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from motet.agent import Agent, Call
from motet.bus import Budgets, CallContext, Purse
from motet.bus.accounts import Account
from motet.bus.kv import Bucket
from motet.errors import FaultError
from motet.messages import Answer, Budget, FaultType, Question, Reply, Task, TaskRecord, Usage
from motet.testing import Asked, Flaky, ScriptedModel, TestMesh, with_fault
from tests.integration.bus.agents import Done, Order, call_headers, echo, planner, publish, worker

THOUGHT = Usage(input_tokens=30, output_tokens=10, model_calls=1)


async def run(mesh: TestMesh, task: Task) -> TaskRecord:
    return await (await mesh.motet.submit(task)).result(30)


async def account(mesh: TestMesh, task: str, call: str = "task") -> Account | None:
    item = await Bucket(mesh.bus, "budgets").get(f"{task}.{call}")
    return None if item is None else Account.model_validate_json(item.value)


def thinker(model: ScriptedModel, name: str = "thinker") -> Agent:
    async def think(request: Order, call: Call) -> int:
        for _ in range(request.number):
            await model.text([("user", "think")], max_tokens=10)
        return request.number

    return worker(think, name)


async def test_a_runaway_planner_is_stopped_at_its_limit_to_the_call(mesh: TestMesh) -> None:
    runs = Flaky()
    model = ScriptedModel({"next": lambda asked: {"more": True}}, usage=Usage(model_calls=1))

    async def plan(task: Task, call: Call) -> Answer:
        for number in range(1000):
            schema: dict[str, Any] = {"type": "object"}
            await model.structured([("user", "more?")], schema, name="next", max_tokens=5)
            await call.delegate("worker.work", {}, step=str(number))
        return Answer(text="all")

    await mesh.join(with_fault(worker(echo), "work", runs))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", budget=Budget(calls=25)))

    assert (runs.runs, record.usage.calls) == (25, 25)
    assert (record.state, record.attempts) == ("failed", 1)
    assert record.fault is not None
    assert record.fault.type == FaultType.BUDGET_EXCEEDED
    assert record.fault.detail == {
        "limit": "calls",
        "allowed": 25,
        "spent": 25,
        "reserved": 0,
        "wanted": 1,
    }


async def test_parallel_branches_on_replicas_share_one_limit(mesh: TestMesh) -> None:
    runs = Flaky()

    async def branch(request: Order, call: Call) -> int:
        steps = [call.delegate("worker.work", {}, step=str(number)) for number in range(10)]
        done = await asyncio.gather(*steps, return_exceptions=True)
        return sum(not isinstance(each, FaultError) for each in done)

    async def plan(task: Task, call: Call) -> Answer:
        steps = [call.delegate("branch.work", {}, int, step=str(number)) for number in range(6)]
        return Answer(text=str(sum(await asyncio.gather(*steps))))

    await mesh.join(with_fault(worker(echo), "work", runs))
    for _ in range(3):
        await mesh.join(worker(branch, "branch", concurrency=2))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", budget=Budget(calls=40)))

    assert record.answer == Answer(text="34"), record.fault
    assert (runs.runs, record.usage.calls) == (34, 40)


async def test_tokens_are_enforced_before_a_model_is_asked(mesh: TestMesh) -> None:
    model = ScriptedModel({"text": "hm"}, usage=THOUGHT)

    async def plan(task: Task, call: Call) -> Answer:
        steps = [
            call.delegate(f"{name}.work", Order(number=9), int, step=name)
            for name in ("one", "two")
        ]
        faults = await asyncio.gather(*steps, return_exceptions=True)
        return Answer(text=" ".join(str(each.fault.type) for each in faults))  # type: ignore[union-attr]

    await mesh.join(thinker(model, "one"))
    await mesh.join(thinker(model, "two"))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", budget=Budget(tokens=210)))

    assert record.answer == Answer(text="budget_exceeded budget_exceeded"), record.fault
    assert (model.count("text"), record.usage.tokens) == (5, 200)


async def test_a_share_stops_its_sub_tree_and_what_is_left_of_it_comes_back(mesh: TestMesh) -> None:
    model = ScriptedModel({"text": "hm"}, usage=THOUGHT)
    left: list[int | None] = []

    async def boss(request: Order, call: Call) -> int:
        return await call.delegate("thinker.work", request, int, step="below")

    async def plan(task: Task, call: Call) -> Answer:
        share = Budget(tokens=100)
        greedy = call.delegate("boss.work", Order(number=9), step="a", budget=share)
        modest = call.delegate("boss.work", Order(number=1), int, step="b", budget=share)
        fault, done = await asyncio.gather(greedy, modest, return_exceptions=True)
        assert isinstance(fault, FaultError)
        assert (fault.fault.detail["allowed"], fault.fault.detail["spent"], done) == (100, 80, 1)
        left.append(call.budget.tokens)
        await call.delegate("thinker.work", Order(number=2), int, step="c")
        return Answer(text=str(call.budget.tokens))

    await mesh.join(thinker(model))
    await mesh.join(worker(boss, "boss"))
    await mesh.join(planner(plan))

    task = Task(id="t", goal="g", budget=Budget(tokens=200))
    record = await run(mesh, task)

    assert record.answer == Answer(text="0"), record.fault
    assert (left, model.count("text"), record.usage.tokens) == ([80], 5, 200)
    kept = await account(mesh, "t")
    assert kept is not None
    assert (kept.spent.tokens, kept.spent.calls, kept.open) == (200, 5, {})


async def test_a_share_of_one_limit_leaves_the_others_to_the_task(mesh: TestMesh) -> None:
    async def boss(request: Order, call: Call) -> int:
        for number in range(9):
            await call.delegate("worker.work", {}, step=str(number))
        return 9

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("boss.work", {}, int, step="a", budget=Budget(tokens=10))
        return Answer(text="")

    await mesh.join(worker(echo))
    await mesh.join(worker(boss, "boss"))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g", budget=Budget(calls=4)))

    assert record.fault is not None
    assert (record.fault.agent, record.fault.detail["allowed"]) == ("boss", 4)
    assert record.usage.calls == 4


async def test_a_call_that_is_issued_again_counts_once(mesh: TestMesh) -> None:
    runs, entered, gate = Flaky(), asyncio.Event(), asyncio.Event()

    async def plan(task: Task, call: Call) -> Answer:
        steps = [
            call.delegate("worker.work", {}, step=str(number), budget=Budget(tokens=10))
            for number in range(3)
        ]
        await asyncio.gather(*steps)
        if call.attempt == 1:
            entered.set()
            await gate.wait()
        return Answer(text=f"attempt {call.attempt}")

    await mesh.join(with_fault(worker(echo), "work", runs))
    first = await mesh.join(planner(plan))
    task = await mesh.motet.submit(Task(id="t", goal="g", budget=Budget(calls=3, tokens=30)))
    await entered.wait()
    await mesh.leave(first, grace_s=0)
    await mesh.join(planner(plan))

    record = await task.result(30)

    assert record.answer == Answer(text="attempt 2"), record.fault
    assert runs.runs == 3
    kept = await account(mesh, "t")
    assert kept is not None
    assert (kept.spent.calls, kept.open) == (3, {})


async def test_a_call_that_is_delivered_again_pays_once(mesh: TestMesh) -> None:
    model = ScriptedModel({"text": "hm"}, usage=THOUGHT)
    await mesh.join(thinker(model))
    context = CallContext("t", "c", budget=Budget(tokens=50))
    for _ in range(2):
        body = Order(number=1).model_dump_json().encode()
        await publish(mesh, "call.thinker.work", body, call_headers(context))
        await mesh.drained("CALLS")

    kept = await account(mesh, "t", "c")

    assert kept is not None
    assert (model.count("text"), kept.spent.tokens, kept.open) == (1, 40, {})


async def test_a_task_that_waited_for_a_person_counts_each_call_once(mesh: TestMesh) -> None:
    async def ask(request: Order, call: Call) -> Done:
        reply = await call.ask(Question(kind="answer", prompt="Where?"))
        return Done(text=str(reply.value))

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("worker.work", {}, step="before")
        share = Budget(calls=1, tokens=10)
        done = await call.delegate("asker.work", {}, Done, step="ask", budget=share)
        await call.delegate("worker.work", {}, step="after")
        return Answer(text=done.text)

    await mesh.join(worker(echo))
    await mesh.join(worker(ask, "asker"))
    await mesh.join(planner(plan))
    task = await mesh.motet.submit(Task(id="t", goal="g", budget=Budget(calls=4, tokens=30)))
    async for _, event in task.events():
        if getattr(event, "state", None) == "waiting":
            break
    (asked,) = await task.approvals()
    await mesh.motet.reply(
        Reply(task="t", question=asked.id, decision="respond", value="Oslo", by="ada")
    )

    record = await task.result(30)

    assert record.answer == Answer(text="Oslo"), record.fault
    kept = await account(mesh, "t")
    assert kept is not None
    assert (kept.spent.calls, kept.open) == (3, {})


async def test_what_a_cancelled_request_may_have_cost_counts(mesh: TestMesh) -> None:
    entered, gate = asyncio.Event(), asyncio.Event()

    async def never(asked: Asked) -> str:
        entered.set()
        await gate.wait()
        return "never"

    model = ScriptedModel({"text": never})

    async def plan(task: Task, call: Call) -> Answer:
        asking = asyncio.ensure_future(model.text([("user", "x" * 40)], max_tokens=20))
        await entered.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return Answer(text=str(call.budget.tokens))

    await mesh.join(planner(plan))
    record = await run(mesh, Task(goal="g", budget=Budget(tokens=100)))
    assert record.answer == Answer(text="70"), record.fault


async def test_without_a_limit_no_account_is_opened(mesh: TestMesh) -> None:
    async def boss(request: Order, call: Call) -> int:
        await call.delegate("worker.work", {}, step="a")
        await call.spend(Usage(input_tokens=5))
        return call.usage.tokens

    await mesh.join(worker(echo))
    await mesh.join(worker(boss, "boss"))
    assert await mesh.motet.call("boss.work", {}, int) == 5
    assert await Bucket(mesh.bus, "budgets").items() == []


async def test_a_direct_call_may_have_a_budget(mesh: TestMesh) -> None:
    async def boss(request: Order, call: Call) -> int:
        for number in range(9):
            await call.delegate("worker.work", {}, step=str(number))
        return 9

    runs = Flaky()
    await mesh.join(with_fault(worker(echo), "work", runs))
    await mesh.join(worker(boss, "boss"))
    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("boss.work", {}, int, budget=Budget(calls=3))
    assert (raised.value.fault.type, runs.runs) == (FaultType.BUDGET_EXCEEDED, 3)


async def test_what_is_spent_past_a_limit_stops_all(mesh: TestMesh) -> None:
    async def plan(task: Task, call: Call) -> Answer:
        with pytest.raises(FaultError, match="60 spent"):
            await call.spend(Usage(input_tokens=60))
        call.check()
        return Answer(text="")

    await mesh.join(planner(plan))
    record = await run(mesh, Task(goal="g", budget=Budget(tokens=50)))
    assert record.fault is not None
    assert record.fault.type == FaultType.BUDGET_EXCEEDED


async def test_replicas_that_write_at_once_lose_nothing(mesh: TestMesh) -> None:
    def purses() -> list[Purse]:
        context = CallContext("t", "c", budget=Budget(calls=50))
        made = [Budgets(mesh.bus).purse(context) for _ in range(4)]
        return [purse for purse in made if purse is not None]

    calls = [
        purse.count(f"call {index}.{each}")
        for index, purse in enumerate(purses())
        for each in range(25)
    ]
    counted = await asyncio.gather(*calls, return_exceptions=True)

    faults = [each.fault.type for each in counted if isinstance(each, FaultError)]
    assert faults == [FaultType.BUDGET_EXCEEDED] * 50
    kept = await account(mesh, "t", "c")
    assert kept is not None
    assert kept.spent.calls == 50


async def test_a_writer_that_is_cancelled_leaves_the_others_their_turn(mesh: TestMesh) -> None:
    context = CallContext("t", "c", budget=Budget(calls=50))
    purse = Budgets(mesh.bus).purse(context)
    assert purse is not None
    first, *others = [asyncio.ensure_future(purse.count(str(number))) for number in range(10)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(*others)
    kept = await account(mesh, "t", "c")
    assert kept is not None
    assert kept.spent.calls in {9, 10}


async def test_a_cycle_is_refused(mesh: TestMesh) -> None:
    runs: list[str] = []

    def passing(name: str, to: str) -> Agent:
        async def work(request: Order, call: Call) -> Any:
            runs.append(name)
            return await call.delegate(f"{to}.work", {}, step="on")

        return worker(work, name)

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("one.work", {}, step="a")
        return Answer(text="")

    for name, to in (("one", "two"), ("two", "three"), ("three", "one")):
        await mesh.join(passing(name, to))
    await mesh.join(planner(plan))

    record = await run(mesh, Task(goal="g"))

    assert record.fault is not None
    assert (record.fault.type, record.fault.agent) == (FaultType.DELEGATION_CYCLE, "one")
    assert record.fault.detail == {"path": ["one.work", "two.work", "three.work", "one.work"]}
    assert runs == ["one", "two", "three"]


async def test_a_skill_beside_itself_is_no_cycle(mesh: TestMesh) -> None:
    async def plan(task: Task, call: Call) -> Answer:
        for number in range(2):
            await call.delegate("worker.work", {}, step=str(number))
        return Answer(text="done")

    await mesh.join(worker(echo))
    await mesh.join(planner(plan))
    assert (await run(mesh, Task(goal="g"))).answer == Answer(text="done")


async def test_a_direct_call_below_itself_is_a_cycle_unless_declared(mesh: TestMesh) -> None:
    async def down(request: Order, call: Call) -> int:
        if request.number == 0:
            return call.depth
        return await call.delegate(
            f"{call.agent}.work", Order(number=request.number - 1), int, step="down"
        )

    await mesh.join(worker(down, "plain"))
    await mesh.join(worker(down, "deep", recursive=True))
    with pytest.raises(FaultError, match=r"plain\.work > plain\.work"):
        await mesh.motet.call("plain.work", Order(number=1), int)
    assert await mesh.motet.call("deep.work", Order(number=4), int) == 4
