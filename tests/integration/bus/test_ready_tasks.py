"""Queued tasks: taken in at once, and served by priority, by tenant, and by age."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from motet.agent import Agent, Call
from motet.bus.ready import TURN, places
from motet.messages import Answer, FaultType, Priority, Task, TaskState
from motet.testing import Gate, TestMesh, TestServer, losing_acks, test_mesh
from motet.testing.mesh import runner
from tests.integration.bus.agents import planner, publish


class TakenOrder:
    """A planner that notes the goals of tasks in the order in which they begin."""

    def __init__(self) -> None:
        self.goals: list[str] = []
        self.gate = Gate()

    @property
    def agent(self) -> Agent:
        async def plan(task: Task, call: Call) -> Answer:
            self.goals.append(task.goal)
            return await self.gate(answer)(task, call)

        return planner(plan)


async def answer(task: Task, call: Call) -> Answer:
    return Answer(text=task.goal)


async def busy(mesh: TestMesh, order: TakenOrder, concurrency: int) -> None:
    """Joins a planner whose places are all taken, by interactive tasks named `first`."""
    settings = mesh.settings.model_copy(update={"concurrency": concurrency})
    await mesh.join(order.agent, settings=settings)
    for _ in range(concurrency):
        await mesh.motet.submit(Task(goal="first", priority="interactive", tenant="first"))
    await order.gate.wait(concurrency)


async def queue(mesh: TestMesh, count: int, **fields: str) -> list[str]:
    """Submits tasks, and waits until they are queued; returns their ids in order."""
    ids: list[str] = []
    for number in range(count):
        task = Task.model_validate(
            {
                "goal": f"{fields['goal']} {number}",
                **{name: value for name, value in fields.items() if name != "goal"},
            }
        )
        ids.append((await mesh.motet.submit(task)).id)
        await taken_in(mesh)
    return ids


async def taken_in(mesh: TestMesh) -> None:
    """Waits until every submission was taken in."""
    topology = mesh.bus.topology
    async with asyncio.timeout(20):
        while True:
            info = await mesh.bus.js.stream_info(topology.stream("TASKS"), ">")
            if not any(map(topology.is_submission, info.state.subjects or {})):
                return


async def done(mesh: TestMesh, order: TakenOrder) -> list[str]:
    order.gate.open()
    await mesh.drained("TASKS", timeout_s=30)
    return [goal for goal in order.goals if goal != "first"]


async def test_a_task_is_on_record_before_a_planner_is_free(mesh: TestMesh) -> None:
    order = TakenOrder()
    await busy(mesh, order, 1)
    task = await mesh.motet.submit("second")
    await taken_in(mesh)
    record = await task.record()
    assert record is not None
    assert (record.state, record.attempts) == (TaskState.SUBMITTED, 0)
    assert await done(mesh, order) == ["second"]


async def test_the_oldest_of_a_queue_goes_first(mesh: TestMesh) -> None:
    order = TakenOrder()
    await busy(mesh, order, 1)
    await queue(mesh, 20, goal="n")
    assert await done(mesh, order) == [f"n {number}" for number in range(20)]


async def test_the_urgent_go_first_and_the_others_have_their_turn(mesh: TestMesh) -> None:
    order = TakenOrder()
    await busy(mesh, order, 1)
    await queue(mesh, 3, goal="batch", priority="batch")
    await queue(mesh, 2 * TURN, goal="normal")
    await queue(mesh, 2, goal="now", priority="interactive")

    goals = await done(mesh, order)

    assert set(goals[:2]) == {"now 0", "now 1"}
    assert goals.index("batch 0") <= TURN
    assert goals.index("batch 1") >= TURN
    assert len(goals) == 3 + 2 * TURN + 2


async def test_an_interactive_task_finds_a_place_among_batch_tasks(mesh: TestMesh) -> None:
    order = TakenOrder()
    settings = mesh.settings.model_copy(update={"concurrency": 8})
    await mesh.join(order.agent, settings=settings)
    for number in range(20):
        await mesh.motet.submit(Task(goal=f"batch {number}", priority="batch"))
    await order.gate.wait(places(8, "batch"))

    urgent = await mesh.motet.submit(Task(goal="now", priority="interactive"))
    await order.gate.wait(places(8, "batch") + 1)

    assert order.goals[-1] == "now"
    assert order.gate.entered == 7
    order.gate.open()
    assert (await urgent.result(20)).state == "succeeded"
    await mesh.drained("TASKS", timeout_s=30)
    assert order.gate.entered == 21


@pytest.mark.parametrize(
    "concurrency, priority, expected",
    [(1, "batch", 1), (4, "batch", 3), (8, "normal", 7), (32, "batch", 24), (9, "interactive", 9)],
)
def test_places(concurrency: int, priority: Priority, expected: int) -> None:
    assert places(concurrency, priority) == expected


async def test_tenants_share_alike_however_much_one_submits(mesh: TestMesh) -> None:
    order = TakenOrder()
    await busy(mesh, order, 2)
    await queue(mesh, 30, goal="loud", tenant="loud")
    await queue(mesh, 5, goal="quiet", tenant="quiet")

    goals = await done(mesh, order)

    begun = Counter(goal.split()[0] for goal in goals[:10])
    assert begun["quiet"] >= 4
    assert len(goals) == 35


async def test_planners_that_come_later_find_what_is_queued(mesh: TestMesh) -> None:
    order = TakenOrder()
    await busy(mesh, order, 1)
    for tenant in ("a", "b", "c"):
        await queue(mesh, 2, goal=tenant, tenant=tenant)
    helping = TakenOrder()
    helping.gate.open()
    await mesh.join(helping.agent)

    async with asyncio.timeout(20):
        while await mesh.waiting("TASKS") > 1:  # noqa: ASYNC110 - a stream's size gives no event
            await asyncio.sleep(0.02)
    assert len(helping.goals) == 6
    assert await done(mesh, order) == []


async def test_a_queue_whose_consumer_is_gone_is_made_again(mesh: TestMesh) -> None:
    order = TakenOrder()
    await busy(mesh, order, 1)
    await queue(mesh, 1, goal="n")
    stream = mesh.bus.topology.stream("TASKS")
    await mesh.bus.js.delete_consumer(stream, "task-ready-normal-default")
    assert await done(mesh, order) == ["n 0"]


@pytest.mark.mesh(ack_wait_s=1)
async def test_lost_acknowledgements_of_the_intake_double_nothing(mesh: TestMesh) -> None:
    order = TakenOrder()
    order.gate.open()
    app = await mesh.join(order.agent)
    async with losing_acks(runner(app).bus) as lost:
        task = await mesh.motet.submit("go")
        assert (await task.result(20)).state == "succeeded"
        await lost.reached(2)
    await mesh.drained("TASKS")
    assert len(lost) == 2
    assert order.goals == ["go"]


async def test_a_second_ready_message_changes_nothing(mesh: TestMesh) -> None:
    """As when the intake died, and its window for duplicates was over."""
    order = TakenOrder()
    await busy(mesh, order, 2)
    submitted = await mesh.bus.store(mesh.bus.topology.task_submit, b'{"id": "t", "goal": "go"}')
    await taken_in(mesh)
    body = b'{"task": "t", "sequence": %d}' % submitted.sequence
    await publish(mesh, "task.ready.normal.default", body)
    assert await done(mesh, order) == ["go"]


@pytest.mark.parametrize("body", [b"", b"not json", b'{"task": "a.b", "sequence": 1}'], ids=str)
async def test_a_bad_ready_message_is_a_dead_letter(mesh: TestMesh, body: bytes) -> None:
    await mesh.join(planner(answer))
    await (await mesh.motet.submit("go")).result(20)
    await publish(mesh, "task.ready.normal.default", body)
    await mesh.drained("TASKS")
    (stored,) = await mesh.motet.dead()
    assert stored.letter.fault.type == "invalid_input"


async def test_a_server_that_forgot_a_delivery_does_not_do_the_task_beside_itself(
    nats_server: TestServer, tmp_path: object
) -> None:
    order = TakenOrder()
    async with test_mesh(nats_server.url, tmp_path, ack_wait_s=30) as mesh:  # type: ignore[arg-type]
        await mesh.join(order.agent)
        task = await mesh.motet.submit("go")
        await order.gate.wait()
        topology, js = mesh.bus.topology, mesh.bus.js
        stream = topology.stream("TASKS")
        await js.delete_consumer(stream, "task-ready-normal-default")
        await nats_server.restart()
        again = topology.ready_consumer("normal", "default")
        await mesh.bus.patiently(partial(js.add_consumer, stream, again), "It cannot be made")
        async with asyncio.timeout(20):
            delivered = 0
            while not delivered:
                info = await js.consumer_info(stream, again.durable_name or "")
                delivered = info.delivered.consumer_seq if info.delivered else 0
        order.gate.open()
        assert (await task.result(20)).state == "succeeded"
        await mesh.drained("TASKS")
        assert order.goals == ["go"]


async def test_an_urgent_task_passes_a_burst_of_submissions(mesh: TestMesh) -> None:
    order = TakenOrder()
    order.gate.open()
    for number in range(500):
        await mesh.motet.submit(Task(goal=f"batch {number}", priority="batch"))
    await mesh.motet.submit("normal")
    await mesh.motet.submit(Task(goal="now", priority="interactive"))

    settings = mesh.settings.model_copy(update={"concurrency": 2})
    await mesh.join(order.agent, settings=settings)
    await mesh.drained("TASKS", timeout_s=30)

    assert order.goals.index("now") < 100
    assert order.goals.index("normal") < 100
    assert len(order.goals) == 502


async def test_a_dead_letter_of_an_urgent_task_is_replayed(mesh: TestMesh) -> None:
    subject = mesh.bus.topology.task_submit_by("interactive")
    await mesh.join(planner(answer))
    await mesh.bus.store(subject, b'{"goal": ""}')
    await mesh.drained("TASKS")
    (stored,) = await mesh.motet.dead()
    assert stored.letter.subject == subject
    replayed = await mesh.motet.replay(stored.sequence)
    assert replayed is not None
    assert (await mesh.motet.task(replayed).result(10)).state == "failed"


async def test_a_tenant_too_many_is_told_so_and_holds_up_no_other(
    nats_url: str, tmp_path: Path
) -> None:
    """A stream takes so many consumers, and a queue is one."""
    async with test_mesh(nats_url, tmp_path) as mesh:
        stream = mesh.bus.topology.stream("TASKS")
        config = (await mesh.bus.js.stream_info(stream)).config
        await mesh.bus.js.update_stream(replace(config, max_consumers=6))
        await mesh.join(planner(answer))
        known = await mesh.motet.submit(Task(goal="one", tenant="known"))
        assert (await known.result(10)).state == TaskState.SUCCEEDED

        record = await (await mesh.motet.submit(Task(goal="two", tenant="new"))).result(10)

        assert record.state == TaskState.FAILED
        assert record.fault is not None
        assert record.fault.type == FaultType.UNAVAILABLE
        assert "The queue of tenant 'new' cannot be made" in record.fault.message
        again = await mesh.motet.submit(Task(goal="three", tenant="known"))
        assert (await again.result(10)).state == TaskState.SUCCEEDED
