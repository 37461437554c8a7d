"""The embedded graph server: ArcadeDB from its wheel, with its own Java, as a child process.

Invariants:

- It listens on loopback only, on free ports, for two users with random passwords of this start:
  one who may do everything, one who may only read. The passwords are on no command line: Java reads
  them from a file that only its owner can read and that is removed once the server is up.
- One process has the folder; the claim ends with that process, however it ends.
- It ends with this process, also after `kill -9`: a shell between the two holds the other end of a
  pipe and ends Java when the pipe closes.
- It is started again, on the same port, when it dies; clients connect anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from motet.errors import SetupError

__all__ = ["DATABASE", "ArcadeDBServer", "Credentials", "embedded_server"]

log = logging.getLogger(__name__)

DATABASE = "motet"
"""Name of the graph in the server."""
WRITER = "root"
READER = "reader"
HOST = "127.0.0.1"
READY_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0
MAX_COMMAND_MS = 31_000
"""The server's own limit to a command: a little over the longest `GraphQueryRequest.timeout_s`."""
_POLL_S = 0.02

_PORT = re.compile(r"Listening for incoming BOLT connections on \S*:(\d+) ")
_READY = "ArcadeDB Server started in"

_BETWEEN = """
exec 3<&0
"$@" 3<&- </dev/null & java=$!
{ read -r _ <&3; kill -TERM $java; sleep 8; kill -KILL $java; } 2>/dev/null & watch=$!
trap 'kill -TERM $java' TERM
trap '' INT HUP
while kill -0 $java 2>/dev/null; do wait $java; status=$?; done
kill $watch 2>/dev/null
exit $status
"""
"""Runs Java, and ends it when standard input closes: that is when its owner is gone."""


class Credentials(NamedTuple):
    """A user and a password."""

    user: str
    password: str


class ArcadeDBServer:
    """A server in a folder."""

    def __init__(self, folder: Path, *, heap_mb: int) -> None:
        self._folder = folder
        self._heap_mb = heap_mb
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self.writer = Credentials(WRITER, secrets.token_urlsafe(24))
        self.reader = Credentials(READER, secrets.token_urlsafe(24))

    @property
    def url(self) -> str:
        """Where drivers find it, once it has started."""
        return f"bolt://{HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id of the shell that Java runs under."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Starts it and waits until it takes connections.

        Raises:
            SetupError: It does not get there; the sentence quotes its log.
        """
        config = self._folder / "config"
        config.mkdir(parents=True, exist_ok=True)
        (config / "server-groups.json").write_text(json.dumps(_groups()))
        # Its users are made anew with the passwords of this start.
        (config / "server-users.jsonl").unlink(missing_ok=True)
        output = self._folder / "server.log"
        output.write_bytes(b"")
        arguments = self._folder / "java.args"
        arguments.unlink(missing_ok=True)
        with open(os.open(arguments, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:  # noqa: ASYNC230, PTH123
            file.write("\n".join(f'"{_escaped(each)}"' for each in self._arguments()))
        try:
            with output.open("ab") as written:
                self._process = await asyncio.create_subprocess_exec(
                    "/bin/sh", "-c", _BETWEEN, "motet-graph", str(_java()), f"@{arguments}",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=written,
                    stderr=written,
                    cwd=self._folder,
                    start_new_session=True,
                )  # fmt: skip
            await self._ready(output)
        finally:
            arguments.unlink(missing_ok=True)

    async def _ready(self, output: Path) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            said = await asyncio.to_thread(output.read_text, errors="replace")
            if _READY in said and (port := _PORT.search(said)):
                self._port = int(port[1])
                return
            process = self._process
            if process is None or process.returncode is not None or time.monotonic() > deadline:
                await self.stop()
                lines = " | ".join(line for line in said.splitlines()[-5:] if line.strip())
                raise SetupError(
                    f"The embedded graph server did not start; {output} ends with: {lines}"
                )
            await asyncio.sleep(_POLL_S)  # it announces itself in its log only

    async def keep_running(self) -> None:
        """Starts it again whenever it dies, until cancelled."""
        while self._process is not None:
            status = await self._process.wait()
            if self._stopping:
                return
            log.warning(
                "the embedded graph server ended with status %s; it is started again", status
            )
            try:
                await self.start()
            except SetupError as error:
                log.error("%s", error)  # noqa: TRY400 - the sentence says it all
                await asyncio.sleep(1)

    async def stop(self) -> None:
        """Ends it: SIGTERM, a bounded wait, SIGKILL."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def _arguments(self) -> list[str]:
        settings = {
            "server.rootPath": str(self._folder),
            "server.rootPassword": self.writer.password,
            "server.defaultDatabases": f"{DATABASE}[{READER}:{self.reader.password}:{READER}]",
            "server.mode": "production",
            "server.httpIncomingHost": HOST,
            "server.httpIncomingPort": "0",
            "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
            "bolt.host": HOST,
            "bolt.port": str(self._port),
            "command.timeout": str(MAX_COMMAND_MS),
            "opencypher.loadCsv.allowFileUrls": "false",
            "opencypher.loadCsv.allowRemoteUrls": "false",
            "serverMetrics": "false",
        }
        return [
            "-Xms32m",
            f"-Xmx{self._heap_mb}m",
            # One thread collects, and one compiler compiles: this is a small server beside others.
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-Djava.awt.headless=true",
            *(f"-Darcadedb.{name}={value}" for name, value in settings.items()),
            "-cp",
            str(_package() / "jars" / "*"),
            "com.arcadedb.server.ArcadeDBServer",
        ]


@asynccontextmanager
async def embedded_server(folder: Path, *, heap_mb: int = 256) -> AsyncGenerator[ArcadeDBServer]:
    """A server for as long as the block lasts.

    Raises:
        SetupError: ArcadeDB is not installed, another process has the folder, or it does not start.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    claim = FileLock(folder / "lock", timeout=0, thread_local=False)
    try:
        claim.acquire()
    except Timeout:
        raise SetupError(
            f"The graph in {folder} is open in another process. Stop that one, set "
            "MOTET_GRAPH_DIR to a folder of its own for this one, or MOTET_GRAPH_URL to a server "
            "that both use."
        ) from None
    server = ArcadeDBServer(folder, heap_mb=heap_mb)
    try:
        await server.start()
        keeping = asyncio.create_task(server.keep_running(), name="embedded graph server")
        try:
            yield server
        finally:
            await server.stop()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
    finally:
        claim.release()


def _groups() -> dict[str, object]:
    """ArcadeDB's `server-groups.json`: who may do what."""
    records = ["createRecord", "readRecord", "updateRecord", "deleteRecord"]
    rights = {
        "admin": (["updateSecurity", "updateSchema", "updateDatabaseSettings"], records),
        READER: ([], ["readRecord"]),
        "*": ([], []),
    }
    groups = {
        name: {
            "resultSetLimit": -1,
            "readTimeout": -1,
            "access": access,
            "types": {"*": {"access": of_records}},
        }
        for name, (access, of_records) in rights.items()
    }
    return {"version": 2, "databases": {"*": {"groups": groups}}}


def _package() -> Path:
    spec = find_spec("arcadedb_embedded")
    if spec is None or spec.origin is None:
        raise SetupError(
            "There is no graph server: install the embedded one with "
            "`pip install 'motet-graph[embedded]'`, or set MOTET_GRAPH_URL to a server that runs."
        )
    return Path(spec.origin).parent


def _java() -> Path:
    suffix = ".exe" if sys.platform == "win32" else ""
    return _package() / "jre" / "bin" / f"java{suffix}"


def _escaped(argument: str) -> str:
    """An argument within quotation marks of a Java argument file."""
    return argument.replace("\\", "\\\\").replace('"', '\\"')
