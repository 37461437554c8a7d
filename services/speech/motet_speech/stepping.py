"""Blocking work in small steps, so that a long job shares its thread and can be stopped.

Invariants:

- At most `workers` steps run at once. Jobs under way take turns by the step, so that a short one
  does not wait for the end of a long one.
- Who stops waiting stops the job: after the step that runs, no other begins, and the job is
  closed in the thread that ran it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar, cast

__all__ = ["Stepper"]

S = TypeVar("S")

END: Final = object()


class Stepper:
    """A few threads, and the jobs that take turns in them."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="speech")

    async def steps(
        self, job: Generator[S], afterwards: Callable[[], None] = lambda: None
    ) -> AsyncGenerator[S]:
        """What `job` yields; each `next` runs in a thread. Close it, or run it to its end.

        `afterwards` is called once the job is closed: nothing of it runs any more.
        """

        def finish(_step: object = None) -> None:
            job.close()
            afterwards()

        step: Future[object] | None = None
        try:
            while True:
                step = self._pool.submit(next, job, END)
                item = await asyncio.wrap_future(step)
                if item is END:
                    return
                yield cast("S", item)
        finally:
            if step is None:
                finish()
            else:
                step.add_done_callback(finish)

    async def run(self, func: Callable[[], S]) -> S:
        """The result of one blocking call."""
        return await asyncio.wrap_future(self._pool.submit(func))

    async def close(self) -> None:
        """Waits for the steps that run; none begins any more."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
