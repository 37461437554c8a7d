"""A chain of three empty agents: Motet beside bare nats-py.

Both sides run on the same NATS server, at the same time, each agent a process of its own, on the
same event loop. They take turns, so that what else the machine does meets both alike.

Bare is what a careful user of nats-py writes for the same chain: publish to a work queue and
await the acknowledgement, durable pull in batches, outcome to a key-value bucket, reply, ack.
Motet does the same and adds the ledger's look-up and compare-and-set, three spans a hop with
their export to the local span store, and the checks of deadline, depth and budget. The budget has
no limits here: one that has is an account, which each delegated call writes once more.

Latency is one chain at a time; throughput is with `--in-flight` chains at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import KeyValueConfig, RetentionPolicy, StreamConfig

from motet.agent import Agent, Call
from motet.bus import Bus, provision
from motet.client import Motet
from motet.embedded.nats import nats_server
from motet.embedded.processes import ProcessOwner, ProcessSpec
from motet.messages import Message
from motet.settings import Settings, load_settings
from motet.telemetry import setup

AGENTS = 3
BATCH = 16
Chain = Callable[[], Awaitable[None]]


class Ping(Message):
    """An empty request, and an empty answer."""


# Motet's side


def hop_agent(index: int) -> Agent:
    """The agent at a place in the chain; all but the last delegate to the next."""
    agent = Agent(f"hop{index}", "An empty agent.")

    @agent.skill("run", "Passes on.")
    async def run(request: Ping, call: Call) -> Ping:
        if index < AGENTS:
            return await call.delegate(f"hop{index + 1}.run", request, Ping, step="next")
        return request

    return agent


# The bare side


class BareCaller:
    """Publishes to the queue and waits for replies on one inbox."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._js = client.jetstream()
        self._inbox = client.new_inbox()
        self._waiting: dict[str, asyncio.Future[bytes]] = {}

    async def start(self) -> None:
        """Begins to hear replies."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._replied)

    async def call(self, index: int, chain: str) -> bytes:
        """Calls the agent at `index` and waits for its outcome."""
        token = f"{chain}-{index}"
        future = self._waiting[token] = asyncio.get_running_loop().create_future()
        await self._js.publish(
            f"bare.call.hop{index}",
            json.dumps({"chain": chain}).encode(),
            headers={"reply": f"{self._inbox}.{token}", "Nats-Msg-Id": token},
        )
        return await future

    async def _replied(self, message: Msg) -> None:
        future = self._waiting.pop(message.subject.rpartition(".")[2], None)
        if future is not None:
            future.set_result(message.data)


async def bare_worker(url: str, index: int, concurrency: int) -> None:
    """Serves one place of the chain for ever."""
    client = await nats.connect(url)
    js = client.jetstream()
    outcomes = await js.key_value("bare")
    caller = BareCaller(client)
    await caller.start()
    pull = await js.pull_subscribe(
        f"bare.call.hop{index}", durable=f"bare-hop{index}", stream="BARE"
    )

    free = asyncio.Semaphore(concurrency)
    running: set[asyncio.Task[None]] = set()

    async def handle(message: Msg) -> None:
        chain = json.loads(message.data)["chain"]
        if index < AGENTS:
            await caller.call(index + 1, chain)
        outcome = json.dumps({"ok": True}).encode()
        await outcomes.put(f"{chain}.{index}", outcome)
        await client.publish((message.headers or {})["reply"], outcome)
        await message.ack()
        free.release()

    while True:
        await free.acquire()
        places = 1
        while places < BATCH and not free.locked():
            await free.acquire()
            places += 1
        messages: list[Msg] = []
        with contextlib.suppress(TimeoutError):
            messages = await pull.fetch(places, timeout=5)
        for _ in range(places - len(messages)):
            free.release()
        for message in messages:
            task = asyncio.create_task(handle(message))
            running.add(task)
            task.add_done_callback(running.discard)


# Measuring


async def _latency(chain: Chain, count: int) -> list[float]:
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        await chain()
        times.append(time.perf_counter() - begun)
    return times


async def _throughput(chain: Chain, count: int, in_flight: int) -> float:
    places = asyncio.Semaphore(in_flight)

    async def one() -> None:
        async with places:
            await chain()

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(count)))
    return count / (time.perf_counter() - begun)


def _figures(latencies: list[float], rates: list[float]) -> dict[str, float]:
    ordered = sorted(latencies)
    return {
        "p50_ms": round(statistics.median(ordered) * 1e3, 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1e3, 3),
        "chains_per_s": round(statistics.median(rates), 1),
    }


async def _measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(nats_server(folder / "nats"))
        settings = Settings(nats_url=server.url, data_dir=folder, spans_dir=folder / "spans")
        telemetry = setup("client", settings)
        stack.push_async_callback(telemetry.shutdown)
        bus = await stack.enter_async_context(Bus.open(settings, telemetry))
        await provision(bus.js, bus.topology)
        await bus.js.add_stream(
            StreamConfig(
                name="BARE",
                subjects=["bare.call.>"],
                retention=RetentionPolicy.WORK_QUEUE,
                duplicate_window=120,
            )
        )
        await bus.js.create_key_value(KeyValueConfig(bucket="bare"))
        owner = await stack.enter_async_context(ProcessOwner(grace_s=5))
        await _start_workers(owner, server.url, folder, options.in_flight)
        motet, client = Motet(bus), await nats.connect(server.url)
        stack.push_async_callback(client.close)
        bare = BareCaller(client)
        await bare.start()
        missing = await motet.wait_for_agents({f"hop{i}" for i in range(1, AGENTS + 1)}, 30)
        if missing:
            raise SystemExit(f"agents did not start: {sorted(missing)}")
        counter = iter(range(1 << 60))

        async def motet_chain() -> None:
            await motet.call("hop1.run", Ping())

        async def bare_chain() -> None:
            await bare.call(1, f"chain{next(counter)}")

        return await _rounds({"motet": motet_chain, "bare": bare_chain}, options)


async def _rounds(sides: dict[str, Chain], options: argparse.Namespace) -> dict[str, Any]:
    latencies: dict[str, list[float]] = {side: [] for side in sides}
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for chain in sides.values():
        await _latency(chain, 50)
    for turn in range(options.rounds):
        for side in sorted(sides, reverse=bool(turn % 2)):
            latencies[side] += await _latency(sides[side], options.chains)
        for side in sorted(sides, reverse=bool(turn % 2)):
            rates[side].append(
                await _throughput(sides[side], options.chains * 5, options.in_flight)
            )
        print(
            f"round {turn + 1}: "
            + ", ".join(f"{side} {_figures(latencies[side], rates[side])}" for side in sides),
            flush=True,
        )
    motet, bare = (_figures(latencies[side], rates[side]) for side in ("motet", "bare"))
    return {
        "motet": motet,
        "bare": bare,
        "ratio_p50": round(motet["p50_ms"] / bare["p50_ms"], 3),
        "ratio_throughput": round(motet["chains_per_s"] / bare["chains_per_s"], 3),
    }


async def _start_workers(owner: ProcessOwner, url: str, folder: Path, in_flight: int) -> None:
    environment = {
        "MOTET_NATS_URL": url,
        "MOTET_DATA_DIR": str(folder),
        "MOTET_SPANS_DIR": str(folder / "spans"),
        "MOTET_CONCURRENCY": str(in_flight),
        "MOTET_LOG_LEVEL": "warning",
    }
    for kind in ("motet", "bare"):
        for index in range(1, AGENTS + 1):
            name = f"{kind}{index}"
            command = (
                sys.executable,
                "-m",
                "benchmarks.hop",
                kind,
                str(index),
                url,
                str(in_flight),
            )
            await owner.start(ProcessSpec(name, command, folder / f"{name}.log", environment))


def run(arguments: list[str], data: Path | None) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks hop", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns that each side takes")
    parser.add_argument("--chains", type=int, default=300, help="chains a turn, one at a time")
    parser.add_argument("--in-flight", type=int, default=64, help="chains at once")
    if data is not None:
        parser.error("this benchmark takes no --data")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="motet-hop-") as folder:
        return uvloop.run(_measure(options, Path(folder)))


def _worker(kind: str, index: int, url: str, in_flight: int) -> None:
    load_settings()
    if kind == "motet":
        hop_agent(index).run()
    else:
        try:
            uvloop.run(bare_worker(url, index, in_flight))
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    _worker(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
