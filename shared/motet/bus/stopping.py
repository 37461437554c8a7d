"""Ending asyncio tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["end"]


async def end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancels tasks and waits until they are over.

    A cancellation is repeated until it works: in Python 3.11, `asyncio.wait_for` loses one that
    meets the result it waits for (python/cpython issue 86296), in the client library too.
    """
    pending = {task for task in tasks if task is not None and not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.5)
