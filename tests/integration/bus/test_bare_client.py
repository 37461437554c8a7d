"""Clients that are not Motet's."""

from __future__ import annotations

import json

from motet.agent import Call
from motet.messages import Answer, Task
from motet.testing import TestMesh, assert_tree
from tests.integration.bus.agents import Done, echo, planner, worker
from tests.integration.bus.bare import BareClient


async def plan(task: Task, call: Call) -> Answer:
    done = await call.delegate("worker.work", {"text": task.goal}, Done, step="one")
    return Answer(text=f"You said: {done.text}")


async def test_a_goal_on_a_bare_socket_is_accepted_run_and_answered(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))
    await mesh.join(planner(plan))
    space = mesh.settings.namespace

    async with BareClient.at(mesh.settings.nats_url) as client:
        await client.subscribe(f"{space}.result.*.task")
        await client.publish(f"{space}.task.submit", b'{"goal": "hello"}')
        subject, body = await client.message()

    assert subject == f"{space}.result.task-1.task"
    result = json.loads(body)
    assert (result["ok"], result["output"]["text"]) == (True, "You said: hello")
    record = await mesh.motet.task("task-1").result(5)
    assert (record.state, record.attempts) == ("succeeded", 1)
    assert_tree(
        await mesh.trace("task-1"),
        """
        submit task [task=task-1]
          process motet.task.submit [task=task-1 attempt=1]
            invoke_agent planner
              send motet.call.worker.work [step=one]
                process motet.call.worker.work [attempt=1 link=none]
                  invoke_agent worker
        """,
    )


async def test_the_acknowledgement_of_the_publish_is_the_acceptance(mesh: TestMesh) -> None:
    async with BareClient.at(mesh.settings.nats_url) as client:
        await client.subscribe("_INBOX.me")
        subject = f"{mesh.settings.namespace}.task.submit"
        await client.publish(subject, b'{"goal": "later"}', reply=b"_INBOX.me")
        _, body = await client.message()
    assert json.loads(body)["seq"] == 1

    await mesh.join(worker(echo))
    await mesh.join(planner(plan))
    assert (await mesh.motet.task("task-1").result(10)).state == "succeeded"


async def test_a_bare_call_is_answered_where_its_sender_waits(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))

    async with BareClient.at(mesh.settings.nats_url) as client:
        await client.subscribe("_INBOX.me.>")
        await client.publish_with_headers(
            f"{mesh.settings.namespace}.call.worker.work",
            b"NATS/1.0\r\nmotet-reply: _INBOX.me.1\r\n\r\n",
            b'{"text": "hello"}',
        )
        _, body = await client.message()

    result = json.loads(body)
    assert (result["task"], result["call"], result["ok"]) == ("call-1", "call-1", True)
    assert result["output"]["text"] == "hello"


async def test_a_submitter_with_a_trace_of_its_own_is_the_root(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))
    await mesh.join(planner(plan))

    async with BareClient.at(mesh.settings.nats_url) as client:
        await client.publish_with_headers(
            f"{mesh.settings.namespace}.task.submit",
            b"NATS/1.0\r\ntraceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01\r\n"
            b"tracestate: vendor=1\r\nbaggage: tenant=blue\r\n\r\n",
            b'{"goal": "hello", "id": "mine"}',
        )
    record = await mesh.motet.task("mine").result(10)

    assert record.traceparent == f"00-{'a' * 32}-{'b' * 16}-01"
    tree = await mesh.trace("mine", timeout_s=0.5)
    # The submitter's span is not among those of this process: the process span hangs from it.
    assert [node.name for node in tree.orphans] == ["process motet.task.submit"]
    assert tree.roots == ()
    assert {node.span.trace_id for node in tree.walk()} == {"a" * 32}


async def test_headers_that_say_nothing_of_a_trace_get_one_root(mesh: TestMesh) -> None:
    """Among them some that look as if they said something."""
    await mesh.join(planner(lambda task, call: _answered()))
    blocks = {
        "empty": b"NATS/1.0\r\n\r\n",
        "malformed": b"NATS/1.0\r\ntraceparent: 00-xyz\r\n\r\n",
        "zero": b"NATS/1.0\r\ntraceparent: 00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01\r\n\r\n",
        "baggage": b"NATS/1.0\r\ntraceparent: ?\r\nbaggage: a=b\r\ntracestate: ==\r\n\r\n",
    }
    async with BareClient.at(mesh.settings.nats_url) as client:
        for name, block in blocks.items():
            body = json.dumps({"goal": "go", "id": name}).encode()
            subject = f"{mesh.settings.namespace}.task.submit"
            await client.publish_with_headers(subject, block, body)

    for name in blocks:
        assert (await mesh.motet.task(name).result(10)).state == "succeeded"
        assert_tree(
            await mesh.trace(name),
            """
            submit task
              process motet.task.submit
                invoke_agent planner
            """,
        )


async def _answered() -> Answer:
    return Answer(text="done")
