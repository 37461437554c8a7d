"""Agents for tests of the bus: one skill or one task function, doing what a test says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from motet.agent import Agent, Call
from motet.bus import CallContext, Header
from motet.messages import Answer, Message, Task, new_id
from motet.testing import TestMesh

Doing = Callable[["Order", Call], Awaitable[Any]]
Planning = Callable[[Task, Call], Awaitable[Answer]]


class Order(Message):
    """What a worker is given."""

    text: str = ""
    number: int = 0


class Done(Message):
    """What a worker gives back."""

    text: str
    attempt: int = 1


def worker(do: Doing, name: str = "worker", **declared: Any) -> Agent:
    agent = Agent(name, "Works for a test.")

    @agent.skill("work", "Does as the test says.", **declared)
    async def work(request: Order, call: Call) -> Any:
        return await do(request, call)

    return agent


def planner(do: Planning) -> Agent:
    agent = Agent("planner", "Plans as the test says.")

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        return await do(task, call)

    return agent


async def echo(request: Order, call: Call) -> Done:
    return Done(text=request.text, attempt=call.attempt)


async def publish(
    mesh: TestMesh, subject: str, body: bytes, headers: dict[str, str] | None = None
) -> int:
    """Publishes what no client of Motet's would; returns its sequence in the stream."""
    stored = await mesh.bus.store(f"{mesh.settings.namespace}.{subject}", body, headers)
    return stored.sequence


def call_headers(call: CallContext, **others: str) -> dict[str, str]:
    """A call's headers under a message id of its own, as after the dedupe window."""
    return {**call.headers(), Header.MESSAGE_ID: new_id(), **others}
