"""Signing on: passwords, keys and JWTs are taken; what is wrong is told in a sentence."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from motet.agent import Agent
from motet.bus import Bus, provision
from motet.bus.permissions import permissions
from motet.bus.topology import Topology
from motet.bus.users import accounts_by_password, tenant
from motet.client import Motet
from motet.embedded.services import environment
from motet.errors import SetupError
from motet.runtime import running
from motet.settings import Settings
from motet.telemetry import setup
from tests.integration.security.jwts import Operator
from tests.integration.security.secured import SecuredServer, Users, secured_server

PASSWORDS = {
    f"MOTET_NATS_PASSWORD_{name.upper()}": f"secret{number}"
    for number, name in enumerate((*permissions(Topology(Settings(namespace="motet"))), "sys"))
}


class Sum(BaseModel):
    left: int
    right: int


class Total(BaseModel):
    total: int


def adder() -> Agent:
    agent = Agent("tool_executor", "Adds.")

    @agent.skill("calculate", "Adds two numbers.")
    async def calculate(request: Sum) -> Total:
        return Total(total=request.left + request.right)

    return agent


def settings_at(server: SecuredServer, folder: Path, **values: Any) -> Settings:
    return Settings(
        nats_url=server.url,
        namespace="motet",
        data_dir=folder / "data",
        cache_dir=folder / "cache",
        stream_max_bytes=64 << 20,
        **values,
    )


async def opened(settings: Settings, role: str) -> None:
    async with Bus.open(settings, setup(role, settings), client=role):
        pass


async def provisioned(settings: Settings) -> None:
    async with Bus.open(settings, setup("provision", settings), client="provision") as bus:
        await provision(bus.js, bus.topology)


async def answers(agents: Settings, operators: Settings) -> bool:
    """Whether an agent and a client that sign on so find each other."""
    async with (
        running(adder(), agents, setup("tool_executor", agents)),
        Motet.open(operators) as motet,
    ):
        called = await motet.call("tool_executor.calculate", Sum(left=2, right=3), Total)
    return called == Total(total=5)


@asynccontextmanager
async def with_passwords(folder: Path) -> AsyncIterator[SecuredServer]:
    accounts = accounts_by_password([tenant(Settings(namespace="motet"))])
    async with secured_server(folder, accounts, env=PASSWORDS) as server:
        yield server


def by_password(server: SecuredServer, folder: Path, role: str) -> Settings:
    password = SecretStr(PASSWORDS[f"MOTET_NATS_PASSWORD_{role.upper()}"])
    return settings_at(server, folder, nats_user=role, nats_password=password)


async def test_passwords(tmp_path: Path) -> None:
    async with with_passwords(tmp_path / "nats") as server:
        await provisioned(by_password(server, tmp_path, "provision"))
        agents, operators = (
            by_password(server, tmp_path, role) for role in ("tool_executor", "operator")
        )
        assert await answers(agents, operators)
        assert server.violations() == []


async def test_a_user_is_named_for_its_agent(tmp_path: Path) -> None:
    async with with_passwords(tmp_path / "nats") as server:
        named = by_password(server, tmp_path, "provision")
        await opened(named.model_copy(update={"nats_user": None}), "provision")


async def test_the_users_of_a_namespace(tmp_path: Path) -> None:
    users = Users(tmp_path / "keys", "acme")
    async with secured_server(tmp_path / "nats", users.accounts()) as server:
        plain = settings_at(server, tmp_path).model_copy(update={"namespace": "acme"})
        await provisioned(users.signed(plain, "provision"))
        agents, operators = (users.signed(plain, role) for role in ("tool_executor", "operator"))
        assert await answers(agents, operators)
        assert server.violations() == []


async def test_jwts(tmp_path: Path) -> None:
    operator = Operator()
    rules = permissions(Topology(Settings(namespace="motet")))
    for role, each in rules.items():
        operator.user(tmp_path / f"{role}.creds", role, each)
    async with secured_server(tmp_path / "nats", operator.configuration()) as server:

        def signed(role: str) -> Settings:
            return settings_at(
                server, tmp_path, nats_user=role, nats_credentials=tmp_path / f"{role}.creds"
            )

        await provisioned(signed("provision"))
        assert await answers(signed("tool_executor"), signed("operator"))
        assert server.violations() == []
        async with Bus.open(signed("client"), setup("c", signed("client"))) as bus:
            with pytest.raises(Exception, match="does not let the user 'client'"):
                await bus.store("motet.call.tool_executor.calculate", b"{}")


async def test_a_jwt_is_renewed_in_its_file(tmp_path: Path) -> None:
    operator = Operator()
    rules = permissions(Topology(Settings(namespace="motet")))["client"]
    file = tmp_path / "client.creds"
    operator.user(file, "client", rules, expires=int(time.time()) + 2)
    async with secured_server(tmp_path / "nats", operator.configuration()) as server:
        settings = settings_at(server, tmp_path, nats_user="client", nats_credentials=file)
        async with Bus.open(settings, setup("client", settings)) as bus:
            operator.user(file, "client", rules)
            async with asyncio.timeout(15):
                while not bus.connections:  # noqa: ASYNC110 - nobody tells of a reconnect
                    await asyncio.sleep(0.05)
                await bus.client.flush()


async def test_who_is_not_let_in(tmp_path: Path) -> None:
    users = Users(tmp_path / "keys")
    async with secured_server(tmp_path / "nats", users.accounts()) as server:
        nobody = settings_at(server, tmp_path, start_within_s=0)
        wrong = nobody.model_copy(
            update={"nats_user": "planner", "nats_password": SecretStr("guessed")}
        )
        for settings in (nobody, wrong):
            for attempt in (
                opened(settings, "planner"),
                answers(settings, settings),
            ):
                with pytest.raises(SetupError) as raised:
                    await attempt
                assert "does not let the user" in str(raised.value)
                assert "MOTET_NATS_PASSWORD" in str(raised.value)
                assert "guessed" not in str(raised.value)


async def test_a_service_that_is_not_let_in_ends_with_a_sentence(tmp_path: Path) -> None:
    users = Users(tmp_path / "keys")
    async with secured_server(tmp_path / "nats", users.accounts()) as server:
        settings = settings_at(server, tmp_path)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "motet_tool_executor"),
            env={**environment(settings), "MOTET_START_WITHIN_S": "0.5"},
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 2
    last = said.decode().strip().splitlines()[-1]
    assert last.startswith("tool_executor: The NATS server at")
    assert "does not let the user 'tool_executor' in" in last
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    "variables, said",
    [
        ({"nats_nkey": "none.seed"}, "MOTET_NATS_NKEY='{}/none.seed' cannot be read"),
        ({"nats_nkey": "text"}, "holds no seed of a user's nkey"),
        ({"nats_nkey": "torn.seed"}, "holds a seed that is not whole"),
        ({"nats_credentials": "none.creds"}, "MOTET_NATS_CREDENTIALS='{}/none.creds' cannot"),
        ({"nats_credentials": "text"}, "is no credentials file"),
        ({"nats_credentials": "text", "nats_nkey": "text"}, "set one of them"),
        ({"nats_ca": "none.pem"}, "MOTET_NATS_CA='{}/none.pem' cannot be read"),
        ({"nats_ca": "text"}, "holds no certificate"),
        ({"nats_cert": "text"}, "MOTET_NATS_CERT='{}/text' cannot be used"),
        ({"nats_cert_key": "text"}, "MOTET_NATS_CERT is not"),
    ],
)
async def test_files_that_are_wrong(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    (tmp_path / "text").write_text("no key")
    (tmp_path / "torn.seed").write_text("SUAIBDPBAUTW")
    paths = {name: tmp_path / file for name, file in variables.items()}
    settings = Settings(nats_url="nats://127.0.0.1:9", **paths)
    for attempt in (opened(settings, "planner"), answers(settings, settings)):
        with pytest.raises(SetupError) as raised:
            await attempt
        assert said.format(tmp_path) in str(raised.value)


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    settings = Settings(nats_user="planner", nats_password=SecretStr("hush"))
    assert "hush" not in f"{settings!r} {settings.model_dump_json()}"
    assert environment(settings)["MOTET_NATS_PASSWORD"] == "hush"
