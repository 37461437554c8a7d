"""Backpressure: what a mesh does whose queues are full.

`queue`: `--tasks` tasks are submitted one by one while no planner runs; then a planner starts, and
each task makes one call of a worker. Wanted: a submission takes as long into the full queue as
into the empty one; no service needs more memory; the oldest task goes first; the last are done as
fast as the first. Beside it stands a bare work queue of nats-py with as many messages.

`priorities`: the time from the submission to the end of single tasks of the priority
`interactive` in an idle mesh, beside `--batch` tasks of the priority `batch`, and where planners
start with all of these waiting. `tenants`: of single tasks of one tenant while another has
`--batch` tasks queued. `slow_skill`: calls a second of a fast skill, beside a slow skill of the
same process without and with calls that wait for it.

Memory is resident memory in MB; of agents at the `start` (after some tasks), when the queue is
`full` (the first hundredth is done), at the `end` and at `most`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.backpressure.agents import Order
from benchmarks.backpressure.bare import bare
from benchmarks.backpressure.figures import latency, order, rates
from benchmarks.backpressure.mesh import Mesh

WARM = 300
"""Tasks that are done before memory and latency are measured."""
SINGLE = 20
"""Single tasks whose latency is measured."""
IN_FLIGHT = 64
"""Calls at once of the fast skill."""
SAMPLE_S = 1.0

PARTS = ("queue", "priorities", "tenants", "slow_skill")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


async def _warm(mesh: Mesh, prefix: str) -> None:
    ends = mesh.watch(prefix)
    await mesh.submit(prefix, WARM)
    await ends.reach(WARM)


async def _queue(mesh: Mesh, tasks: int) -> dict[str, Any]:
    await _warm(mesh, "warm-")
    memory = {name: {"start": mb} for name, mb in mesh.rss().items()}
    await mesh.stop("planner")
    ends = mesh.watch("queued-")
    submitted = await mesh.submit("queued-", tasks)
    full = mesh.rss()
    _say(f"{tasks} submitted in {sum(submitted):.0f} s: {full} MB")
    await mesh.start("planner")
    await ends.reach(max(1, tasks // 100))
    full |= {name: mb for name, mb in mesh.rss().items() if name in ("planner", "worker")}
    most = dict(full)
    sampling = asyncio.create_task(_sample(mesh, most))
    try:
        await ends.reach(tasks)
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
    for name, end in mesh.rss().items():
        memory[name] |= {"full": full[name], "end": end, "most": max(end, most[name])}
    tenth = max(1, tasks // 10)
    return {
        "tasks": tasks,
        "submit": {
            "first_tenth": latency(submitted[:tenth]),
            "last_tenth": latency(submitted[-tenth:]),
        },
        "drain": rates(ends.times),
        "order": order(ends.numbers),
        "rss_mb": memory,
    }


async def _sample(mesh: Mesh, most: dict[str, float]) -> None:
    """Keeps the most memory that each process had."""
    while True:
        await asyncio.sleep(SAMPLE_S)
        for name, mb in mesh.rss().items():
            most[name] = max(most[name], mb)


async def _priorities(mesh: Mesh, batch: int) -> dict[str, Any]:
    idle = await mesh.one_by_one("idle-", SINGLE, priority="interactive")
    ends = mesh.watch("batch-")
    await mesh.submit("batch-", batch, priority="batch")
    beside = await mesh.one_by_one("beside-", SINGLE, priority="interactive")
    left = batch - len(ends.times)
    _say(f"{SINGLE} interactive tasks ended while {left} of {batch} batch tasks were left")
    await ends.reach(batch)

    await mesh.stop("planner")
    ends, urgent = mesh.watch("piled-"), mesh.watch("urgent-")
    await mesh.submit("piled-", batch, priority="batch")
    await mesh.submit("urgent-", SINGLE, priority="interactive")
    await mesh.start("planner")
    began = time.perf_counter()
    await urgent.reach(SINGLE)
    before = len(ends.times)
    await ends.reach(batch)
    return {
        "batch": batch,
        "idle": latency(idle),
        "beside_batch": latency(beside) | {"batch_left": left},
        "after_start": latency([end - began for end in urgent.times]) | {"batch_before": before},
    }


async def _tenants(mesh: Mesh, batch: int) -> dict[str, Any]:
    idle = await mesh.one_by_one("lone-", SINGLE, tenant="calm")
    ends = mesh.watch("flood-")
    await mesh.submit("flood-", batch, tenant="flood")
    beside = await mesh.one_by_one("calm-", SINGLE, tenant="calm")
    left = batch - len(ends.times)
    _say(f"{SINGLE} tasks of one tenant ended while {left} of {batch} of the other were left")
    await ends.reach(batch)
    return {
        "flood": batch,
        "idle": latency(idle),
        "beside_flood": latency(beside) | {"flood_left": left},
    }


async def _slow_skill(mesh: Mesh, calls: int) -> dict[str, Any]:
    await _fast(mesh, calls)
    alone = await _fast(mesh, calls)
    backlog = [
        asyncio.create_task(mesh.motet.call("worker.slow", Order(), timeout_s=600))
        for _ in range(calls)
    ]
    try:
        await asyncio.wait(backlog, return_when=asyncio.FIRST_COMPLETED)
        beside = await _fast(mesh, calls)
        left = sum(not each.done() for each in backlog)
    finally:
        for each in backlog:
            each.cancel()
        await asyncio.gather(*backlog, return_exceptions=True)
    return {
        "fast_per_s": {"alone": alone, "beside_slow": beside},
        "slow_backlog": {"began": calls, "left": left},
    }


async def _fast(mesh: Mesh, calls: int) -> float:
    """Calls a second of the fast skill."""
    places = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> None:
        async with places:
            await mesh.motet.call("worker.fast", Order())

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(calls)))
    return round(calls / (time.perf_counter() - began), 1)


async def _measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    async with Mesh.of(folder) as mesh:
        parts = options.parts
        if "queue" in parts:
            figures["bare"] = await bare(mesh.url, options.tasks)
            _say(f"bare: {figures['bare']}")
        await mesh.start("worker")
        await mesh.start("planner")
        for part in parts:
            match part:
                case "queue":
                    figures[part] = await _queue(mesh, options.tasks)
                case "priorities":
                    figures[part] = await _priorities(mesh, options.batch)
                case "tenants":
                    figures[part] = await _tenants(mesh, options.batch)
                case _:
                    figures[part] = await _slow_skill(mesh, options.calls)
            _say(f"{part}: {figures[part]}")
    return figures


def run(arguments: list[str], data: Path | None) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks backpressure", description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000, help="tasks that are queued")
    parser.add_argument("--batch", type=int, default=10_000, help="tasks that single ones stand by")
    parser.add_argument("--calls", type=int, default=2_000, help="calls of a skill")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure")
    if data is not None:
        parser.error("this benchmark takes no --data")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="motet-backpressure-") as folder:
        return uvloop.run(_measure(options, Path(folder)))
