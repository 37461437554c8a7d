"""The mesh on one machine: up quickly, found, watched, and gone without a trace."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from motet.bus import Bus
from motet.client import Motet
from motet.embedded import EmbeddedMesh, running_mesh
from motet.embedded.processes import ProcessDiedError
from motet.errors import SetupError
from motet.messages import TaskState
from motet.settings import Settings, load_settings
from tests.integration.embedded_agents import BROKEN, ECHO, install

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with folders of their own, a model elsewhere and an agent that echoes."""
    install(tmp_path / "site", monkeypatch, echo=ECHO, broken=BROKEN)
    return load_settings(
        data_dir=tmp_path / "data",
        cache_dir=tmp_path / "cache",
        model="openai:none",
        model_url="http://127.0.0.1:9/v1",
        embedding_model="openai:none",
        stream_max_bytes=32 << 20,
    )


async def test_a_mesh_comes_up_does_a_task_and_leaves_nothing(settings: Settings) -> None:
    async with EmbeddedMesh(settings, agents=["echo"], on_death="end") as mesh:
        processes = [psutil.Process(process.pid) for process in mesh.processes.values()]
        assert set(mesh.processes) == {"nats-server", "echo"}
        assert mesh.timings["all"] < 10
        async with Motet.open(mesh.settings) as motet:
            task = await motet.submit("say this")
            record = await mesh.run(task.result(30))
        assert record.state == TaskState.SUCCEEDED
        assert record.answer is not None
        assert record.answer.text == "say this"
        mebibytes = {process.name(): process.memory_info().rss / 2**20 for process in processes}
        assert max(mebibytes.values()) < 150, mebibytes
    assert [process for process in processes if process.is_running()] == []
    assert list((settings.data_dir / "spans").glob("*.jsonl"))


async def test_other_commands_find_a_running_mesh(settings: Settings) -> None:
    assert running_mesh(settings.data_dir) is None
    async with EmbeddedMesh(settings, agents=["echo"]) as mesh:
        found = running_mesh(settings.data_dir)
        assert found is not None
        assert found.pid == os.getpid()
        assert found.nats_url == mesh.settings.nats_url
        assert {process.name for process in found.processes} == {"nats-server", "echo"}
        assert all(process.log.exists() for process in found.processes)
    assert running_mesh(settings.data_dir) is None


async def test_what_was_stored_survives_a_restart(settings: Settings) -> None:
    async with (
        EmbeddedMesh(settings, agents=["echo"]) as mesh,
        Motet.open(mesh.settings) as motet,
    ):
        task = await motet.submit("remember")
        await task.result(30)
    async with (
        EmbeddedMesh(settings, agents=["echo"]) as mesh,
        Motet.open(mesh.settings) as motet,
    ):
        record = await motet.task(task.id).record()
        assert record is not None
        assert record.state == TaskState.SUCCEEDED


async def test_a_dead_service_is_reported_and_started_again(settings: Settings) -> None:
    notices: list[str] = []
    again = asyncio.Event()

    def notice(text: str) -> None:
        notices.append(text)
        if "runs again" in text:
            again.set()

    async with EmbeddedMesh(settings, agents=["echo"], notice=notice) as mesh:
        mesh.processes["echo"].signal(signal.SIGKILL)
        await asyncio.wait_for(again.wait(), 30)
        assert "echo was ended by SIGKILL" in notices[0]
        assert "Starting it again in 0.5 s" in notices[0]
        state = running_mesh(settings.data_dir)
        assert state is not None
        assert mesh.processes["echo"].pid in {process.pid for process in state.processes}
        async with Motet.open(mesh.settings) as motet:
            assert (await (await motet.submit("again")).result(30)).answer is not None


async def test_nats_is_started_again_on_its_port_and_keeps_what_it_had(
    settings: Settings,
) -> None:
    again = asyncio.Event()

    def notice(text: str) -> None:
        if "nats-server runs again" in text:
            again.set()

    async with EmbeddedMesh(settings, agents=["echo"], notice=notice) as mesh:
        async with Motet.open(mesh.settings) as motet:
            before = await (await motet.submit("before")).result(30)
        mesh.processes["nats-server"].signal(signal.SIGKILL)
        await asyncio.wait_for(again.wait(), 30)
        async with Motet.open(mesh.settings) as motet:
            assert await motet.task(before.id).record() == before
            after = await (await motet.submit("after")).result(60)
            assert after.state == TaskState.SUCCEEDED


async def test_a_dead_service_ends_a_mesh_that_is_told_so(settings: Settings) -> None:
    async with EmbeddedMesh(settings, agents=["echo"], on_death="end") as mesh:
        mesh.processes["echo"].signal(signal.SIGKILL)
        with pytest.raises(ProcessDiedError, match="echo was ended by SIGKILL"):
            await mesh.run(asyncio.sleep(60))


async def test_a_service_that_cannot_start_is_named_with_its_last_words(
    settings: Settings,
) -> None:
    with pytest.raises(ProcessDiedError, match=r"broken ended.*\n.*locked by process 17"):
        async with EmbeddedMesh(settings, agents=["echo", "broken"]):
            pass
    assert running_mesh(settings.data_dir) is None


async def test_one_mesh_a_data_folder(settings: Settings) -> None:
    async with EmbeddedMesh(settings, agents=["echo"]):
        with pytest.raises(SetupError, match=rf"already runs in .*process {os.getpid()}"):
            async with EmbeddedMesh(settings, agents=["echo"]):
                pass


async def test_the_streams_are_provisioned(settings: Settings) -> None:
    from motet.telemetry import setup

    async with (
        EmbeddedMesh(settings, agents=["echo"]) as mesh,
        Bus.open(mesh.settings, setup("test", mesh.settings)) as bus,
    ):
        names = {stream.config.name for stream in await bus.js.streams_info()}
    assert {"TASKS", "CALLS", "EVENTS", "DEAD", "KV_agents", "KV_results"} <= names


async def test_a_client_finds_the_running_mesh_without_an_address(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MOTET_NATS_URL", raising=False)
    monkeypatch.setenv("MOTET_DATA_DIR", str(settings.data_dir))
    async with EmbeddedMesh(settings, agents=["echo"]) as mesh:
        async with Motet.open() as motet:
            task = await motet.submit("say this")
            record = await mesh.run(task.result(30))
        assert record.answer is not None
        assert record.answer.text == "say this"
    # An address in the environment goes before it.
    monkeypatch.setenv("MOTET_NATS_URL", "nats://127.0.0.1:1")
    with pytest.raises(SetupError, match=r"127\.0\.0\.1:1"):
        async with Motet.open():
            pass
