"""Fault injection into handlers and acknowledgements.

    flaky = Flaky(RuntimeError("the sensor is cold"))   # fails once, then works
    await mesh.join(with_fault(agent, "now", flaky))

Each wraps a skill's function; it can also stand between `@agent.skill(...)` and the function.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from motet.agent import Agent
from motet.bus import Bus

__all__ = ["Flaky", "Gate", "LostAcks", "losing_acks", "with_fault"]

Handler = Callable[..., Awaitable[Any]]
Wrapper = Callable[[Handler], Handler]


class Flaky:
    """A handler that fails: raises each of some exceptions once, in order, and then works."""

    def __init__(self, *failures: BaseException) -> None:
        self._failures = list(failures)
        self.runs = 0
        """How often the handler was begun, failures included."""

    def __call__(self, function: Handler) -> Handler:
        """Wraps a handler."""

        @functools.wraps(function)
        async def failing(*args: Any, **kwargs: Any) -> Any:
            self.runs += 1
            if self._failures:
                raise self._failures.pop(0)
            return await function(*args, **kwargs)

        return failing


class Gate:
    """A handler that is held before it does anything, until the test opens the gate."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._changed = asyncio.Event()
        self.entered = 0
        """How often the handler was begun."""
        self.cancelled = 0
        """How often it was cancelled while it was held."""

    def __call__(self, function: Handler) -> Handler:
        """Wraps a handler."""

        @functools.wraps(function)
        async def held(*args: Any, **kwargs: Any) -> Any:
            self.entered += 1
            self._tell()
            try:
                await self._open.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                self._tell()
                raise
            return await function(*args, **kwargs)

        return held

    async def wait(self, entered: int = 1, timeout_s: float = 10) -> None:
        """Waits until the handler has been begun so often.

        Raises:
            TimeoutError: It has not.
        """
        await self._wait(lambda: self.entered >= entered, timeout_s)

    async def wait_cancelled(self, cancelled: int = 1, timeout_s: float = 10) -> None:
        """Waits until the handler has been cancelled so often while it was held.

        Raises:
            TimeoutError: It has not.
        """
        await self._wait(lambda: self.cancelled >= cancelled, timeout_s)

    async def _wait(self, reached: Callable[[], bool], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not reached():
                await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed.clear()

    def open(self) -> None:
        """Lets everybody through who waits, and whoever comes."""
        self._open.set()

    def close(self) -> None:
        """Holds whoever comes."""
        self._open.clear()


def with_fault(agent: Agent, skill: str, wrapper: Wrapper) -> Agent:
    """A copy of an agent with one skill's function wrapped; the agent itself stays as it is."""
    changed = copy.copy(agent)
    declared = agent.skills[skill]
    wrapped = dataclasses.replace(declared, function=wrapper(declared.function))
    changed.skills = {**agent.skills, skill: wrapped}
    return changed


class LostAcks(list[str]):
    """What was lost so far."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = asyncio.Event()

    def add(self, subject: str) -> None:
        """Counts one more."""
        self.append(subject)
        self._grown.set()

    async def reached(self, count: int, *, timeout_s: float = 20) -> None:
        """Waits until `count` have been lost.

        Raises:
            TimeoutError: Fewer are in time.
        """
        async with asyncio.timeout(timeout_s):
            while len(self) < count:
                self._grown.clear()
                await self._grown.wait()


@asynccontextmanager
async def losing_acks(bus: Bus) -> AsyncGenerator[LostAcks]:
    """Loses every acknowledgement that this connection sends while the block lasts.

    Signs of life and negative acknowledgements pass. Gives the list of what was lost: the reply
    subjects of the messages.
    """
    lost = LostAcks()
    client: Any = bus.client
    publish = client.publish

    async def losing(subject: str, payload: bytes = b"", *args: Any, **kwargs: Any) -> None:
        if subject.startswith("$JS.ACK.") and payload in (b"", b"+ACK"):
            lost.add(subject)
        else:
            await publish(subject, payload, *args, **kwargs)

    client.publish = losing
    try:
        yield lost
    finally:
        client.publish = publish
