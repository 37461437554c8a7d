"""A mesh on a NATS server that knows Motet's users, where each process signs on as its own."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from faststream import FastStream

from motet.agent import Agent
from motet.bus import Bus, provision
from motet.bus.permissions import AGENTS, AgentRole
from motet.bus.users import KeyRing, accounts_by_key, tenant
from motet.client import Motet
from motet.embedded.nats import server_binary
from motet.embedded.processes import OwnedProcess, ProcessOwner, ProcessSpec
from motet.settings import Settings
from motet.telemetry import Telemetry, setup
from motet.testing import TestMesh
from motet.testing.recorder import SpanRecorder

CONFIGURATION = """
listen: 127.0.0.1:{port}
server_name: secured
jetstream {{ store_dir: "{folder}/store", max_file_store: 1TB }}
max_payload: 8MB
include accounts.conf
{more}
"""

VIOLATION = re.compile(r"\w+ Violation - .*", re.IGNORECASE)
RELOADED = "Reloaded server configuration"


class SecuredServer:
    """A server of the test's own."""

    def __init__(self, folder: Path, process: OwnedProcess, scheme: str, port: int) -> None:
        self._folder = folder
        self._port = port
        self.process = process
        self.url = f"{scheme}://127.0.0.1:{port}"

    @property
    def log(self) -> str:
        return (self._folder / "nats.log").read_text()

    def violations(self) -> list[str]:
        """What the server has refused, as its log says it."""
        return [found[0] for found in VIOLATION.finditer(self.log)]

    async def reload(self, accounts: str, more: str = "") -> None:
        """Gives it another configuration; returns when it has taken that up."""
        before = self.log.count(RELOADED)
        write_configuration(self._folder, accounts, more, self._port)
        self.process.signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            while self.log.count(RELOADED) == before:  # noqa: ASYNC110 - a log gives no event
                await asyncio.sleep(0.01)


def write_configuration(folder: Path, accounts: str, more: str, port: int = -1) -> None:
    """Writes what the server reads when it starts, and when it is told to."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "accounts.conf").write_text(accounts)
    text = CONFIGURATION.format(port=port, folder=folder, more=more)
    (folder / "nats.conf").write_text(text)


@asynccontextmanager
async def secured_server(
    folder: Path,
    accounts: str,
    *,
    more: str = "",
    scheme: str = "nats",
    env: Mapping[str, str] | None = None,
) -> AsyncGenerator[SecuredServer]:
    """Runs a server with accounts.

    Args:
        folder: Where its configuration, its log and its store are.
        accounts: What stands in accounts.conf.
        more: More for its configuration, such as TLS.
        scheme: What its URL begins with.
        env: Its environment, where passwords are.
    """
    write_configuration(folder, accounts, more)
    config = str(folder / "nats.conf")
    command = (str(server_binary()), "-c", config, "--ports_file_dir", str(folder))

    def port() -> int | None:
        for file in folder.glob("*.ports"):
            try:
                return int(json.loads(file.read_text())["nats"][0].rpartition(":")[2])
            except (ValueError, KeyError, IndexError):
                return None
        return None

    async with ProcessOwner(grace_s=2) as owner:
        log = folder / "nats.log"
        process = await owner.start(ProcessSpec("nats-server", command, log, env=dict(env or {})))
        number = await process.ready(port, within_s=20, what="has not opened its port")
        # A reload must find the port that clients know.
        write_configuration(folder, accounts, more, number)
        yield SecuredServer(folder, process, scheme, number)


class Users:
    """The keys of a namespace's users, and of one that may do anything, for the test itself."""

    def __init__(self, folder: Path, namespace: str = "motet") -> None:
        self.folder = folder
        self.ring = KeyRing(folder)
        self.own: dict[str, AgentRole] = {}
        self._settings = Settings(namespace=namespace)
        self.ring.make(["anybody", "sys"])

    def accounts(self) -> str:
        """The accounts as the server is to know them."""
        made = tenant(self._settings, self.own.values())
        self.ring.make(made.users)
        text = accounts_by_key([made], self.ring)
        (key,) = self.ring.public("anybody")
        return text.replace("users: [", f"users: [ {{ nkey: {key} }}", 1)

    def signed(self, settings: Settings, role: str) -> Settings:
        """Settings with which a process signs on as a role."""
        user = role if settings.namespace == "motet" else f"{settings.namespace}-{role}"
        if role == "anybody":
            user = role
        update = {"nats_user": user, "nats_nkey": self.folder / f"{user}.seed"}
        return settings.model_copy(update=update)


class SecuredMesh(TestMesh):
    """A mesh in which every agent, and the client, signs on as its own user."""

    __test__ = False

    def __init__(
        self,
        server: SecuredServer,
        users: Users,
        buses: tuple[Bus, Bus],
        recorder: SpanRecorder,
        folder: Path,
        stack: AsyncExitStack,
    ) -> None:
        own, operators = buses
        super().__init__(own, recorder, folder, stack)
        self.server = server
        self.users = users
        self.operators_bus = operators
        self.motet = Motet(operators)

    async def join(
        self,
        agent: Agent,
        *,
        context: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
        telemetry: Telemetry | None = None,
    ) -> FastStream:
        await self._know(agent)
        signed = self.users.signed(settings or self.settings, agent.name)
        return await super().join(agent, context=context, settings=signed, telemetry=telemetry)

    async def client(self, role: str) -> Motet:
        """A client that signs on as a role."""
        return Motet(await self.bus_of(role))

    async def bus_of(self, role: str) -> Bus:
        """A connection that signs on as a role."""
        settings = self.users.signed(self.settings, role)
        bus = Bus.open(settings, setup(role, settings), client=role)
        return await self._stack.enter_async_context(bus)

    async def _know(self, agent: Agent) -> None:
        """Makes a user for an agent that is not Motet's."""
        known = {role.name: role for role in (*AGENTS, *self.users.own.values())}.get(agent.name)
        skills = tuple(agent.skills)
        if known is not None and set(skills) <= set(known.skills):
            return
        assert known is None or agent.name in self.users.own, f"{agent.name} has other skills"
        self.users.own[agent.name] = AgentRole(
            agent.name,
            skills,
            calls=("*.*",),
            tasks=agent.task_function is not None,
            finished=agent.finished_function is not None,
        )
        await self.server.reload(self.users.accounts())


@asynccontextmanager
async def secured_mesh(folder: Path, **settings: Any) -> AsyncGenerator[SecuredMesh]:
    """A mesh on a server of its own. What it refuses is in `SecuredMesh.server.violations()`."""
    values: dict[str, Any] = {
        "namespace": "motet",
        "data_dir": folder / "data",
        "cache_dir": folder / "cache",
        "stream_max_bytes": 64 << 20,
        "retry_delay_s": 0.02,
        **settings,
    }
    users = Users(folder / "keys", values["namespace"])
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(secured_server(folder / "nats", users.accounts()))
        chosen = Settings(nats_url=server.url, **values)
        recorder = SpanRecorder(chosen.namespace)
        telemetry = recorder.record(setup("test", chosen))
        provisioner = users.signed(chosen, "provision")
        async with Bus.open(provisioner, telemetry, client="provision") as bus:
            await provision(bus.js, bus.topology)
        own, operators = [
            await stack.enter_async_context(
                Bus.open(users.signed(chosen, role), telemetry, client=role)
            )
            for role in ("anybody", "operator")
        ]
        # Commands that a test runs are the operator's.
        own.settings = operators.settings
        yield SecuredMesh(server, users, (own, operators), recorder, folder, stack)
