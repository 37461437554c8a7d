"""The server dies, or hangs, or the line to it does: nothing is lost, doubled or stuck."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from nats.aio.msg import Msg
from nats.errors import FlushTimeoutError

from motet.agent import Call
from motet.bus import Bus, connection
from motet.errors import FaultError, SetupError
from motet.messages import Answer, FaultType, StateChanged, Task, TaskState
from motet.settings import Settings
from motet.telemetry import names, setup
from motet.testing import (
    Flaky,
    Gate,
    Line,
    TestMesh,
    TestServer,
    losing_acks,
    test_mesh,
    with_fault,
)
from motet.testing.mesh import runner
from tests.integration.bus.agents import Done, Order, echo, planner, worker


@pytest.fixture
async def own_mesh(nats_server: TestServer, tmp_path: Path) -> AsyncIterator[TestMesh]:
    """A mesh on a server of its own, which can be killed."""
    async with test_mesh(nats_server.url, tmp_path, ack_wait_s=4) as made:
        yield made


async def plan(task: Task, call: Call) -> Answer:
    await call.state(TaskState.RUNNING)
    first = await call.delegate("worker.work", {"text": "one"}, Done, step="one")
    second = await call.delegate("worker.work", {"text": "two"}, Done, step="two")
    return Answer(text=f"{first.text} {second.text}")


async def test_a_restart_while_a_call_runs(own_mesh: TestMesh, nats_server: TestServer) -> None:
    gate = Gate()
    await own_mesh.join(with_fault(worker(echo), "work", gate))
    await own_mesh.join(planner(plan))
    task = await own_mesh.motet.submit("go")
    following = asyncio.create_task(_states(own_mesh, task.id))
    await gate.wait()

    await nats_server.restart()
    gate.open()

    record = await task.result(20)
    assert record.answer == Answer(text="one two")
    assert (gate.entered, gate.cancelled) == (2, 0)
    async with asyncio.timeout(20):
        assert await following == ["submitted", "running", "succeeded"]
    await own_mesh.drained("CALLS")
    await own_mesh.drained("TASKS")


async def _states(mesh: TestMesh, task: str) -> list[str]:
    events = mesh.motet.task(task).events()
    return [str(event.state) async for _, event in events if isinstance(event, StateChanged)]


async def test_a_server_that_is_away_while_a_call_ends(
    nats_server: TestServer, tmp_path: Path
) -> None:
    """Its outcome is stored when the server is back, and the handler does not run again.

    The ack wait is long: who is cut off for a whole one has lost its message to somebody else.
    """
    gate = Gate()
    async with test_mesh(nats_server.url, tmp_path, ack_wait_s=30) as mesh:
        await mesh.join(with_fault(worker(echo), "work", gate))
        call = asyncio.create_task(mesh.motet.call("worker.work", {"text": "x"}, Done))
        await gate.wait()

        await nats_server.kill()
        gate.open()
        await asyncio.sleep(0)
        await nats_server.start()

        async with asyncio.timeout(40):
            assert await call == Done(text="x")
        await mesh.drained("CALLS")
        assert gate.entered == 1


async def test_a_server_that_forgot_a_delivery_does_not_run_the_call_again(
    own_mesh: TestMesh, nats_server: TestServer
) -> None:
    """A server that is killed may count deliveries anew: the second one seems to be the first."""
    runs = Flaky()
    app = await own_mesh.join(with_fault(worker(echo), "work", runs))
    bus = own_mesh.bus
    async with losing_acks(runner(app).bus) as lost:
        assert await own_mesh.motet.call("worker.work", {"text": "x"}, Done) == Done(text="x")
        await lost.reached(1)
        assert len(lost) == 1
    await bus.js.delete_consumer(bus.topology.stream("CALLS"), "worker-work")
    await nats_server.restart()
    await bus.patiently(
        partial(
            bus.js.add_consumer,
            bus.topology.stream("CALLS"),
            bus.topology.consumer("worker", "work"),
        ),
        "The consumer cannot be made",
    )

    await own_mesh.drained("CALLS")
    assert runs.runs == 1
    deliveries = [span for span in own_mesh.spans() if span.kind == "consumer"]
    assert [span.attributes[names.ATTEMPT] for span in deliveries] == [1, 1]
    assert deliveries[1].attributes[names.REUSED] is True


async def test_restarts_under_load_lose_and_double_nothing(
    own_mesh: TestMesh, nats_server: TestServer
) -> None:
    settled: Counter[int] = Counter()
    enough = asyncio.Event()

    async def work(request: Order, call: Call) -> int:
        await asyncio.sleep(0)
        return request.number

    async def one(number: int) -> None:
        result = await own_mesh.motet.call("worker.work", Order(number=number), int)
        assert result == number
        settled[number] += 1
        if settled.total() in (50, 150):
            enough.set()

    await own_mesh.join(worker(work))
    await own_mesh.join(worker(work))
    async with asyncio.timeout(50), asyncio.TaskGroup() as group:
        for number in range(300):
            group.create_task(one(number))
            if number in (100, 200):
                await enough.wait()
                enough.clear()
                await nats_server.restart()
    assert settled == Counter(range(300))
    await own_mesh.drained("CALLS")
    assert await own_mesh.motet.dead() == []


async def test_a_submission_while_the_server_is_away_is_taken_when_it_is_back(
    own_mesh: TestMesh, nats_server: TestServer
) -> None:
    await own_mesh.join(worker(echo))
    await own_mesh.join(planner(plan))
    await nats_server.kill()
    submitting = asyncio.create_task(own_mesh.motet.submit("go"))
    await asyncio.sleep(0)
    await nats_server.start()

    async with asyncio.timeout(20):
        task = await submitting
    assert (await task.result(20)).state == "succeeded"
    assert [each.id for each in await own_mesh.motet.tasks()] == [task.id]


async def test_a_paused_server_is_a_clear_fault_in_bounded_time(
    own_mesh: TestMesh, nats_server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "GIVE_UP_S", 0.4)
    monkeypatch.setattr(connection, "ATTEMPT_TIMEOUT_S", 0.1)
    await own_mesh.join(worker(echo))
    task = await own_mesh.motet.submit("before")
    loop = asyncio.get_running_loop()

    nats_server.pause()
    begun = loop.time()
    try:
        outcomes = await asyncio.gather(
            own_mesh.motet.submit("during"),
            own_mesh.motet.agents(),
            own_mesh.motet.tasks(),
            own_mesh.motet.dead(),
            own_mesh.motet.replay(1),
            own_mesh.motet.call("worker.work", {}, timeout_s=5),
            own_mesh.motet.blobs.put("name", b"bytes"),
            task.record(),
            task.cancel(),
            task.result(5),
            anext(task.events()),
            return_exceptions=True,
        )
    finally:
        nats_server.resume()

    assert loop.time() - begun < 15
    for outcome in outcomes:
        assert isinstance(outcome, FaultError)
        assert outcome.fault.type == FaultType.UNAVAILABLE
        assert outcome.fault.retryable
        assert outcome.fault.message

    monkeypatch.undo()
    async with asyncio.timeout(20):
        assert (await own_mesh.motet.call("worker.work", {"text": "after"}, Done)).text == "after"


async def test_a_server_that_was_paused_while_a_call_ran(
    own_mesh: TestMesh, nats_server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    app = await own_mesh.join(with_fault(worker(echo), "work", gate))
    call = asyncio.create_task(own_mesh.motet.call("worker.work", {"text": "x"}, Done))
    await gate.wait()
    replies, asked = runner(app).bus.replies, asyncio.Event()
    request = replies.request

    async def noting(subject: str, *args: Any) -> Msg:
        asked.set()
        return await request(subject, *args)

    monkeypatch.setattr(replies, "request", noting)
    nats_server.pause()
    gate.open()
    # Its outcome is on its way to a server that does not answer.
    async with asyncio.timeout(20):
        await asked.wait()
    nats_server.resume()

    async with asyncio.timeout(20):
        assert await call == Done(text="x")
    assert gate.entered == 1


async def test_a_server_that_is_not_there_is_told_in_a_sentence(
    nats_server: TestServer, tmp_path: Path
) -> None:
    await nats_server.kill()
    settings = Settings(nats_url=nats_server.url, data_dir=tmp_path)
    with pytest.raises(SetupError, match=r"No NATS server answers at .*`motet up`"):
        async with asyncio.timeout(20), Bus.open(settings, setup("test", settings)):
            pass
    await nats_server.start()


async def test_a_slow_line_only_slows(mesh: TestMesh, nats_url: str) -> None:
    async with Line.to(nats_url) as line:
        line.delay_s = 0.02
        far = mesh.settings.model_copy(update={"nats_url": line.url})
        app = await mesh.join(worker(echo), settings=far)

        done = await asyncio.gather(
            *(mesh.motet.call("worker.work", {"text": str(n)}, Done) for n in range(20))
        )
        assert [each.text for each in done] == [str(number) for number in range(20)]
        await mesh.leave(app)


@pytest.mark.mesh(ack_wait_s=1)
async def test_a_line_that_is_cut_again_and_again(mesh: TestMesh, nats_url: str) -> None:
    async with Line.to(nats_url) as line:
        far = mesh.settings.model_copy(update={"nats_url": line.url})
        app = await mesh.join(worker(echo), settings=far)
        for number in range(5):
            calling = asyncio.create_task(
                mesh.motet.call("worker.work", {"text": str(number)}, Done)
            )
            await asyncio.sleep(0)
            await line.cut()
            await line.mend()
            async with asyncio.timeout(20):
                assert (await calling).text == str(number)
        await mesh.leave(app)


async def test_a_call_whose_acknowledgement_is_lost_with_the_server_runs_once(
    own_mesh: TestMesh, nats_server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A work queue forgets the ids of what has left it when its server dies."""
    runs = Flaky()
    await own_mesh.join(with_fault(worker(echo), "work", runs))
    request, lost = own_mesh.bus.replies.request, list[str]()

    async def losing(subject: str, *args: Any) -> Msg:
        answer = await request(subject, *args)
        if ".call." in subject and not lost:
            lost.append(subject)
            await own_mesh.drained("CALLS")
            await nats_server.restart()
            raise TimeoutError
        return answer

    monkeypatch.setattr(own_mesh.bus.replies, "request", losing)
    async with asyncio.timeout(20):
        assert await own_mesh.motet.call("worker.work", {"text": "x"}, Done) == Done(text="x")
    await own_mesh.drained("CALLS")

    assert len(lost) == 1
    assert runs.runs == 1


async def test_a_flush_at_a_server_that_takes_nothing_more_ends(
    mesh: TestMesh, nats_url: str
) -> None:
    async with Line.to(nats_url) as line:
        settings = mesh.settings.model_copy(update={"nats_url": line.url})
        async with Bus.open(settings, setup("slow", settings)) as bus:
            line.hold()
            subject = f"{settings.namespace}.held"
            for _ in range(8):
                publishing = asyncio.create_task(bus.client.publish(subject, b"x" * (4 << 20)))
                await asyncio.wait((publishing,), timeout=0.05)
            async with asyncio.timeout(5):
                with pytest.raises(FlushTimeoutError):
                    await bus.client.flush(timeout=1)
            line.release()


async def test_who_is_cancelled_as_an_answer_comes_does_not_go_on(mesh: TestMesh) -> None:
    client = mesh.bus.client
    questions: asyncio.Queue[Msg] = asyncio.Queue()
    subject = client.new_inbox()
    await client.subscribe(subject, cb=questions.put)
    asking = asyncio.create_task(client.request(subject, b"?", timeout=20))
    question = await questions.get()
    (answer,) = client._resp_map.values()
    answer.set_result(question)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_who_is_cancelled_as_a_task_is_heard_of_does_not_go_on(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: asyncio.Queue[Any] = asyncio.Queue()

    class Heard(asyncio.Event):
        async def wait(self) -> Literal[True]:
            waits.put_nowait(self)
            return await super().wait()

    task = await mesh.motet.submit("go")
    monkeypatch.setattr("motet.client.asyncio.Event", Heard)
    waiting = asyncio.create_task(task.result(20))
    heard = await waits.get()
    monkeypatch.undo()
    heard.set()
    await asyncio.sleep(0)  # what waits for the event is done, and who waits for that not yet
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=5)
    assert waiting.cancelled()
