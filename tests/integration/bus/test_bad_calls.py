"""Calls that no agent can make sense of: a fault, a dead letter, and on with the next."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import Field

from motet.agent import Agent, Call
from motet.errors import FaultError
from motet.messages import BlobRef, CallResult, FaultType, Message
from motet.testing import TestMesh
from tests.integration.bus.agents import publish
from tests.integration.bus.bare import BareClient

SUBJECT = "call.counter.count"


class Numbers(Message):
    """A request with something to violate."""

    numbers: list[int] = Field(min_length=1)
    note: Any = None


@pytest.fixture
async def counter(mesh: TestMesh) -> AsyncIterator[TestMesh]:
    """A mesh with an agent that must go on to work whatever it is sent."""
    agent = Agent("counter", "Counts.")

    @agent.skill("count", "Sums numbers up.")
    async def count(request: Numbers, call: Call) -> int:
        return sum(request.numbers)

    await mesh.join(agent)
    yield mesh
    async with asyncio.timeout(10):
        assert await mesh.motet.call("counter.count", {"numbers": [1, 2]}, int) == 3
    await mesh.drained("CALLS")


async def ask(mesh: TestMesh, body: bytes, headers: dict[str, str] | None = None) -> CallResult:
    """Publishes a call as it is and waits for the reply."""
    reply, future = await mesh.bus.replies.expect()
    subject = f"{mesh.settings.namespace}.{SUBJECT}"
    await mesh.bus.store(subject, body, {"motet-reply": reply, **(headers or {})})
    async with asyncio.timeout(10):
        return CallResult.model_validate_json((await future).data)


NESTED = b'{"numbers": [1], "note": ' + b"[" * 300 + b"]" * 300 + b"}"


@pytest.mark.parametrize(
    "body, fault, says",
    [
        (b"not json", FaultType.INVALID_INPUT, "Invalid JSON"),
        (b"\xff\xfe\x00", FaultType.INVALID_INPUT, "Invalid JSON"),
        (b'{"numbers": [1]', FaultType.INVALID_INPUT, "Invalid JSON: EOF"),
        (b"[]", FaultType.INVALID_INPUT, "Input should be an object"),
        (b"null", FaultType.INVALID_INPUT, "Input should be an object"),
        (b"", FaultType.INVALID_INPUT, "numbers: Field required"),
        (b'{"numbers": "1"}', FaultType.INVALID_INPUT, "numbers: Input should be a valid array"),
        (b'{"numbers": [1, "x"]}', FaultType.INVALID_INPUT, "numbers.1: "),
        (b'{"numbers": []}', FaultType.INVALID_INPUT, "numbers: List should have at least 1"),
        (b'{"numbers": [1e999]}', FaultType.INVALID_INPUT, "numbers.0: "),
        (b'{"numbers": [1], "v": 2}', FaultType.UNSUPPORTED_VERSION, "send `v: 1`"),
        (b'{"numbers": [1], "v": "one"}', FaultType.UNSUPPORTED_VERSION, "send `v: 1`"),
        (NESTED, FaultType.INVALID_INPUT, "recursion limit"),
        (b'{"numbers": [' + b"1," * 2_500_000 + b"1]}", FaultType.TOO_LARGE, "5000016 bytes"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_bad_body(counter: TestMesh, body: bytes, fault: str, says: str) -> None:
    result = await ask(counter, body)

    assert result.fault is not None
    assert (result.fault.type, result.attempts) == (fault, 1)
    assert says in result.fault.message
    assert (result.fault.agent, result.fault.skill) == ("counter", "count")
    (stored,) = await counter.motet.dead()
    assert stored.letter.fault == result.fault
    assert stored.letter.task == result.task == f"call-{stored.letter.sequence}"
    kept = base64.b64decode(stored.letter.body)
    if stored.letter.body_blob is not None:
        kept = await counter.motet.blobs.get(stored.letter.body_blob)
    assert kept == body


async def test_a_schema_from_the_future_is_understood_as_far_as_it_goes(counter: TestMesh) -> None:
    body = {"numbers": [1, 2], "v": 1, "unit": {"of": "the future"}, "weights": [[[]]]}

    result = await ask(counter, json.dumps(body).encode())

    assert (result.ok, result.output) == (True, 3)


@pytest.mark.parametrize(
    "headers",
    [
        {"motet-task": "no spaces allowed"},
        {"motet-task": "a.b"},
        {"motet-task": "*"},
        {"motet-call": ">"},
        {"motet-call": "x" * 65},
        {"motet-depth": "deep"},
        {"motet-depth": "-5"},
        {"motet-depth": "9" * 5000},
        {"motet-deadline": "tomorrow"},
        {"motet-deadline": "nan"},
        {"motet-deadline": "inf"},
        {"motet-deadline": "1e300"},
        {"motet-deadline": "-1"},
        {"motet-budget": "much"},
        {"motet-budget": '{"tokens": -1}'},
        {"motet-budget": '{"depth": 1e99}'},
        {"motet-budget": '{"tokens": 1' + " " * 50_000 + "}"},
        {"motet-blob": "{}"},
        {"motet-blob": "[" * 5000},
        {"ce-source": "motet/me", "ce-time": "yesterday"},
        {"ce-source": "motet/me", "ce-time": "0001-01-01T00:00:00"},
        {"ce-source": "motet/me"},
    ],
    ids=lambda headers: " ".join(f"{k}={v}" for k, v in headers.items())[:40],
)
async def test_a_wrong_header(counter: TestMesh, headers: dict[str, str]) -> None:
    result = await ask(counter, b'{"numbers": [1]}', headers)

    assert result.fault is not None
    assert (result.fault.type, result.attempts) == (FaultType.INVALID_INPUT, 1)
    (stored,) = await counter.motet.dead()
    assert stored.letter.fault == result.fault
    assert (await counter.outcome(result.task, result.call)) == result


async def test_a_body_that_does_not_fit_into_memory(counter: TestMesh) -> None:
    huge = BlobRef(name="any", size=1 << 40, sha256="0" * 64)

    result = await ask(counter, b"", {"motet-blob": huge.model_dump_json()})

    assert result.fault is not None
    assert (result.fault.type, result.attempts) == (FaultType.TOO_LARGE, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"Status": "404"},
        {"Status": "100", "Description": "Idle Heartbeat"},
        {"Nats-Pending-Messages": "1", "Status": "408"},
        {"motet-parent": "any thing"},
        {"motet-watched": "perhaps"},
        {"motet-earlier": "nobody"},
        {"traceparent": "x" * 50_000},
        {"tracestate": "a=b," * 10_000},
        {"baggage": "a=" + "b" * 50_000},
        {"KV-Operation": "PURGE"},
        {"x-unknown": "☃" * 1000},
    ],
    ids=lambda headers: " ".join(f"{k}={v}" for k, v in headers.items())[:40],
)
async def test_a_header_that_means_nothing_here(counter: TestMesh, headers: dict[str, str]) -> None:
    result = await ask(counter, b'{"numbers": [1]}', headers)

    assert (result.ok, result.output, result.attempts) == (True, 1, 1)


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.API.STREAM.DELETE.X",
        "motet.task.submit",
        "_INBOX.>",
        "_INBOX.a b",
        "_INBOX." + "x" * 5000,
        "_INBOX",
        "_INBOX.☃",
    ],
)
async def test_a_reply_that_is_no_inbox_is_not_followed(counter: TestMesh, reply: str) -> None:
    space = counter.settings.namespace
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(message.subject)

    await counter.bus.subscribe(">", hear)
    await counter.bus.store(
        f"{space}.{SUBJECT}", b'{"numbers": [1]}', {"motet-reply": reply, "motet-task": "t"}
    )
    await counter.outcome("t", "call-1")
    await counter.drained("CALLS")

    assert reply not in heard


async def test_headers_as_large_as_they_may_be_still_end(counter: TestMesh) -> None:
    """NATS stores 64 KiB of headers; these are of bytes that JSON writes sixfold."""
    async with BareClient.at(counter.settings.nats_url) as client:
        await client.subscribe("_INBOX.me")
        block = b"motet-reply: _INBOX.me\r\ntracestate: " + b"\x01" * 65_000
        subject = f"{counter.settings.namespace}.{SUBJECT}"
        await client.publish_with_headers(subject, b"NATS/1.0\r\n%s\r\n\r\n" % block, b"not json")
        _, body = await client.message()

    result = CallResult.model_validate_json(body)
    assert result.fault is not None
    assert result.fault.type == FaultType.INVALID_INPUT
    (stored,) = await counter.motet.dead()
    assert len(stored.letter.headers["tracestate"]) == 65_000


async def test_headers_that_nats_refuses_are_a_fault_at_once(counter: TestMesh) -> None:
    with pytest.raises(FaultError, match="header size exceeds maximum") as raised:
        await publish(counter, SUBJECT, b"{}", {"baggage": "a=" + "b" * 70_000})
    assert raised.value.fault.type == FaultType.TOO_LARGE


@pytest.mark.parametrize(
    "block",
    [
        b"NATS/1.0",
        b"X",
        b"NATS/1.0 \xff\xff\xff bad\r\n\r\n",
        b"NATS/1.0 503\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
        b"NATS/1.0\r\n\xff\xfe: \xff\r\nno colon\r\n: no name\r\n\r\n",
        b"NATS/1.0\r\n\r\n",
    ],
    ids=str,
)
async def test_a_header_block_that_cannot_be_decoded(counter: TestMesh, block: bytes) -> None:
    """It counts as none; without Motet's guard, nats-py would be deaf after some of these."""
    async with BareClient.at(counter.settings.nats_url) as client:
        subject = f"{counter.settings.namespace}.{SUBJECT}"
        await client.publish_with_headers(subject, block, b'{"numbers": [4]}')

    result = await counter.outcome("call-1", "call-1", timeout_s=10)
    assert (result.ok, result.output) == (True, 4)


async def test_a_subject_that_cannot_be_decoded_is_nobodys(counter: TestMesh) -> None:
    space = counter.settings.namespace.encode()
    async with BareClient.at(counter.settings.nats_url) as client:
        await client.publish(space + b".event.\xff\xff.state", b"{}")
        await client.publish(space + b".event.t.state", b"{}")
        await client.publish(space + b".event.t.state", b"not json")


async def test_bad_calls_do_not_delay_good_ones(counter: TestMesh) -> None:
    bad = [ask(counter, b"not json") for _ in range(50)]
    good = [ask(counter, b'{"numbers": [%d]}' % number) for number in range(50)]

    results = await asyncio.gather(*bad, *good)

    assert [result.ok for result in results] == [False] * 50 + [True] * 50
    assert [result.output for result in results[50:]] == list(range(50))
    assert len(await counter.motet.dead()) == 50
