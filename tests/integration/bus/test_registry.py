"""Who lives: cards that come, are renewed, go, and expire."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from motet.bus import Announcement, Bucket, Bus, Registry, connection
from motet.errors import FaultError
from motet.messages import AgentCard, FaultType
from motet.telemetry import setup
from motet.testing import Line, TestMesh, TestServer, test_mesh
from tests.integration.bus.agents import echo, worker

WORKER = Path(__file__).with_name("patient_worker.py")
short = pytest.mark.mesh(card_ttl_s=0.6)


def names(cards: list[AgentCard]) -> list[str]:
    return [card.name for card in cards]


async def gone(registry: Registry, name: str, timeout_s: float = 10) -> None:
    """Waits until no live card is of a name; that a card expires is told to nobody."""
    async with asyncio.timeout(timeout_s):
        while name in names(registry.cards()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_agents_are_seen_while_they_are_there(mesh: TestMesh) -> None:
    assert await mesh.motet.agents() == []

    first = await mesh.join(worker(echo))
    second = await mesh.join(worker(echo, "other"))
    assert names(await mesh.motet.agents()) == ["other", "worker"]

    await mesh.leave(first)
    assert names(await mesh.motet.agents()) == ["other"]
    await mesh.leave(second)
    assert await mesh.motet.agents() == []


async def test_a_card_says_what_a_skill_takes_and_gives(mesh: TestMesh) -> None:
    await mesh.join(worker(echo, typical_s=2, side_effects=True))

    (card,) = await mesh.motet.agents()
    (skill,) = card.skills
    assert (skill.name, skill.typical_s, skill.side_effects) == ("work", 2, True)
    assert set(skill.input_schema["properties"]) == {"v", "text", "number"}


async def test_replicas_are_one_agent_until_the_last_leaves(mesh: TestMesh) -> None:
    first, second = await mesh.join(worker(echo)), await mesh.join(worker(echo))
    assert names(await mesh.motet.agents()) == ["worker"]

    await mesh.leave(first)
    assert names(await mesh.motet.agents()) == ["worker"]
    await mesh.leave(second)
    assert await mesh.motet.agents() == []


async def test_waiting_for_agents(mesh: TestMesh) -> None:
    waiting = asyncio.create_task(mesh.motet.wait_for_agents({"worker", "other"}, 10))
    await mesh.join(worker(echo))
    await mesh.join(worker(echo, "other"))

    assert await waiting == set()
    assert await mesh.motet.wait_for_agents({"worker", "never"}, 0.05) == {"never"}


@short
async def test_the_card_of_a_killed_process_expires(mesh: TestMesh) -> None:
    await mesh.join(worker(echo, "other"))
    process = await mesh.spawn("worker", WORKER)
    registry = Registry(mesh.bus)
    await registry.start()
    assert names(registry.cards()) == ["other", "worker"]

    process.signal(signal.SIGKILL)
    await process.wait()

    await gone(registry, "worker")
    assert names(registry.cards()) == ["other"]
    await registry.stop()


@short
async def test_cards_are_renewed_for_as_long_as_their_agents_live(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))
    registry = Registry(mesh.bus)
    await registry.start()
    loop = asyncio.get_running_loop()

    until = loop.time() + 3 * mesh.settings.card_ttl_s
    while loop.time() < until:
        assert names(registry.cards()) == ["worker"]
        await asyncio.sleep(0.02)
    await registry.stop()


async def test_a_restart_of_the_server_does_not_blind_it(
    nats_server: TestServer, tmp_path: Path
) -> None:
    async with test_mesh(nats_server.url, tmp_path, card_ttl_s=2.0) as mesh:
        await mesh.join(worker(echo))
        registry = Registry(mesh.bus)
        await registry.start()

        await nats_server.restart()

        # The agent that was there never seems gone, and one that comes is seen.
        joining = asyncio.create_task(mesh.join(worker(echo, "other")))
        async with asyncio.timeout(15):
            while names(registry.cards()) != ["other", "worker"]:
                assert "worker" in names(registry.cards())
                await asyncio.sleep(0.02)
        await joining
        await registry.stop()


@short
async def test_a_watch_over_a_line_that_went_dead_is_begun_anew(
    mesh: TestMesh, nats_url: str
) -> None:
    async with Line.to(nats_url) as line:
        far = mesh.settings.model_copy(update={"nats_url": line.url})
        async with Bus.open(far, setup("test", far)) as bus:
            registry = Registry(bus)
            await registry.start()
            await line.cut()
            await mesh.join(worker(echo))
            await line.mend()
            assert await registry.wait_for({"worker"}, 10) == set()
            await registry.stop()


async def test_who_cannot_be_asked_is_a_fault_and_no_hang(
    mesh: TestMesh, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "GIVE_UP_S", 0.3)
    async with Line.to(nats_url) as line:
        far = mesh.settings.model_copy(update={"nats_url": line.url})
        async with Bus.open(far, setup("test", far)) as bus:
            line.hold()
            registry = Registry(bus)
            with pytest.raises(FaultError, match="does not say which agents there are") as raised:
                await registry.start()
            assert raised.value.fault.type == FaultType.UNAVAILABLE
            line.release()


async def test_an_unreadable_card_hides_no_other(mesh: TestMesh) -> None:
    await Bucket(mesh.bus, "agents").put("broken.x", b"not json")
    await Bucket(mesh.bus, "agents").put("future.x", b'{"v": 2}')
    announcement = Announcement(mesh.bus, worker(echo).card("y"))
    await announcement.start()

    assert names(await mesh.motet.agents()) == ["worker"]
    await announcement.stop()
