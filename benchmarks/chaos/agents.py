"""The agents of the chaos benchmark, each a process: `python -m benchmarks.chaos NAME`.

`conductor` takes tasks and delegates by their shape, `branch` delegates further, `hand` acts on the
outside. The outside is a file that honours idempotency keys, see `Outside`.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
import threading
from pathlib import Path
from typing import Any

from benchmarks.chaos.plan import REPLY
from motet.agent import Agent, Call
from motet.errors import FaultError
from motet.messages import Answer, Default, FaultType, Message, Question, Task, TaskState

OUTSIDE = "CHAOS_OUTSIDE"
"""The variable that names the file of effects."""
SLOW = "CHAOS_SLOW_S"
"""The variable that says how long a slow skill works."""
FOR_EVER_S = 3600.0


class Order(Message):
    """What a hand or a branch is to do."""

    name: str
    """What to do, unique within the task."""


class Wish(Message):
    """What a person is to be asked for."""

    timeout_s: float | None
    """Seconds after which nobody has replied; then it is done as `reply-default`."""


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

    @agent.skill("act_as_told", "Acts as a person says.", side_effects=True)
    async def as_told(request: Wish, call: Call) -> Done:
        reply = await call.ask(_which(request.timeout_s))
        return await act(Order(name=reply.value), call)

    @agent.skill("act_if_allowed", "Acts.", side_effects=True, approval="May this be done?")
    async def if_allowed(request: Order, call: Call) -> Done:
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

    @agent.skill("act_as_told", "Has a hand act as a person says.")
    async def as_told(request: Wish, call: Call) -> Done:
        return await call.delegate("hand.act_as_told", request, Done, step="told")

    @agent.skill("hang", "Has a hand work for ever.")
    async def hang(request: Order, call: Call) -> Done:
        return await call.delegate("hand.hang", request, Done, step="hang")

    return agent


def _which(timeout_s: float | None) -> Question:
    return Question(
        kind="answer",
        prompt="What is to be done?",
        timeout_s=timeout_s,
        default=Default(decision="respond", value=f"{REPLY}default"),
    )


async def _as_told(call: Call, timeout_s: float | None = None) -> None:
    await call.delegate("branch.act_as_told", Wish(timeout_s=timeout_s), Done, step="told")


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
        timeout_s = float(task.labels["timeout_s"]) if "timeout_s" in task.labels else None
        if not await _delegated(shape, call):
            await _asked(shape, call, timeout_s)
        return Answer(text=shape)

    return agent


ONE_CALL = {
    "retried": "hand.act_late",
    "slow": "hand.act_slowly",
    "refused": "hand.refuse",
    "expiring": "branch.hang",
    "cancelled": "branch.hang",
    "cancelled_queued": "branch.hang",
}
"""What the shapes delegate that delegate once."""


async def _delegated(shape: str, call: Call) -> bool:
    """Does a task that asks nobody; False for a task of another shape."""
    match shape:
        case "parallel":
            await asyncio.gather(*(_act(call, name) for name in "abc"))
        case "sequence":
            for name in "abc":
                await _act(call, name)
        case "nested":
            await asyncio.gather(*(_act(call, name, "branch.spread") for name in "ab"))
        case "reissued":
            for _ in range(2):
                await _act(call, "a")
            if call.attempt == 1:
                raise FaultError.of(FaultType.UNAVAILABLE, "Once more.", retryable=True)
        case "runaway":
            for number in itertools.count():
                await _act(call, f"step-{number}")
        case "runaway_branches":
            await asyncio.gather(*(_act(call, name, "branch.spread") for name in "abcde"))
        case _ if shape in ONE_CALL:
            await _act(call, "a", ONE_CALL[shape])
        case _:
            return False
    return True


async def _asked(shape: str, call: Call, timeout_s: float | None) -> None:
    """Does a task that asks a person."""
    match shape:
        case "asked":
            await asyncio.gather(_act(call, "a"), _as_told(call))
        case "approved" | "rejected":
            done = await call.delegate(
                "hand.act_if_allowed", Order(name=f"{REPLY}a"), Done, step="allowed"
            )
            assert done.name.startswith(REPLY)
        case "hesitant":
            reply = await call.ask(_which(timeout_s))
            await _act(call, reply.value)
        case _:
            await _as_told(call, timeout_s)


AGENTS = {"conductor": conductor, "branch": branch, "hand": hand}
