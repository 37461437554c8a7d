"""An agent that asks a person and does tasks, as a process of its own: one to kill."""

from __future__ import annotations

import os
from pathlib import Path

from motet.agent import Agent, Call
from motet.messages import Answer, Message, Question, Task

PLACE = Question(kind="answer", prompt="Where to?")


class Trip(Message):
    day: str


agent = Agent("traveller", "Travels.")


def note(key: str) -> None:
    with Path(os.environ["PACKED"]).open("a", encoding="utf-8") as packed:
        packed.write(f"{key}\n")


@agent.skill("book", "Books a trip.")
async def book(request: Trip, call: Call) -> str:
    return f"{request.day} to {(await call.ask(PLACE)).value}"


@agent.skill("pack", "Packs.")
async def pack(request: Trip, call: Call) -> str:
    note(call.idempotency_key)
    return "packed"


@agent.task
async def run(task: Task, call: Call) -> Answer:
    packed = await call.delegate("traveller.pack", Trip(day="Monday"), str, step="pack")
    booked = await call.delegate("traveller.book", Trip(day="Monday"), str, step="book")
    return Answer(text=f"{packed}, {booked}")


if __name__ == "__main__":
    agent.run()
