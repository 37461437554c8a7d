"""What a handler streams, as who follows its task sees it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from motet.agent import Call
from motet.bus import Events
from motet.messages import Answer, CallFinished, CallRetried, Event, Streamed, Task
from motet.testing import TestMesh
from tests.integration.bus.agents import Done, Order, planner, worker

TOKENS = 5000


async def plan(task: Task, call: Call) -> Answer:
    return Answer(text=(await call.delegate("worker.work", {}, Done, step="one")).text)


async def tokens(request: Order, call: Call) -> Done:
    for number in range(TOKENS):
        await call.stream(f"{number} ")
    return Done(text="done")


def text_of(events: list[Event], attempt: int = 1) -> str:
    pieces = [each for each in events if isinstance(each, Streamed) and each.attempt == attempt]
    text = "".join(piece.text for piece in pieces)
    for piece in pieces:
        assert text[piece.offset :].startswith(piece.text)
    return text


async def test_a_text_comes_whole_in_few_pieces_and_before_the_outcome(mesh: TestMesh) -> None:
    loop = asyncio.get_running_loop()
    await mesh.join(worker(tokens))
    await mesh.join(planner(plan))
    begun = loop.time()
    task = await mesh.motet.submit("go")
    async with asyncio.timeout(30):
        events = [event async for _, event in task.events()]
    took_s = loop.time() - begun

    text = "".join(f"{number} " for number in range(TOKENS))
    assert text_of(events) == text
    pieces = [index for index, event in enumerate(events) if isinstance(event, Streamed)]
    assert len(pieces) <= 10 * took_s + len(text) / 4096 + 2
    (finished,) = [index for index, event in enumerate(events) if isinstance(event, CallFinished)]
    assert pieces[-1] < finished


async def test_the_pieces_of_an_attempt_that_failed_can_be_told_apart(mesh: TestMesh) -> None:
    async def failing(request: Order, call: Call) -> Done:
        await call.stream(f"attempt {call.attempt}")
        await call.stream(" goes on")
        if call.attempt == 1:
            raise RuntimeError("no")
        return Done(text="done")

    await mesh.join(worker(failing))
    await mesh.join(planner(plan))
    task = await mesh.motet.submit("go")
    async with asyncio.timeout(30):
        events = [event async for _, event in task.events()]

    assert text_of(events, 1) == "attempt 1 goes on"
    assert text_of(events, 2) == "attempt 2 goes on"
    (retried,) = [index for index, event in enumerate(events) if isinstance(event, CallRetried)]
    first = [i for i, each in enumerate(events) if isinstance(each, Streamed) and each.attempt == 1]
    assert first[-1] < retried


async def test_what_was_streamed_before_a_cancellation_is_kept(mesh: TestMesh) -> None:
    begun = asyncio.Event()

    async def endless(request: Order, call: Call) -> Done:
        await call.stream("so far")
        await call.stream(" and no further")
        begun.set()
        await asyncio.Event().wait()
        return Done(text="never")

    await mesh.join(worker(endless))
    await mesh.join(planner(plan))
    task = await mesh.motet.submit("go")
    await begun.wait()
    await task.cancel()

    text = ""
    async with asyncio.timeout(10), aclosing(Events(mesh.bus).follow(task.id)) as following:
        async for _, event in following:
            if isinstance(event, Streamed):
                text += event.text
                if text == "so far and no further":
                    break
    assert (await task.result(10)).state == "cancelled"


async def test_a_call_outside_of_a_task_streams_to_nobody(mesh: TestMesh) -> None:
    await mesh.join(worker(tokens))

    assert await mesh.motet.call("worker.work", {}, Done) == Done(text="done")
    info = await mesh.bus.js.stream_info(mesh.bus.topology.stream("EVENTS"))
    assert info.state.messages == 0
