"""Starting: what a process needs and is not there yet is waited for.

In a cluster everything starts at once, and servers are replaced under services that start. A
process that ends because another is not up yet is started again after a pause that grows, and looks
broken meanwhile; one that waits is ready a moment after what it waits for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from motet.errors import NotYetError

__all__ = ["waiting"]

log = logging.getLogger(__name__)

_AGAIN_S = 0.5
_SAID_EVERY_S = 30.0

T = TypeVar("T")


async def waiting(attempt: Callable[[], Awaitable[T]], within_s: float) -> T:
    """What `attempt` gives, which is tried again while it raises `NotYetError`.

    Args:
        attempt: Leaves nothing behind when it raises.
        within_s: Seconds from now after which the next one is the last.

    Raises:
        NotYetError: The last of them.
    """
    began = time.monotonic()
    said_at: float | None = None
    while True:
        last = time.monotonic() - began >= within_s
        try:
            return await attempt()
        except NotYetError as error:
            if last:
                raise
            if said_at is None or time.monotonic() - said_at >= _SAID_EVERY_S:
                said_at = time.monotonic()
                left_s = max(0.0, within_s - (said_at - began))
                log.warning("Waiting %.0f s more at most. %s", left_s, error)
        await asyncio.sleep(_AGAIN_S)
