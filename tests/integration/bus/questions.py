"""A worker that asks a person, a task that calls it, and what a person sees and says."""

from __future__ import annotations

from typing import Any

from motet.agent import Call
from motet.messages import Answer, ApprovalRecord, Question, Reply, StateChanged, Task, TaskState
from motet.testing import TestMesh
from tests.integration.bus.agents import Done, Order

WHICH = Question(
    kind="answer",
    prompt="Which city?",
    name="city",
    value_schema={"type": "string", "minLength": 2},
)


async def ask_city(request: Order, call: Call) -> Done:
    reply = await call.ask(WHICH)
    return Done(text=f"{request.text} {reply.value}".strip(), attempt=call.attempt)


async def one_step(task: Task, call: Call) -> Answer:
    done = await call.delegate("worker.work", Order(text="to"), Done, step="a")
    return Answer(text=done.text)


async def asked(mesh: TestMesh, task: str, count: int = 1) -> list[ApprovalRecord]:
    """What a task asks, once it waits."""
    async for _, event in mesh.motet.task(task).events():
        if isinstance(event, StateChanged):
            assert not event.state.terminal, event
            if event.state == TaskState.WAITING:
                found = await mesh.motet.task(task).approvals()
                if len(found) >= count:
                    return found
    raise AssertionError("the task has no events")


def respond(record: ApprovalRecord, value: Any = "Oslo", **values: Any) -> Reply:
    return Reply(
        task=record.task, question=record.id, decision="respond", value=value, by="ada", **values
    )
