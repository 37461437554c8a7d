"""Fault injection: handlers that fail, wait, and are wrapped."""

from __future__ import annotations

import asyncio

import pytest

from motet.agent import Agent, Call
from motet.messages import Message
from motet.testing import Flaky, Gate, with_fault


class Order(Message):
    text: str = ""


def made() -> Agent:
    agent = Agent("worker", "Works.")

    @agent.skill("work", "Works.")
    async def work(request: Order, call: Call) -> str:
        return request.text

    return agent


async def test_a_flaky_handler_fails_in_order_and_then_works() -> None:
    flaky = Flaky(RuntimeError("one"), ValueError("two"))
    work = flaky(made().skills["work"].function)

    with pytest.raises(RuntimeError, match="one"):
        await work(Order(), None)
    with pytest.raises(ValueError, match="two"):
        await work(Order(), None)
    assert await work(Order(text="x"), None) == "x"
    assert flaky.runs == 3


async def test_a_gate_holds_counts_and_opens() -> None:
    gate = Gate()
    work = gate(made().skills["work"].function)
    held = [asyncio.ensure_future(work(Order(text=str(n)), None)) for n in range(3)]
    await gate.wait(entered=3)
    assert not any(task.done() for task in held)

    held[0].cancel()
    await gate.wait_cancelled()
    gate.open()

    assert await asyncio.gather(*held[1:]) == ["1", "2"]
    assert await work(Order(text="through"), None) == "through"
    assert (gate.entered, gate.cancelled) == (4, 1)
    with pytest.raises(TimeoutError):
        await gate.wait(entered=9, timeout_s=0.01)


def test_an_agent_with_a_fault_is_another_agent() -> None:
    agent = made()
    wrapped = with_fault(agent, "work", Flaky())

    assert wrapped.card("x").skills == agent.card("x").skills
    assert wrapped.skills["work"].function is not agent.skills["work"].function


def test_a_wrapper_may_stand_below_the_declaration() -> None:
    agent = Agent("worker", "Works.")
    flaky = Flaky()

    @agent.skill("work", "Works.")
    @flaky
    async def work(request: Order, call: Call) -> str:
        return request.text

    assert agent.skills["work"].request is Order
