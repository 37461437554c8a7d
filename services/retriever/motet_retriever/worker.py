"""A thread for what blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["Worker"]

P = ParamSpec("P")
R = TypeVar("R")


class Worker:
    """Runs blocking calls in a thread of its own, one after another, in the order they came.

    Cancelling who waits takes back a call that has not begun; one that has runs to its end, so
    that a call is all or nothing.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, func: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of `func(*args, **kwargs)`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: func(*args, **kwargs))

    async def close(self) -> None:
        """Waits for the calls that were given to it, and takes no more."""
        await asyncio.to_thread(self._executor.shutdown)
