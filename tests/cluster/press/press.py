"""An agent that is slow, and one that asks before it acts: for tasks that outlast an upgrade."""

from __future__ import annotations

import asyncio

from motet.agent import Agent, Call
from motet.messages import Message


class Sheet(Message):
    """What is to be printed."""

    text: str
    seconds: float = 0


class Printed(Message):
    """What was."""

    text: str


agent = Agent("press", description="Prints sheets.")


@agent.skill("proof", description="Prints a sheet slowly.")
async def proof(sheet: Sheet, call: Call) -> Printed:
    await call.event(f"printing {sheet.text}")
    await asyncio.sleep(sheet.seconds)
    return Printed(text=f"proof of {sheet.text}")


@agent.skill(
    "edition", description="Prints an edition.", side_effects=True, approval="Shall it be printed?"
)
async def edition(sheet: Sheet, call: Call) -> Printed:
    return Printed(text=f"edition of {sheet.text}")


if __name__ == "__main__":
    agent.run()
