"""Tasks without a model: of one call each, and waiting in their queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.backpressure.mesh import Mesh
from benchmarks.footprint.stored import Stored

__all__ = ["calls_and_queue"]

WARM = 100


async def calls_and_queue(
    folder: Path, calls: int, queued: int, *, say: Callable[[str], None]
) -> dict[str, Any]:
    """The figures `calls` and `queued`."""
    async with Mesh.of(folder) as mesh:

        async def now() -> Stored:
            return await Stored.now(mesh.bus, mesh.nats_pid, folder)

        await mesh.start("worker")
        await mesh.start("planner")
        await mesh.one_by_one("warm-", WARM)
        before = await now()
        await mesh.one_by_one("one-", calls)
        done = (await now()).each(before, calls)
        say(f"calls: {done}")
        await mesh.stop("planner")
        before = await now()
        await mesh.submit("queued-", queued)
        waiting = (await now()).each(before, queued)
        say(f"queued: {waiting}")
    return {"calls": done, "queued": waiting}
