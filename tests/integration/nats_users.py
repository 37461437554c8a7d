"""A NATS server that knows Motet's users, and settings that sign on as each of them."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from motet.bus.permissions import AgentRole
from motet.bus.users import KeyRing, accounts_by_key, tenant
from motet.embedded.nats import server_binary
from motet.embedded.processes import OwnedProcess, ProcessOwner, ProcessSpec
from motet.settings import Settings

CONFIGURATION = """
listen: 127.0.0.1:{port}
server_name: secured
jetstream {{ store_dir: {folder}/store, max_file_store: 1TB }}
max_payload: 8MB
include accounts.conf
{more}
"""

VIOLATION = re.compile(r"(\w+) Violation - .*", re.IGNORECASE)


class SecuredServer:
    """A server of the test's own, with the users of some namespaces."""

    def __init__(self, folder: Path, process: OwnedProcess, url: str) -> None:
        self.folder = folder
        self.process = process
        self.url = url

    def violations(self) -> list[str]:
        """What the server has refused, as its log says it."""
        text = (self.folder / "nats.log").read_text()
        return [found[0] for found in VIOLATION.finditer(text)]

    def reload(self) -> None:
        """Has it read its configuration again."""
        self.process.signal(signal.SIGHUP)


@asynccontextmanager
async def secured_server(
    folder: Path, accounts: str, *, more: str = "", scheme: str = "nats"
) -> AsyncGenerator[SecuredServer]:
    """Runs a server with accounts.

    Args:
        folder: Where its configuration, its log and its store are.
        accounts: What stands in accounts.conf.
        more: More for its configuration, such as TLS.
        scheme: What its URL begins with.
    """
    config = folder / "nats.conf"
    write_configuration(folder, accounts, more)
    command = (str(server_binary()), "-c", str(config), "--ports_file_dir", str(folder))
    log = folder / "nats.log"

    def port() -> int | None:
        for file in folder.glob("*.ports"):
            try:
                return int(json.loads(file.read_text())["nats"][0].rpartition(":")[2])
            except (ValueError, KeyError, IndexError):
                return None
        return None

    async with ProcessOwner(grace_s=2) as owner:
        process = await owner.start(ProcessSpec("nats-server", command, log))
        number = await process.ready(port, within_s=20, what="has not opened its port")
        # A restart, and a reload, must find the port that clients know.
        write_configuration(folder, accounts, more, number)
        yield SecuredServer(folder, process, f"{scheme}://127.0.0.1:{number}")


def write_configuration(folder: Path, accounts: str, more: str, port: int = -1) -> None:
    """Writes what the server reads when it starts, and when it is told to."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "accounts.conf").write_text(accounts)
    text = CONFIGURATION.format(port=port, folder=folder, more=more)
    (folder / "nats.conf").write_text(text)


class Users:
    """The keys of a namespace's users."""

    def __init__(self, folder: Path, namespace: str, own: tuple[AgentRole, ...] = ()) -> None:
        self.ring = KeyRing(folder)
        self.folder = folder
        self.tenant = tenant(Settings(namespace=namespace), own)
        self.ring.make(["sys", *self.tenant.users])

    @property
    def accounts(self) -> str:
        """The accounts as the server is to know them."""
        return accounts_by_key([self.tenant], self.ring)

    def signed(self, settings: Settings, role: str) -> Settings:
        """Settings with which a process signs on as a role."""
        values: dict[str, Any] = {"nats_nkey": self.folder / f"{self.name(settings, role)}.seed"}
        values["nats_user"] = self.name(settings, role)
        return settings.model_copy(update=values)

    def name(self, settings: Settings, role: str) -> str:
        """The name of a role's user."""
        return role if settings.namespace == "motet" else f"{settings.namespace}-{role}"
