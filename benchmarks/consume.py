"""Taking messages from a work queue: Motet's consumer beside FastStream's pull subscriber.

Both pull the same number of 1 KB messages from a durable consumer and acknowledge each; neither
does anything else. They take turns in one process. CPU time is the process' own, so that it holds
on a busy machine too. This is the measured need behind docs/decisions/0001.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.js.api import RetentionPolicy, StreamConfig

from motet.bus import Bus
from motet.bus.consumer import Consumer
from motet.bus.delivery import Delivery
from motet.embedded.nats import nats_server
from motet.settings import Settings
from motet.telemetry import setup

BODY = b'{"text": "' + b"x" * 1000 + b'"}'


async def _filled(bus: Bus, name: str, count: int) -> None:
    config = StreamConfig(name=name, subjects=[f"{name}.>"], retention=RetentionPolicy.WORK_QUEUE)
    await bus.js.add_stream(config)
    for _ in range(count):
        await bus.js.publish_async(f"{name}.a", BODY)
    await bus.js.publish_async_completed()


async def _motet(bus: Bus, name: str, count: int) -> tuple[float, float]:
    await bus.js.add_consumer(name, durable_name="d", ack_policy="explicit")
    done, taken = asyncio.Event(), 0

    async def handle(delivery: Delivery) -> None:
        nonlocal taken
        await delivery.ack()
        taken += 1
        if taken == count:
            done.set()

    consumer = Consumer(bus, name, "d", handle, concurrency=64)
    wall, cpu = time.perf_counter(), time.process_time()
    await consumer.start()
    await done.wait()
    figures = time.perf_counter() - wall, time.process_time() - cpu
    await consumer.stop(0)
    return figures


async def _faststream(url: str, name: str, count: int) -> tuple[float, float]:
    broker = NatsBroker(url, logger=None)
    done, taken = asyncio.Event(), 0

    @broker.subscriber(
        f"{name}.a",
        stream=JStream(name, declare=False),
        pull_sub=PullSub(batch_size=64, timeout=1.0),
        durable="d",
        ack_policy=AckPolicy.MANUAL,
    )
    async def handle(_: dict[str, Any], message: NatsMessage) -> None:
        nonlocal taken
        await message.ack()
        taken += 1
        if taken == count:
            done.set()

    wall, cpu = time.perf_counter(), time.process_time()
    await broker.start()
    await done.wait()
    figures = time.perf_counter() - wall, time.process_time() - cpu
    await broker.stop()
    return figures


async def _measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    async with nats_server(folder) as server:
        settings = Settings(nats_url=server.url)
        taken: dict[str, list[tuple[float, float]]] = {"motet": [], "faststream": []}
        async with Bus.open(settings, setup("client", settings)) as bus:
            for turn in range(options.rounds):
                for side, figures in taken.items():
                    name = f"{side}{turn}"
                    await _filled(bus, name, options.messages)
                    measured = (
                        await _motet(bus, name, options.messages)
                        if side == "motet"
                        else await _faststream(server.url, name, options.messages)
                    )
                    figures.append(measured)
        return {
            side: {
                "messages_per_s": round(
                    options.messages / statistics.median(wall for wall, _ in figures)
                ),
                "cpu_us_per_message": round(
                    statistics.median(cpu for _, cpu in figures) / options.messages * 1e6, 1
                ),
            }
            for side, figures in taken.items()
        }


def run(arguments: list[str], data: Path | None) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks consume", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns that each side takes")
    parser.add_argument("--messages", type=int, default=5000, help="messages a turn")
    if data is not None:
        parser.error("this benchmark takes no --data")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="motet-consume-") as folder:
        return uvloop.run(_measure(options, Path(folder)))
