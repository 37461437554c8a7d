"""The agents of the chaos benchmark, each a process: `python -m benchmarks.chaos NAME`.

`conductor` takes tasks and delegates by their shape, `branch` delegates further, `hand` acts on the
outside. The outside is a file that honours idempotency keys, see `Outside`.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import threading
from pathlib import Path
from typing import Any

from motet.agent import Agent, Call
from motet.errors import FaultError
from motet.messages import Answer, FaultType, Message, Task, TaskState

OUTSIDE = "CHAOS_OUTSIDE"
"""The variable that names the file of effects."""
SLOW = "CHAOS_SLOW_S"
"""The variable that says how long a slow skill works."""
FOR_EVER_S = 3600.0


class Order(Message):
    """What a hand or a branch is to do."""

    name: str
    """What to do, unique within the task."""


class Done(Message):
    """That it was done."""

    name: str


class Outside:
    """Something outside the mesh that honours idempotency keys, as a payment service would.

    A line of the file is an effect. A key that has its line is not applied again. One writer at a
    time holds the file's lock; each has read what the others wrote before it writes.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._turn = threading.Lock()
        self._known: set[str] = set()
        self._read = 0

    def apply(self, key: str, task: str, name: str) -> None:
        """Applies an effect unless its key has been; it is on the disk when this returns."""
        with self._turn:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                torn = self._catch_up()
                if key in self._known:
                    return
                line = json.dumps({"key": key, "task": task, "name": name, "by": os.getpid()})
                os.write(self._file, b"\n" * torn + line.encode() + b"\n")
                os.fsync(self._file)
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _catch_up(self) -> bool:
        """Reads what is new; True when it ends in half a line, of a writer that was killed."""
        size = os.fstat(self._file).st_size
        data = os.pread(self._file, size - self._read, self._read)
        whole, _, rest = data.rpartition(b"\n")
        self._read = size - len(rest)
        self._known.update(str(effect["key"]) for effect in effects_in(whole))
        return bool(rest)


def effects_in(data: bytes) -> list[dict[str, Any]]:
    """The effects that are written in full."""
    found = []
    for line in data.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def hand() -> Agent:
    """Acts on the outside."""
    agent = Agent("hand", "Acts on the outside.")
    outside = Outside(Path(os.environ[OUTSIDE]))

    async def act(request: Order, call: Call) -> Done:
        await asyncio.to_thread(outside.apply, call.idempotency_key, call.task, request.name)
        return Done(name=request.name)

    @agent.skill("act", "Acts at once.", side_effects=True)
    async def at_once(request: Order, call: Call) -> Done:
        return await act(request, call)

    @agent.skill("act_slowly", "Acts after a while.", side_effects=True)
    async def slowly(request: Order, call: Call) -> Done:
        await asyncio.sleep(float(os.environ[SLOW]))
        return await act(request, call)

    @agent.skill("act_late", "Acts on the third attempt at the soonest.", side_effects=True)
    async def late(request: Order, call: Call) -> Done:
        if call.attempt < 3:
            raise FaultError.of(FaultType.UNAVAILABLE, "Not yet.", retryable=True)
        return await act(request, call)

    @agent.skill("refuse", "Never acts.")
    async def refuse(request: Order) -> Done:
        raise FaultError.of("refused", f"{request.name!r} is not done.")

    @agent.skill("hang", "Works for ever.")
    async def hang(request: Order) -> Done:
        await asyncio.sleep(FOR_EVER_S)
        return Done(name=request.name)

    return agent


def branch() -> Agent:
    """Delegates further."""
    agent = Agent("branch", "Delegates further.")

    @agent.skill("spread", "Has two hands act.")
    async def spread(request: Order, call: Call) -> Done:
        await asyncio.gather(*(_act(call, f"{request.name}-{side}") for side in ("left", "right")))
        return Done(name=request.name)

    @agent.skill("hang", "Has a hand work for ever.")
    async def hang(request: Order, call: Call) -> Done:
        return await call.delegate("hand.hang", request, Done, step="hang")

    return agent


async def _act(call: Call, name: str, skill: str = "hand.act") -> None:
    done = await call.delegate(skill, Order(name=name), Done, step=name)
    if done.name != name:
        raise FaultError.of(FaultType.INTERNAL, f"{name!r} got the outcome of {done.name!r}.")


def conductor() -> Agent:
    """Takes the tasks."""
    agent = Agent("conductor", "Takes tasks and delegates by their shape.")

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        await call.state(TaskState.RUNNING)
        shape = task.labels["shape"]
        match shape:
            case "parallel":
                await asyncio.gather(*(_act(call, name) for name in "abc"))
            case "sequence":
                for name in "abc":
                    await _act(call, name)
            case "nested":
                await asyncio.gather(
                    _act(call, "a", "branch.spread"), _act(call, "b", "branch.spread")
                )
            case "retried":
                await _act(call, "a", "hand.act_late")
            case "slow":
                await _act(call, "a", "hand.act_slowly")
            case "reissued":
                for _ in range(2):
                    await _act(call, "a")
                if call.attempt == 1:
                    raise FaultError.of(FaultType.UNAVAILABLE, "Once more.", retryable=True)
            case "refused":
                await _act(call, "a", "hand.refuse")
            case _:
                await _act(call, "a", "branch.hang")
        return Answer(text=shape)

    return agent


AGENTS = {"conductor": conductor, "branch": branch, "hand": hand}
