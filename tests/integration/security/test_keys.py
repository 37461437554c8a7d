"""`motet nats`: keys are made once, rotated without a gap, and accounts do not meet."""

from __future__ import annotations

import asyncio
import shlex
import stat
from contextlib import AsyncExitStack
from pathlib import Path

import nkeys
import pytest
from faststream import FastStream
from typer.testing import CliRunner

from motet.bus import Bus
from motet.cli.main import app
from motet.client import Motet
from motet.errors import SetupError
from motet.runtime import running
from motet.settings import Settings
from motet.telemetry import setup
from motet.testing.mesh import runner
from tests.integration.security.secured import SecuredServer, secured_server
from tests.integration.security.test_signing_on import (
    Sum,
    Total,
    adder,
    opened,
    provisioned,
    settings_at,
)


def motet(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, ["nats", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, ["nats", *map(str, arguments)])
    assert done.exit_code in (2, 3), done.output
    return " ".join(done.output.split())


def signed(server: SecuredServer, folder: Path, user: str, namespace: str = "motet") -> Settings:
    settings = settings_at(server, folder, nats_user=user, nats_nkey=folder / f"{user}.seed")
    return settings.model_copy(update={"namespace": namespace})


def test_keys_are_secret_and_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert motet("keys", folder).strip() == str(folder / "accounts.conf")
    seeds = {file.name: file.read_text() for file in folder.glob("*.seed")}
    assert {"planner.seed", "tool_executor.seed", "operator.seed", "sys.seed"} <= set(seeds)
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.glob("*.seed")} == {0o600}
    assert all(nkeys.from_seed(bytearray(seed.strip().encode())) for seed in seeds.values())
    accounts = (folder / "accounts.conf").read_text()
    assert not any(seed.strip() in accounts for seed in seeds.values())

    motet("keys", folder, "--agent", "weather.forecast")

    assert {name: (folder / name).read_text() for name in seeds} == seeds
    assert (folder / "weather.seed").exists()
    assert (
        motet("users", "--auth", "nkey", "--keys", folder, "--agent", "weather.forecast")
        == (folder / "accounts.conf").read_text()
    )


async def test_a_key_is_rotated_while_calls_go_on(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    motet("keys", keys)
    accounts = keys / "accounts.conf"
    async with secured_server(tmp_path / "nats", accounts.read_text()) as server:
        await provisioned(signed(server, keys, "provision"))
        agent, operator = (signed(server, keys, user) for user in ("tool_executor", "operator"))
        over = asyncio.Event()

        async def keep_calling(motet: Motet) -> int:
            count = 0
            while not over.is_set():
                request = Sum(left=count, right=1)
                called = await motet.call("tool_executor.calculate", request, Total, timeout_s=20)
                count = called.total
            return count

        async with Motet.open(operator) as client:
            async with running(adder(), agent, setup("one", agent)):
                calling = asyncio.create_task(keep_calling(client))
                motet("keys", keys, "--rotate", "tool_executor")
                await server.reload(accounts.read_text())
                second = AsyncExitStack()
                await second.enter_async_context(running(adder(), agent, setup("two", agent)))
            # The one with the old key has left.
            motet("keys", keys, "--retire", "tool_executor")
            await server.reload(accounts.read_text())
            assert await client.call("tool_executor.calculate", {"left": 1, "right": 1}, Total)
            over.set()
            assert await calling > 0
            await second.aclose()
        assert server.violations() == []


async def test_a_retired_key_is_not_let_in(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    motet("keys", keys)
    old = (keys / "client.seed").read_text()
    accounts = keys / "accounts.conf"
    async with secured_server(tmp_path / "nats", accounts.read_text()) as server:
        client = signed(server, keys, "client")
        async with Bus.open(client, setup("client", client)) as bus:
            motet("keys", keys, "--rotate", "client")
            await server.reload(accounts.read_text())
            await opened(client, "client")
            (tmp_path / "old.seed").write_text(old)
            with_old = client.model_copy(update={"nats_nkey": tmp_path / "old.seed"})
            await opened(with_old, "client")
            assert bus.connections == 0

            motet("keys", keys, "--retire", "client")
            await server.reload(accounts.read_text())
            await opened(client, "client")
            with pytest.raises(SetupError, match="does not let the user 'client' in"):
                await opened(with_old, "client")
            async with asyncio.timeout(5):
                while bus.client.is_connected:  # noqa: ASYNC110 - nobody tells of it
                    await asyncio.sleep(0.01)
            assert not bus.client.is_closed


async def test_an_agent_whose_key_is_retired_is_not_ready_until_it_is_let_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = tmp_path / "keys"
    motet("keys", keys)
    accounts = keys / "accounts.conf"
    first = accounts.read_text()
    async with secured_server(tmp_path / "nats", first) as server:
        await provisioned(signed(server, keys, "provision"))
        agent = signed(server, keys, "tool_executor")
        async with running(adder(), agent, setup("tool_executor", agent)) as app:
            assert await runner(app).ready()
            motet("keys", keys, "--rotate", "tool_executor")
            motet("keys", keys, "--retire", "tool_executor")
            await server.reload(accounts.read_text())
            await until_ready(app, ready=False)
            said = "does not let the user 'tool_executor' in any more"
            async with asyncio.timeout(10):
                while said not in caplog.text:  # noqa: ASYNC110 - a log gives no event
                    await asyncio.sleep(0.02)
            await server.reload(first)
            await until_ready(app, ready=True)
            assert caplog.text.count(said) == 1
            operator = signed(server, keys, "operator")
            async with Motet.open(operator) as client:
                assert await client.call("tool_executor.calculate", Sum(left=1, right=1), Total)


async def until_ready(app: FastStream, *, ready: bool) -> None:
    async with asyncio.timeout(20):
        while await runner(app).ready() != ready:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.02)


async def test_namespaces_do_not_meet(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    motet("keys", keys, "--namespace", "motet", "--namespace", "acme")
    accounts = (keys / "accounts.conf").read_text()
    async with secured_server(tmp_path / "nats", accounts) as server:
        await provisioned(signed(server, keys, "provision"))
        await provisioned(signed(server, keys, "acme-provision", "acme"))
        acme = signed(server, keys, "acme-client", "acme")
        mine = signed(server, keys, "operator")
        async with Motet.open(acme) as theirs, Motet.open(mine) as ours:
            await theirs.submit("A secret")
            await ours.submit("Another")
        async with Bus.open(mine, setup("operator", mine)) as bus:
            assert (await bus.js.stream_info("TASKS")).state.messages == 1
        assert server.violations() == []


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    assert "needs --keys" in refused("users", "--auth", "nkey")
    assert "no key of 'planner'" in refused("users", "--auth", "nkey", "--keys", tmp_path / "none")
    assert "agent.skill" in refused("users", "--agent", "weather")
    assert "another name" in refused("users", "--agent", "planner.plan")
    assert "agent=other.skill" in refused("users", "--calls", "weather=retriever.search")
    assert "There is no user 'me'" in refused("keys", tmp_path / "keys", "--rotate", "me")
    assert "no old key" in refused("keys", tmp_path / "keys", "--retire", "planner")
    motet("keys", tmp_path / "keys", "--rotate", "planner")
    assert "two keys" in refused("keys", tmp_path / "keys", "--rotate", "planner")


def test_the_commands_for_jwts_name_every_user_and_permission() -> None:
    words = shlex.split(motet("users", "--auth", "jwt"))
    names = [words[at + 1] for at, word in enumerate(words) if word == "--name"]
    assert {"planner", "tool_executor", "operator"} <= set(names)
    allowed = [words[at + 1] for at, word in enumerate(words) if word == "--allow-pub"]
    assert len(allowed) == len(names)
    assert "$KV.results.*.*" in allowed[names.index("tool_executor")].split(",")
