"""An agent for a process of its own: each call takes `WORK_S` seconds, for ever by default."""

from __future__ import annotations

import asyncio
import os

from motet.agent import Agent, Call
from motet.messages import Message

WORK_S = float(os.environ.get("WORK_S", "1e6"))

agent = Agent("worker", "Takes its time.")


class Order(Message):
    """What it is given."""

    text: str = ""


class Done(Message):
    """What it gives back."""

    text: str
    attempt: int


@agent.skill("work", "Works slowly.")
async def work(request: Order, call: Call) -> Done:
    """Waits, then repeats."""
    await asyncio.sleep(WORK_S)
    return Done(text=request.text, attempt=call.attempt)


if __name__ == "__main__":
    agent.run()
