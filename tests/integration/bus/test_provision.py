"""The provisioner on a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from motet.bus import Bus, ensure_consumer, provision, wait_until_provisioned
from motet.bus.topology import Topology
from motet.errors import SetupError
from motet.messages import new_id
from motet.settings import Settings
from motet.telemetry import setup
from motet.testing.server import TestServer


@pytest.fixture
async def bus(nats_url: str, tmp_path: Path) -> AsyncIterator[Bus]:
    """A connection in a namespace without streams."""
    settings = Settings(
        nats_url=nats_url,
        namespace=f"t{new_id()[:12]}",
        data_dir=tmp_path,
        stream_max_bytes=64 << 20,
    )
    async with Bus.open(settings, setup("test", settings)) as opened:
        yield opened
        names = {stream.name for stream in opened.topology.streams()}
        for info in await opened.js.streams_info():
            if info.config.name in names:
                await opened.js.delete_stream(info.config.name or "")


async def test_it_makes_every_stream_and_bucket_once(bus: Bus) -> None:
    wanted = {stream.name for stream in bus.topology.streams()}

    changes = await provision(bus.js, bus.topology)

    assert changes == [f"created stream {name.name}" for name in bus.topology.streams()]
    there = {info.config.name for info in await bus.js.streams_info()}
    assert wanted <= there
    assert await provision(bus.js, bus.topology) == []


async def test_it_brings_an_older_stream_to_what_is_wanted(bus: Bus) -> None:
    await provision(bus.js, bus.topology)
    events = (await bus.js.stream_info(bus.topology.stream("EVENTS"))).config
    await bus.js.publish(bus.topology.event("a", "state"), b"kept")
    events.max_age = 60
    events.duplicate_window = 30
    events.metadata = {"motet.topology": "0"}
    await bus.js.update_stream(events)

    changes = await provision(bus.js, bus.topology)

    assert changes == [f"updated stream {events.name}: duplicate_window, max_age, metadata"]
    info = await bus.js.stream_info(events.name or "")
    assert info.config.max_age == bus.settings.events_max_age_s
    assert info.state.messages == 1
    assert await provision(bus.js, bus.topology) == []


@pytest.mark.parametrize("name", ["tasks", "blobs"])
async def test_values_of_an_older_bucket_may_expire_from_now_on(bus: Bus, name: str) -> None:
    (records,) = [each for each in bus.topology.streams() if (each.name or "").endswith(name)]
    records.allow_msg_ttl = None
    records.metadata = {"motet.topology": "1"}
    await bus.js.add_stream(records)

    await provision(bus.js, bus.topology)

    assert (await bus.js.stream_info(records.name or "")).config.allow_msg_ttl
    assert await provision(bus.js, bus.topology) == []


async def test_it_adds_what_is_missing_beside_what_is_there(bus: Bus) -> None:
    await provision(bus.js, bus.topology)
    gone = f"KV_{bus.topology.bucket('approvals')}"
    await bus.js.delete_stream(gone)

    assert await provision(bus.js, bus.topology) == [f"created stream {gone}"]


async def test_what_cannot_be_changed_is_told_in_a_sentence(bus: Bus) -> None:
    name = bus.topology.stream("CALLS")
    await bus.js.add_stream(name=name, subjects=[f"{bus.topology.namespace}.call.>"])

    with pytest.raises(SetupError, match=rf"Stream '{name}' exists with retention=.*delete the"):
        await provision(bus.js, bus.topology)


async def test_a_subject_that_another_stream_takes_is_told_in_a_sentence(bus: Bus) -> None:
    await bus.js.add_stream(
        name=f"{bus.topology.namespace}_OTHER", subjects=[bus.topology.task_submit]
    )
    try:
        with pytest.raises(SetupError, match="cannot be provisioned: subjects overlap"):
            await provision(bus.js, bus.topology)
    finally:
        await bus.js.delete_stream(f"{bus.topology.namespace}_OTHER")


async def test_it_never_goes_back_to_an_older_topology(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Topology, "VERSION", Topology.VERSION + 1)
    await provision(bus.js, bus.topology)
    monkeypatch.undo()
    older = Topology(bus.settings.model_copy(update={"events_max_age_s": 60.0}))

    assert await provision(bus.js, older) == []
    kept = (await bus.js.stream_info(bus.topology.stream("EVENTS"))).config
    assert kept.max_age == bus.settings.events_max_age_s


async def test_two_at_once_do_not_disturb_each_other(bus: Bus) -> None:
    await asyncio.gather(*(provision(bus.js, bus.topology) for _ in range(4)))

    assert await provision(bus.js, bus.topology) == []
    await wait_until_provisioned(bus.js, bus.topology, timeout_s=1)


async def test_whoever_waits_in_vain_is_told_what_to_do(bus: Bus) -> None:
    with pytest.raises(SetupError, match=r"does not exist .* start the mesh with `motet up`"):
        await wait_until_provisioned(bus.js, bus.topology, timeout_s=0.2)


async def test_a_consumer_follows_the_settings(bus: Bus) -> None:
    await provision(bus.js, bus.topology)
    stream = bus.topology.stream("CALLS")
    await ensure_consumer(bus.js, stream, bus.topology.consumer("weather", "now"))
    changed = Topology(bus.settings.model_copy(update={"ack_wait_s": 7.0}))

    await ensure_consumer(bus.js, stream, changed.consumer("weather", "now"))

    info = await bus.js.consumer_info(stream, "weather-now")
    assert info.config.ack_wait == 7.0


async def test_a_server_without_jetstream_is_told_in_a_sentence(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus.js, "_prefix", "$JS.ABSENT.API")

    with pytest.raises(SetupError, match=r"JetStream does not answer: .*`-js`"):
        await provision(bus.js, bus.topology)


async def process(server: TestServer, **variables: str) -> Process:
    """The provisioner's own process."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "motet.bus.provision"),
        env={**os.environ, "MOTET_NATS_URL": server.url, **variables},
        stdout=PIPE,
        stderr=PIPE,
    )


async def test_its_process_waits_for_a_server_that_starts(nats_server: TestServer) -> None:
    await nats_server.kill()
    provisioner = await process(nats_server)
    assert provisioner.stderr is not None
    first = (await provisioner.stderr.readline()).decode()
    assert "No NATS server answers" in first
    await nats_server.start()
    async with asyncio.timeout(30):
        _, said = await provisioner.communicate()
    assert provisioner.returncode == 0
    assert "the mesh is provisioned" in said.decode().splitlines()[-1]


async def test_its_process_can_be_told_to_stop_while_it_waits(nats_server: TestServer) -> None:
    """A container's first process has no default for a signal."""
    await nats_server.kill()
    provisioner = await process(nats_server)
    assert provisioner.stderr is not None
    await provisioner.stderr.readline()
    provisioner.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        _, said = await provisioner.communicate()
    assert provisioner.returncode == 128 + signal.SIGTERM
    assert said == b""


async def test_its_process_ends_with_a_sentence(nats_server: TestServer) -> None:
    await nats_server.kill()
    provisioner = await process(nats_server, MOTET_START_WITHIN_S="0")
    async with asyncio.timeout(30):
        _, said = await provisioner.communicate()
    assert provisioner.returncode == 2
    (line,) = said.decode().splitlines()
    assert line.startswith("provision: No NATS server answers")
