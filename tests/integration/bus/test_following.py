"""Following a task from any point: each event once and in order, whatever happens in between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from motet.bus import Bus, Events, Header, news
from motet.bus.news import News
from motet.bus.pages import PAGE_MESSAGES
from motet.messages import Event, Progress, StateChanged, TaskState
from motet.telemetry import setup
from motet.testing import Line, TestMesh, TestServer, test_mesh
from tests.integration.bus.agents import publish

PATIENCE_S = 60


@pytest.fixture
async def own_mesh(nats_server: TestServer, tmp_path: Path) -> AsyncIterator[TestMesh]:
    """A mesh on a server of its own, which can be killed."""
    async with test_mesh(nats_server.url, tmp_path) as made:
        yield made


def line(task: str, number: int) -> Progress:
    return Progress(task=task, call="c", skill="a.b", message="line", data={"number": number})


async def write(mesh: TestMesh, task: str, count: int, first: int = 0) -> None:
    """Events of a task, among those of another, and things that are none."""
    for number in range(first, first + count):
        if number % 5 == 0:
            await publish(mesh, f"event.{task}.progress", b"not json")
        if number % 3 == 0:
            await publish(mesh, "event.another.progress", b"{}")
        body = line(task, number).model_dump_json().encode()
        await publish(mesh, f"event.{task}.progress", body)


async def end(mesh: TestMesh, task: str) -> None:
    await Events(mesh.bus).publish(StateChanged(task=task, state=TaskState.SUCCEEDED))


async def resuming(
    bus: Bus, task: str, cuts: random.Random | None = None
) -> AsyncGenerator[tuple[int, Event]]:
    """Follows a task to its end, and stops and begins again after each few events."""
    after = 0
    while True:
        left = cuts.randint(1, 12) if cuts else 10**9
        async with aclosing(Events(bus).follow(task, after)) as following:
            async for after, event in following:
                yield after, event
                if isinstance(event, StateChanged):
                    return
                left -= 1
                if not left:
                    break


async def numbers(following: AsyncGenerator[tuple[int, Event]]) -> list[int]:
    """The numbers of the lines, in the order in which they came."""
    seen = list[int]()
    last = 0
    async with asyncio.timeout(PATIENCE_S), aclosing(following):
        async for sequence, event in following:
            assert sequence > last
            last = sequence
            if isinstance(event, Progress):
                seen.append(event.data["number"])
    return seen


async def test_going_on_from_every_point_gives_exactly_the_rest(mesh: TestMesh) -> None:
    count = 40
    await write(mesh, "t", count)
    await end(mesh, "t")
    handle = mesh.motet.task("t")
    everything = [pair async for pair in handle.events()]
    last, _ = everything[-1]

    for after in range(last):
        rest = [pair async for pair in handle.events(after)]
        assert rest == [pair for pair in everything if pair[0] > after]
    assert len(everything) == count + 1


@pytest.mark.parametrize("seed", range(5))
async def test_a_client_that_reconnects_again_and_again_sees_each_event_once(
    mesh: TestMesh, seed: int
) -> None:
    count = 200
    following = asyncio.create_task(numbers(resuming(mesh.bus, "t", random.Random(seed))))
    await write(mesh, "t", count)
    await end(mesh, "t")

    assert await following == list(range(count))


async def test_also_while_the_server_is_killed_and_comes_back(
    own_mesh: TestMesh, nats_server: TestServer
) -> None:
    count, rounds = 60, 3
    cuts = random.Random(7)
    followers = [
        asyncio.create_task(numbers(resuming(own_mesh.bus, "t", cuts if number % 2 else None)))
        for number in range(6)
    ]
    for part in range(rounds):
        writing = asyncio.create_task(write(own_mesh, "t", count, first=part * count))
        await nats_server.restart()
        await writing
    await end(own_mesh, "t")

    # A store that is repeated after its acknowledgement was lost has no id here, so that it may
    # be in the stream twice; what is followed is what the stream has.
    stored = await numbers(resuming(own_mesh.bus, "t"))
    assert sorted(set(stored)) == list(range(rounds * count))
    for follower in followers:
        assert await follower == stored


async def test_a_line_that_is_cut_again_and_again(mesh: TestMesh, nats_url: str) -> None:
    count = 300
    async with Line.to(nats_url) as far:
        settings = mesh.settings.model_copy(update={"nats_url": far.url})
        async with Bus.open(settings, setup("far", settings)) as bus:
            following = asyncio.create_task(numbers(resuming(bus, "t")))
            for part in range(0, count, 50):
                writing = asyncio.create_task(write(mesh, "t", 50, first=part))
                await far.cut()
                await far.mend()
                await writing
            await end(mesh, "t")

            assert await following == list(range(count))


async def test_what_was_told_and_not_heard_is_found(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A core message can be lost: the stream is looked into without one, too."""

    async def deaf(self: News, message: object) -> None:
        return

    monkeypatch.setattr(News, "_hear", deaf)
    monkeypatch.setattr(news, "LOOK_S", 0.05)
    following = asyncio.create_task(numbers(resuming(mesh.bus, "t")))
    await write(mesh, "t", 20)
    await end(mesh, "t")

    assert await following == list(range(20))


async def test_what_is_heard_and_not_kept_is_nothing(mesh: TestMesh) -> None:
    """The second of two equal messages is heard, but the stream has it once."""
    following = asyncio.create_task(numbers(resuming(mesh.bus, "t")))
    for number in range(10):
        for _ in range(3):
            body = line("t", number).model_dump_json().encode()
            await publish(mesh, "event.t.progress", body, {Header.MESSAGE_ID: f"line {number}"})
    await end(mesh, "t")

    assert await following == list(range(10))


async def test_what_has_left_the_stream_is_passed_over(mesh: TestMesh) -> None:
    stream = mesh.bus.topology.stream("EVENTS")
    await write(mesh, "t", 30)
    seen, after = list[int](), 0
    async with asyncio.timeout(PATIENCE_S):
        async with aclosing(Events(mesh.bus).follow("t")) as following:
            async for after, event in following:  # noqa: B007 - used below
                assert isinstance(event, Progress)
                seen.append(event.data["number"])
                if len(seen) == 10:
                    break
        gone = seen[-1] + 5
        await _purge_before(mesh, stream, gone)
        await write(mesh, "t", 10, first=30)
        await end(mesh, "t")
        rest = await numbers(_from(mesh, after))

    assert rest == [*range(gone, 40)]


async def _purge_before(mesh: TestMesh, stream: str, number: int) -> None:
    async for sequence, event in Events(mesh.bus).follow("t"):
        if isinstance(event, Progress) and event.data["number"] == number:
            await mesh.bus.js.purge_stream(stream, seq=sequence)
            return


async def _from(mesh: TestMesh, after: int) -> AsyncGenerator[tuple[int, Event]]:
    async for pair in mesh.motet.task("t").events(after):
        yield pair


async def test_more_than_a_page_comes_whole(mesh: TestMesh) -> None:
    events = Events(mesh.bus)
    count = 2 * PAGE_MESSAGES + 1
    for number in range(count):
        await events.publish(line("t", number))
    await end(mesh, "t")

    assert await numbers(resuming(mesh.bus, "t")) == list(range(count))


async def test_two_thousand_follow_at_once(mesh: TestMesh) -> None:
    """A stream takes a thousand consumers: none of them has one."""
    tasks, each, count = 20, 100, 5
    followers = [
        asyncio.create_task(numbers(resuming(mesh.bus, f"t{number % tasks}")))
        for number in range(tasks * each)
    ]
    for number in range(tasks):
        await write(mesh, f"t{number}", count)
        await end(mesh, f"t{number}")

    assert await asyncio.gather(*followers) == [list(range(count))] * len(followers)
    info = await mesh.bus.js.stream_info(mesh.bus.topology.stream("EVENTS"))
    assert info.state.consumer_count == 0
