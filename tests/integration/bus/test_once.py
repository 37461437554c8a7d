"""One outcome a call: redelivered, issued again, doubled, or shared by replicas."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from motet.agent import Call
from motet.bus import CallContext
from motet.messages import Answer, CallResult, Task, new_id
from motet.telemetry import names
from motet.testing import Flaky, Gate, TestMesh, losing_acks, with_fault
from motet.testing.mesh import runner
from tests.integration.bus.agents import (
    Done,
    Order,
    call_headers,
    echo,
    planner,
    publish,
    worker,
)

fast = pytest.mark.mesh(ack_wait_s=0.5)


async def issue(mesh: TestMesh, context: CallContext, body: bytes = b"{}") -> asyncio.Future[Any]:
    """Publishes a call of `worker.work`, under a message id of its own; gives its reply."""
    reply, future = await mesh.bus.replies.expect()
    headers = call_headers(context, **{"motet-reply": reply})
    await publish(mesh, "call.worker.work", body, headers)
    return future


async def replied(future: asyncio.Future[Any]) -> CallResult:
    async with asyncio.timeout(10):
        return CallResult.model_validate_json((await future).data)


@fast
async def test_a_lost_acknowledgement_does_not_run_the_call_again(mesh: TestMesh) -> None:
    runs = Flaky()
    app = await mesh.join(with_fault(worker(echo), "work", runs))

    async with losing_acks(runner(app).bus) as lost:
        assert await mesh.motet.call("worker.work", {"text": "x"}, Done) == Done(text="x")
        await lost.reached(1)
        assert len(lost) == 1
        assert await mesh.waiting("CALLS") == 1

    await mesh.drained("CALLS")
    assert runs.runs == 1
    deliveries = [span for span in mesh.spans() if span.kind == "consumer"]
    assert [span.attributes[names.ATTEMPT] for span in deliveries] == [1, 2]
    assert names.REUSED not in deliveries[0].attributes
    assert deliveries[1].attributes[names.REUSED] is True


async def test_a_call_that_is_issued_again_is_answered_from_the_ledger(mesh: TestMesh) -> None:
    runs = Flaky()
    await mesh.join(with_fault(worker(echo), "work", runs))
    context = CallContext(task=new_id(), call="c")

    first = await replied(await issue(mesh, context, b'{"text": "first"}'))
    second = await replied(await issue(mesh, context, b'{"text": "second"}'))

    assert first == second
    assert first.output == {"v": 1, "text": "first", "attempt": 1}
    assert runs.runs == 1


async def test_a_call_that_failed_for_good_is_not_tried_anew(mesh: TestMesh) -> None:
    runs = Flaky(*[RuntimeError("no")] * 9)
    await mesh.join(with_fault(worker(echo), "work", runs))
    context = CallContext(task=new_id(), call="c")

    first = await replied(await issue(mesh, context))
    assert await replied(await issue(mesh, context)) == first
    assert first.attempts == runs.runs == 4
    assert len(await mesh.motet.dead()) == 1


@fast
async def test_a_second_message_of_a_call_that_is_worked_on_is_dropped(mesh: TestMesh) -> None:
    gate, runs = Gate(), Flaky()
    await mesh.join(with_fault(with_fault(worker(echo), "work", gate), "work", runs))
    context = CallContext(task=new_id(), call="c")
    first = await issue(mesh, context)
    claim = await mesh.claimed()
    assert (claim.task, claim.call, claim.attempt) == (context.task, "c", 1)

    await issue(mesh, context)
    await mesh.drained("CALLS", left=1)

    assert runs.runs == 1
    gate.open()
    assert (await replied(first)).ok
    await mesh.drained("CALLS")
    assert runs.runs == 1
    assert (await mesh.outcome(context.task, "c")).ok


@fast
async def test_a_claim_does_not_outlive_its_message(mesh: TestMesh) -> None:
    """A second message is taken up when the claimed one is gone, as after a purge."""
    gate, runs = Gate(), Flaky()
    app = await mesh.join(with_fault(with_fault(worker(echo), "work", gate), "work", runs))
    context = CallContext(task=new_id(), call="c")
    await issue(mesh, context)
    claim = await mesh.claimed()
    await mesh.leave(app, grace_s=0)
    await mesh.bus.js.delete_msg(mesh.bus.topology.stream("CALLS"), claim.sequence)
    gate.open()

    await mesh.join(with_fault(worker(echo), "work", runs))
    assert (await replied(await issue(mesh, context))).ok


async def test_a_task_that_is_tried_again_finds_its_finished_steps(mesh: TestMesh) -> None:
    runs = Flaky()

    async def plan(task: Task, call: Call) -> Answer:
        done = await call.delegate("worker.work", {"text": "x"}, Done, step="one")
        if call.attempt == 1:
            raise RuntimeError("the planner trips")
        return Answer(text=f"{done.text} on attempt {call.attempt}")

    await mesh.join(with_fault(worker(echo), "work", runs))
    await mesh.join(planner(plan))

    record = await (await mesh.motet.submit("work")).result(10)

    assert record.answer is not None
    assert record.answer.text == "x on attempt 2"
    assert runs.runs == 1


async def test_a_step_under_another_name_is_another_call(mesh: TestMesh) -> None:
    runs = Flaky()

    async def plan(task: Task, call: Call) -> Answer:
        same = {"text": "x"}
        for step in ("one", "one", "two"):
            await call.delegate("worker.work", same, step=step)
        return Answer(text="done")

    await mesh.join(with_fault(worker(echo), "work", runs))
    await mesh.join(planner(plan))

    assert (await (await mesh.motet.submit("work")).result(10)).state == "succeeded"
    assert runs.runs == 2


async def test_replicas_share_the_work_and_do_each_call_once(mesh: TestMesh) -> None:
    done: Counter[int] = Counter()
    by: Counter[str] = Counter()

    def replica(name: str) -> Any:
        async def count(request: Order, call: Call) -> Done:
            done[request.number] += 1
            by[name] += 1
            return Done(text=name)

        return worker(count, concurrency=4)

    await mesh.join(replica("a"))
    await mesh.join(replica("b"))

    await asyncio.gather(
        *(mesh.motet.call("worker.work", Order(number=number)) for number in range(200))
    )

    assert done == Counter(range(200))
    assert set(by) == {"a", "b"}


async def test_a_busy_replica_does_not_hold_up_what_another_could_do(mesh: TestMesh) -> None:
    gate = Gate()
    await mesh.join(with_fault(worker(echo, concurrency=1), "work", gate))
    held = asyncio.create_task(mesh.motet.call("worker.work", {"text": "held"}, Done))
    await gate.wait()

    await mesh.join(worker(echo, concurrency=1))
    for number in range(20):
        await mesh.motet.call("worker.work", Order(number=number))

    assert not held.done()
    gate.open()
    assert (await held).text == "held"
