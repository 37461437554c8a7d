"""The agents of the benchmark, each a process: `python -m benchmarks.backpressure NAME`."""

from __future__ import annotations

import asyncio

from motet.agent import Agent, Call
from motet.messages import Answer, Message, Task

__all__ = ["AGENTS", "Order"]

SLOW_S = 1.0
"""Seconds that the slow skill works."""


class Order(Message):
    """An empty request, and an empty answer."""


def planner() -> Agent:
    """Does a task by one call."""
    agent = Agent("planner", "Has each task done by one call.")

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        await call.delegate("worker.fast", Order(), Order, step="work")
        return Answer(text=task.goal)

    return agent


def worker() -> Agent:
    """A skill that is done at once beside a slow one."""
    agent = Agent("worker", "Works fast and slowly.")

    @agent.skill("fast", "Is done at once.")
    async def fast(request: Order) -> Order:
        return request

    @agent.skill("slow", "Is done after a while.")
    async def slow(request: Order) -> Order:
        await asyncio.sleep(SLOW_S)
        return request

    return agent


AGENTS = {"planner": planner, "worker": worker}
