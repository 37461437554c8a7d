"""The baseline: a work queue as a careful user of nats-py has it.

Published one by one, each acknowledgement awaited; then taken in batches by one consumer, which
puts an outcome into a bucket before it acknowledges. No task state, no events, no traces, no call.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from typing import Any

import nats
from nats.aio.msg import Msg
from nats.js.api import KeyValueConfig, RetentionPolicy, StreamConfig

from benchmarks.backpressure.figures import latency, rates

__all__ = ["bare"]

BATCH = 32


async def bare(url: str, count: int) -> dict[str, Any]:
    """Fills a queue and drains it."""
    client = await nats.connect(url)
    try:
        js = client.jetstream()
        await js.add_stream(
            StreamConfig(name="BARE", subjects=["bare"], retention=RetentionPolicy.WORK_QUEUE)
        )
        outcomes = await js.create_key_value(KeyValueConfig(bucket="bare"))
        submitted = array("d")
        for number in range(count):
            began = time.perf_counter()
            await js.publish("bare", b'{"goal": "x"}', headers={"Nats-Msg-Id": str(number)})
            submitted.append(time.perf_counter() - began)
        ends = array("d")

        async def handle(message: Msg) -> None:
            await outcomes.put(str(message.metadata.sequence.stream), b'{"ok": true}')
            await message.ack()
            ends.append(time.perf_counter())

        pull = await js.pull_subscribe("bare", durable="bare", stream="BARE")
        while len(ends) < count:
            await asyncio.gather(*map(handle, await pull.fetch(BATCH, timeout=10)))
        await js.delete_stream("BARE")
        await js.delete_key_value("bare")
    finally:
        await client.close()
    tenth = max(1, count // 10)
    return {
        "submit": {
            "first_tenth": latency(submitted[:tenth]),
            "last_tenth": latency(submitted[-tenth:]),
        },
        "drain": rates(ends),
    }
