"""Submissions that nobody can make sense of: a failed task, a dead letter, and on with the next."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from motet.agent import Call
from motet.errors import FaultError
from motet.messages import Answer, CallResult, FaultType, StateChanged, Task
from motet.testing import TestMesh
from tests.integration.bus.agents import planner, publish
from tests.integration.bus.bare import BareClient


async def answer(task: Task, call: Call) -> Answer:
    return Answer(text=task.goal)


@pytest.fixture
async def planned(mesh: TestMesh) -> AsyncIterator[TestMesh]:
    """A mesh with a planner that must go on to work whatever it is sent."""
    await mesh.join(planner(answer))
    yield mesh
    record = await (await mesh.motet.submit("still here")).result(10)
    assert record.state == "succeeded"
    await mesh.drained("TASKS")


DEEP = b'{"goal": "x", "labels": ' + b'{"a": ' * 300 + b"1" + b"}" * 300 + b"}"


def _with_inputs(count: int, size: int) -> bytes:
    """A task with so many files, none of which is there: it is refused before any is fetched."""
    file = {"name": "files/none", "size": size, "sha256": "0" * 64}
    return json.dumps({"goal": "x", "inputs": [file] * count}).encode()


LARGE = _with_inputs(64, 64 << 20)
MANY = _with_inputs(65, 1)


@pytest.mark.parametrize(
    "body, fault, says",
    [
        (b"not json", FaultType.INVALID_INPUT, "Invalid JSON"),
        (b"\x00\xff", FaultType.INVALID_INPUT, "Invalid JSON"),
        (b"", FaultType.INVALID_INPUT, "goal: Field required"),
        (b'"a goal"', FaultType.INVALID_INPUT, "Input should be an object"),
        (b"[]", FaultType.INVALID_INPUT, "Input should be an object"),
        (b'{"goal": 3}', FaultType.INVALID_INPUT, "goal: Input should be a valid string"),
        (b'{"goal": ""}', FaultType.INVALID_INPUT, "goal: String should have at least 1"),
        (b'{"goal": " \\n\\t "}', FaultType.INVALID_INPUT, "goal: String should have at least 1"),
        (b'{"goal": "\\ud800"}', FaultType.INVALID_INPUT, "Invalid JSON"),
        (b'{"goal": "x", "deadline_s": -1}', FaultType.INVALID_INPUT, "deadline_s: "),
        (b'{"goal": "x", "deadline_s": 1e400}', FaultType.INVALID_INPUT, "deadline_s: "),
        (b'{"goal": "x", "budget": {"depth": 1000}}', FaultType.INVALID_INPUT, "budget.depth: "),
        (b'{"goal": "x", "strategy": "magic"}', FaultType.INVALID_INPUT, "strategy: "),
        (b'{"goal": "x", "session": "a b"}', FaultType.INVALID_INPUT, "session: "),
        (b'{"goal": "x", "language": "German"}', FaultType.INVALID_INPUT, "language: "),
        (b'{"goal": "x", "length": "epic"}', FaultType.INVALID_INPUT, "length: "),
        (b'{"goal": "x", "answer_schema": []}', FaultType.INVALID_INPUT, "answer_schema: "),
        (
            b'{"goal": "x", "answer_schema": {"type": "object", "$ref": "https://x.test"}}',
            FaultType.INVALID_INPUT,
            "it refers to 'https://x.test', which is outside of it",
        ),
        (LARGE, FaultType.TOO_LARGE, "the limit is 268,435,456 (MOTET_TASK_INPUT_BYTES)"),
        (MANY, FaultType.INVALID_INPUT, "inputs: Tuple should have at most 64 items"),
        (b'{"goal": "x", "id": "a.b"}', FaultType.INVALID_INPUT, "id: "),
        (b'{"goal": "x", "id": ">"}', FaultType.INVALID_INPUT, "id: "),
        (b'{"goal": "x", "v": 2}', FaultType.UNSUPPORTED_VERSION, "send `v: 1`"),
        (b'{"goal": "x", "v": [1]}', FaultType.UNSUPPORTED_VERSION, "send `v: 1`"),
        (DEEP, FaultType.INVALID_INPUT, "recursion limit"),
        (b'{"goal": "' + b"x" * 5_000_000 + b'"}', FaultType.TOO_LARGE, "5000012 bytes"),
        (b'{"goal": "' + b"x" * 20_001 + b'"}', FaultType.INVALID_INPUT, "at most 20000"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_bad_submission(planned: TestMesh, body: bytes, fault: str, says: str) -> None:
    reply, future = await planned.bus.replies.expect()
    await publish(planned, "task.submit", body, {"motet-reply": reply})

    record = await planned.motet.task("task-1").result(10)

    assert record.state == "failed"
    assert record.task is None
    assert record.fault is not None
    assert record.fault.type == fault
    assert says in record.fault.message
    await planned.drained("TASKS")
    (stored,) = await planned.motet.dead()
    assert (stored.letter.fault, stored.letter.task) == (record.fault, "task-1")
    outcome = await planned.outcome("task-1", "task")
    assert outcome.fault == record.fault
    async with asyncio.timeout(5):
        assert CallResult.model_validate_json((await future).data) == outcome
    task = planned.motet.task("task-1")
    states = [event.state async for _, event in task.events() if isinstance(event, StateChanged)]
    assert states == ["failed"]


async def test_it_fails_under_its_own_id_where_that_can_be_read(planned: TestMesh) -> None:
    await publish(planned, "task.submit", b'{"id": "mine", "goal": ""}')

    record = await planned.motet.task("mine").result(10)
    assert (record.state, record.sequence) == ("failed", 1)


async def test_it_does_not_touch_the_task_whose_id_it_bears(planned: TestMesh) -> None:
    task = await planned.motet.submit(Task(id="mine", goal="good"))
    before = await task.result(10)

    await publish(planned, "task.submit", b'{"id": "mine", "goal": ""}')
    await planned.drained("TASKS")

    assert await task.record() == before
    (stored,) = await planned.motet.dead()
    assert stored.letter.task == "mine"


async def test_a_task_from_the_future_is_understood_as_far_as_it_goes(planned: TestMesh) -> None:
    body = {"goal": "go", "id": "t", "mood": {"of": ["the", "future"]}, "budget": {"joules": 3}}
    await publish(planned, "task.submit", json.dumps(body).encode())

    assert (await planned.motet.task("t").result(10)).state == "succeeded"


async def test_two_hundred_levels_where_nobody_looks(planned: TestMesh) -> None:
    """Unknown fields are tolerated, however deep; only reading must not fail."""
    body = b'{"id": "t", "goal": "go", "extra": ' + b"[" * 190 + b"]" * 190 + b"}"
    await publish(planned, "task.submit", body)

    assert (await planned.motet.task("t").result(10)).state == "succeeded"


async def test_bad_ones_do_not_delay_good_ones(planned: TestMesh) -> None:
    await asyncio.gather(*(publish(planned, "task.submit", b"not json") for _ in range(50)))
    good = [await planned.motet.submit(f"goal {number}") for number in range(20)]

    records = [await task.result(10) for task in good]

    assert [record.answer.text for record in records if record.answer] == [
        f"goal {number}" for number in range(20)
    ]
    await planned.drained("TASKS")
    assert len(await planned.motet.dead()) == 50


async def test_submitting_twice_is_submitting_once(planned: TestMesh) -> None:
    for _ in range(3):
        # Without the client's message id, as long after the stream's dedupe window.
        await publish(planned, "task.submit", b'{"id": "mine", "goal": "go"}')
    record = await planned.motet.task("mine").result(10)
    await planned.drained("TASKS")

    assert record.attempts == 1
    assert [each.id for each in await planned.motet.tasks()] == ["mine"]


async def test_a_client_is_told_before_anything_is_sent(planned: TestMesh) -> None:
    with pytest.raises(FaultError) as raised:
        await planned.motet.submit(Task(goal="x", labels={"a": "y" * 9_000_000}))
    assert raised.value.fault.type == FaultType.TOO_LARGE
    with pytest.raises(ValueError, match="at least 1 character"):
        await planned.motet.submit("")


@pytest.mark.parametrize("block", [b"NATS/1.0", b"NATS/1.0 \xff\xff\xff\r\n\r\n"], ids=str)
async def test_a_header_block_that_cannot_be_decoded(planned: TestMesh, block: bytes) -> None:
    async with BareClient.at(planned.settings.nats_url) as client:
        subject = f"{planned.settings.namespace}.task.submit"
        await client.publish_with_headers(subject, block, b'{"goal": "go"}')

    assert (await planned.motet.task("task-1").result(10)).state == "succeeded"


@pytest.mark.parametrize(
    "body", [b"not json", b"{}", b'{"task": "a.b"}', b'{"task": "t", "v": 9}'], ids=str
)
async def test_a_bad_cancellation_is_a_dead_letter(planned: TestMesh, body: bytes) -> None:
    await publish(planned, "task.cancel", body)
    await planned.drained("TASKS")

    (stored,) = await planned.motet.dead()
    assert stored.letter.fault.type in (FaultType.INVALID_INPUT, FaultType.UNSUPPORTED_VERSION)
