"""A cluster of three servers loses one, or two: nothing is lost, doubled or stuck.

A leader is elected 4 to 9 seconds after the one before it died; that is the servers' own pace.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from motet.agent import Call
from motet.bus import Bucket, Bus, Header, connection
from motet.errors import FaultError
from motet.messages import Answer, FaultType, Task, TaskRecord, TaskState, new_id
from motet.telemetry import names, setup
from motet.testing import (
    Flaky,
    Gate,
    TestCluster,
    TestMesh,
    losing_acks,
    test_mesh,
    with_fault,
)
from motet.testing.mesh import runner
from tests.integration.bus.agents import Done, Order, echo, planner, worker

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def own_mesh(nats_cluster: TestCluster, tmp_path: Path) -> AsyncIterator[TestMesh]:
    """A mesh whose streams have three copies, on servers of its own."""
    async with test_mesh(nats_cluster.url, tmp_path, replicas=3, ack_wait_s=4) as made:
        yield made
        # Streams are removed by servers that all run.
        for server in nats_cluster.servers:
            await server.start()


async def plan(task: Task, call: Call) -> Answer:
    await call.state(TaskState.RUNNING)
    first = await call.delegate("worker.work", {"text": "one"}, Done, step="one")
    second = await call.delegate("worker.work", {"text": "two"}, Done, step="two")
    return Answer(text=f"{first.text} {second.text}")


async def test_the_leader_of_the_calls_dies_while_they_are_delegated(
    own_mesh: TestMesh, nats_cluster: TestCluster
) -> None:
    begun, settled = asyncio.Event(), Counter[int]()

    async def work(request: Order, call: Call) -> int:
        if request.number == 50:
            begun.set()
        return request.number

    async def one(number: int) -> None:
        settled[await own_mesh.motet.call("worker.work", Order(number=number), int)] += 1

    await own_mesh.join(worker(work))
    await own_mesh.join(worker(work))
    leader = await nats_cluster.leader(own_mesh.bus.topology.stream("CALLS"))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(one(number))
        await begun.wait()
        await leader.kill()

    assert settled == Counter(range(200))
    await own_mesh.drained("CALLS")
    assert await own_mesh.motet.dead() == []


async def test_the_leader_of_the_ledger_dies_before_an_outcome_is_stored(
    own_mesh: TestMesh, nats_cluster: TestCluster
) -> None:
    gate = Gate()
    await own_mesh.join(with_fault(worker(echo), "work", gate))
    await own_mesh.join(planner(plan))
    task = await own_mesh.motet.submit("go")
    await gate.wait()

    ledger = f"KV_{own_mesh.bus.topology.bucket('results')}"
    await (await nats_cluster.leader(ledger)).kill()
    gate.open()

    record = await task.result(40)
    assert record.answer == Answer(text="one two")
    # Where that server led the queue of calls too, the first may have been delivered once more
    # before its outcome was stored.
    assert gate.entered in (2, 3)
    await own_mesh.drained("CALLS")
    await own_mesh.drained("TASKS")


async def test_a_delivery_is_counted_on_by_the_next_leader(
    own_mesh: TestMesh, nats_cluster: TestCluster
) -> None:
    """The acknowledgement is lost, then the leader: the next one delivers again, and says so."""
    runs = Flaky()
    app = await own_mesh.join(with_fault(worker(echo), "work", runs))
    async with losing_acks(runner(app).bus) as lost:
        assert await own_mesh.motet.call("worker.work", {"text": "x"}, Done) == Done(text="x")
        await lost.reached(1)
        assert len(lost) == 1

    stream = own_mesh.bus.topology.stream("CALLS")
    await (await nats_cluster.leader(stream, "worker-work")).kill()

    await own_mesh.drained("CALLS", timeout_s=40)
    assert runs.runs == 1
    deliveries = [span for span in own_mesh.spans() if span.kind == "consumer"]
    assert [span.attributes[names.ATTEMPT] for span in deliveries] == [1, 2]
    assert deliveries[1].attributes[names.REUSED] is True


async def test_what_a_leader_took_and_did_not_acknowledge_is_stored_once(
    own_mesh: TestMesh, nats_cluster: TestCluster, tmp_path: Path
) -> None:
    """It is stopped with messages before it, and goes on when another leads."""
    stream = own_mesh.bus.topology.stream("EVENTS")
    leader = await nats_cluster.leader(stream)
    other = next(server for server in nats_cluster.servers if server is not leader)
    settings = own_mesh.settings.model_copy(update={"nats_url": other.url})
    async with Bus.open(settings, setup("test", settings)) as bus:
        subject = bus.topology.event("t", "progress")

        async def store() -> None:
            await bus.store(subject, b"x", {Header.MESSAGE_ID: new_id()}, timeout_s=40)

        leader.pause()
        storing = [asyncio.create_task(store()) for _ in range(20)]
        try:
            await asyncio.gather(*storing)
        finally:
            leader.resume()
        await nats_cluster.healthy()

        assert (await bus.js.stream_info(stream)).state.messages == 20


async def test_what_decides_is_read_from_the_leader(own_mesh: TestMesh) -> None:
    """Direct gets, which any copy answers, are off."""
    bus = own_mesh.bus
    bucket = Bucket(bus, "budgets")
    config = (await bus.js.stream_info(f"KV_{bus.topology.bucket('budgets')}")).config
    config.allow_direct = False
    await bus.js.update_stream(config)

    assert await bucket.get("t.c") is None
    first = await bucket.put("t.c", b"one", 0)
    found = await bucket.get("t.c")
    assert found is not None
    assert (found.value, found.revision) == (b"one", first)
    assert await bucket.put("t.c", b"two", 0) is None
    await bucket.delete("t.c")
    assert await bucket.get("t.c") is None


async def test_of_many_who_write_at_once_one_does(own_mesh: TestMesh) -> None:
    """A leader refuses a write also while it has not yet written the one before."""
    bucket = Bucket(own_mesh.bus, "checkpoints")

    async def add() -> None:
        while True:
            item = await bucket.get("t")
            count, revision = (int(item.value), item.revision) if item else (0, 0)
            if await bucket.put("t", str(count + 1).encode(), revision) is not None:
                return

    async with asyncio.timeout(60):
        await asyncio.gather(*(add() for _ in range(20)))
    item = await bucket.get("t")
    assert item is not None
    assert item.value == b"20"


async def test_watches_and_blobs_outlive_any_server(
    own_mesh: TestMesh, nats_cluster: TestCluster
) -> None:
    bus, blobs = own_mesh.bus, own_mesh.motet.blobs
    bucket, seen = Bucket(bus, "schedules"), asyncio.Queue[bytes]()

    async def watch() -> None:
        async for item in bucket.watch():
            seen.put_nowait(b"" if item is None else item.value)

    watching = asyncio.create_task(watch())
    try:
        async with asyncio.timeout(80):
            assert await seen.get() == b""
            for number, stream in enumerate((f"KV_{bus.topology.bucket('schedules')}", "")):
                leader = await nats_cluster.leader(stream or f"OBJ_{bus.topology.blobs}")
                await leader.kill()
                data = str(number).encode() * 300_000
                await bucket.put("a", data[:10])
                assert await seen.get() == data[:10]
                ref = await blobs.put("blob", data)
                assert await blobs.get(ref) == data
                await leader.start()
                await nats_cluster.healthy()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_server_that_was_away_for_long_takes_over(
    own_mesh: TestMesh, nats_cluster: TestCluster
) -> None:
    away, *others = nats_cluster.servers
    await own_mesh.join(worker(echo))
    await own_mesh.join(planner(plan))
    await away.kill()
    for number in range(10):
        task = await own_mesh.motet.submit(Task(id=f"task-{number}", goal="go"))
        assert (await task.result(40)).state == "succeeded"
    await away.start()
    await nats_cluster.healthy()

    await others[0].kill()
    again = await own_mesh.motet.submit(Task(id="task-9", goal="go"))
    assert (await again.result(40)).state == "succeeded"
    assert len(await own_mesh.motet.tasks()) == 10
    new = await own_mesh.motet.submit("go")
    assert (await new.result(40)).state == "succeeded"


async def test_without_a_quorum_nothing_is_taken_and_nothing_is_lost(
    own_mesh: TestMesh, nats_cluster: TestCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    await own_mesh.join(with_fault(worker(echo), "work", gate))
    await own_mesh.join(planner(plan))
    before = await own_mesh.motet.submit("go")
    await gate.wait()
    for server in nats_cluster.servers[:2]:
        await server.kill()

    monkeypatch.setattr(connection, "GIVE_UP_S", 2.0)
    outcomes = await asyncio.gather(
        *(own_mesh.motet.submit(Task(id="during", goal="go")) for _ in range(2)),
        own_mesh.motet.call("worker.work", {}, timeout_s=10),
        before.record(),
        return_exceptions=True,
    )
    monkeypatch.undo()
    # Reading takes nothing: a leader that has not noticed yet that it is alone may answer.
    *outcomes, read = outcomes
    if isinstance(read, TaskRecord):
        assert not read.state.terminal
    else:
        outcomes.append(read)
    for outcome in outcomes:
        assert isinstance(outcome, FaultError), outcome
        assert outcome.fault.type == FaultType.UNAVAILABLE
        assert outcome.fault.retryable

    gate.open()
    await nats_cluster.servers[0].start()
    assert (await before.result(60)).answer == Answer(text="one two")
    during = await own_mesh.motet.submit(Task(id="during", goal="go"))
    assert (await during.result(30)).answer == Answer(text="one two")
    assert {each.id for each in await own_mesh.motet.tasks()} == {before.id, "during"}
    await own_mesh.drained("TASKS")
