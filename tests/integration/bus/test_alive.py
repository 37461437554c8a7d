"""Handlers that take long, lose their connection, are stopped or die."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from motet.testing import Flaky, Gate, Line, TestMesh, TestServer, test_mesh, with_fault
from tests.integration.bus.agents import Done, echo, worker

WORKER = Path(__file__).with_name("patient_worker.py")

fast = pytest.mark.mesh(ack_wait_s=0.5)


def calling(mesh: TestMesh, **body: Any) -> asyncio.Task[Done]:
    return asyncio.create_task(mesh.motet.call("worker.work", body, Done))


@fast
async def test_a_slow_handler_stays_alive_and_delays_nobody(mesh: TestMesh) -> None:
    loop = asyncio.get_running_loop()
    gate = Gate()
    slow = worker(echo, "slow", concurrency=2)
    await mesh.join(with_fault(slow, "work", gate))
    await mesh.join(worker(echo, concurrency=2))
    held = asyncio.create_task(mesh.motet.call("slow.work", {"text": "slow"}, Done))
    await gate.wait()

    until, slowest = loop.time() + 3.5 * mesh.settings.ack_wait_s, 0.0
    while (begun := loop.time()) < until:
        await mesh.motet.call("worker.work", {})
        slowest = max(slowest, loop.time() - begun)

    gate.open()
    assert await held == Done(text="slow", attempt=1)
    assert gate.entered == 1
    assert slowest < mesh.settings.ack_wait_s


@fast
async def test_slow_calls_do_not_hold_up_their_neighbours_on_the_same_skill(
    mesh: TestMesh,
) -> None:
    gate, passed = Gate(), 0

    def slow_if_asked(function: Any) -> Any:
        held = gate(function)

        async def choose(request: Any, call: Any) -> Any:
            return await (held if request.number else function)(request, call)

        return choose

    await mesh.join(with_fault(worker(echo, concurrency=4), "work", slow_if_asked))
    held = [calling(mesh, number=1) for _ in range(3)]
    await gate.wait(entered=3)

    for _ in range(50):
        await mesh.motet.call("worker.work", {})
        passed += 1

    assert (passed, gate.entered) == (50, 3)
    gate.open()
    assert len(await asyncio.gather(*held)) == 3


@fast
async def test_a_killed_process_loses_nothing(mesh: TestMesh) -> None:
    process = await mesh.spawn("worker", WORKER)
    call = calling(mesh, text="x")
    claim = await mesh.claimed()
    assert claim.attempt == 1

    process.signal(signal.SIGKILL)
    await process.wait()
    await mesh.join(worker(echo))

    async with asyncio.timeout(10):
        assert await call == Done(text="x", attempt=2)


@fast
async def test_a_frozen_process_loses_its_call_and_cannot_double_it(mesh: TestMesh) -> None:
    process = await mesh.spawn("worker", WORKER, env={"WORK_S": "1"})
    call = calling(mesh, text="x")
    claim = await mesh.claimed()

    process.signal(signal.SIGSTOP)
    runs = Flaky()
    await mesh.join(with_fault(worker(echo), "work", runs))
    async with asyncio.timeout(10):
        done = await call
    # What the frozen process had asked for may have been given to it, too.
    assert done.attempt in (2, 3)
    process.signal(signal.SIGCONT)

    # What it makes of the call in the end changes nothing: the outcome stands.
    process.signal(signal.SIGTERM)
    assert await process.wait() == 0
    outcome = await mesh.outcome(claim.task, claim.call)
    assert outcome.attempts == done.attempt
    assert runs.runs == 1
    assert await mesh.waiting("CALLS") == 0


async def test_sigterm_ends_a_process_and_its_card(mesh: TestMesh) -> None:
    process = await mesh.spawn("worker", WORKER)
    assert [card.name for card in await mesh.motet.agents()] == ["worker"]

    process.signal(signal.SIGTERM)

    assert await process.wait() == 0
    assert await mesh.motet.agents() == []


@pytest.mark.parametrize("away", ["killed", "paused"])
async def test_a_process_ends_in_order_while_the_server_is_away(
    nats_server: TestServer, tmp_path: Path, away: str
) -> None:
    async with test_mesh(nats_server.url, tmp_path) as mesh:
        process = await mesh.spawn("worker", WORKER)
        if away == "killed":
            await nats_server.kill()
        else:
            nats_server.pause()

        process.signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0

        nats_server.resume()
        if away == "killed":
            await nats_server.start()
        said = (tmp_path / "worker.log").read_text()
        assert "Traceback" not in said.replace("nats.errors", "")


async def test_who_stops_finishes_what_runs(mesh: TestMesh) -> None:
    gate = Gate()
    app = await mesh.join(with_fault(worker(echo), "work", gate))
    call = calling(mesh, text="x")
    await gate.wait()

    leaving = asyncio.create_task(mesh.leave(app))
    assert not call.done()
    gate.open()

    assert await call == Done(text="x", attempt=1)
    await leaving


async def test_who_stops_hands_back_what_does_not_finish(mesh: TestMesh) -> None:
    """At once: nobody waits for the ack wait, which is 30 s here."""
    gate = Gate()
    app = await mesh.join(with_fault(worker(echo, concurrency=2), "work", gate))
    calls = [calling(mesh, text=str(number)) for number in range(5)]
    await gate.wait(entered=2)

    await mesh.leave(app, grace_s=0)
    assert gate.cancelled == 2
    await mesh.join(worker(echo))

    async with asyncio.timeout(10):
        done = await asyncio.gather(*calls)
    assert [each.text for each in done] == ["0", "1", "2", "3", "4"]
    assert sorted(each.attempt for each in done) == [1, 1, 1, 2, 2]


@fast
async def test_a_worker_without_connection_lets_go_of_what_others_have_by_then(
    mesh: TestMesh, nats_url: str
) -> None:
    gate = Gate()
    async with Line.to(nats_url) as line:
        far = mesh.settings.model_copy(update={"nats_url": line.url})
        app = await mesh.join(with_fault(worker(echo), "work", gate), settings=far)
        call = calling(mesh, text="x")
        await gate.wait()
        await line.cut()
        await mesh.join(worker(echo))

        async with asyncio.timeout(10):
            assert await call == Done(text="x", attempt=2)
            await gate.wait_cancelled()
        await line.mend()
        await mesh.leave(app)
    assert (gate.entered, gate.cancelled) == (1, 1)


@fast
async def test_a_handler_that_cancels_itself_is_tried_again_and_not_for_ever(
    mesh: TestMesh,
) -> None:
    flaky = Flaky(*[asyncio.CancelledError()] * 9)
    await mesh.join(with_fault(worker(echo, max_attempts=2), "work", flaky))

    with pytest.raises(Exception, match=r"worker.work died, or lost its message, in each of 2"):
        await mesh.motet.call("worker.work", {})
    assert flaky.runs == 2
