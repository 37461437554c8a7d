"""A mesh whose network ends at this machine: `python -m tests.integration.cut_off FOLDER`.

It runs as root in a network namespace of its own, in which every address is this machine's. So
whoever looks a name up asks the name server that runs here, and whoever speaks HTTP or HTTPS to any
host speaks to the listeners that run here: both are noted. The last line is one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from motet.client import Motet
from motet.embedded import EmbeddedMesh
from motet.messages import Document, IngestRequest, IngestResult, Task
from motet.settings import Settings
from tests.containers.scripted_server import QUESTION, Answers

TEXT = "Ada Berg designed the Harbour Tower for Harbour Works. The Harbour Tower is 38 metres high."
PROBE = "probe.example"


def cut(folder: Path) -> None:
    """Makes every address one of this machine's, and the name server one that is noted."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo"], check=True)
    resolver = folder / "resolv.conf"
    resolver.write_text("nameserver 192.0.2.53\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", str(resolver), "/etc/resolv.conf"], check=True)


class Names(asyncio.DatagramProtocol):
    """A name server that knows no name, and notes which it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "sendto")
        self._send = transport.sendto

    def datagram_received(self, data: bytes, addr: Any) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode(errors="replace"))
            at += 1 + data[at]
        self.asked.add(".".join(labels))
        # The same question, as an answer: there is no such name.
        self._send(data[:2] + b"\x81\x83" + data[4:], addr)


@contextlib.asynccontextmanager
async def noted() -> AsyncGenerator[tuple[set[str], set[str]]]:
    """Names that are looked up, and addresses that are connected to, while the block runs."""
    loop = asyncio.get_running_loop()
    connected: set[str] = set()

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.add(":".join(map(str, writer.get_extra_info("sockname")[:2])))
        writer.close()

    transport, names = await loop.create_datagram_endpoint(Names, ("0.0.0.0", 53))
    servers = [await asyncio.start_server(note, "0.0.0.0", port) for port in (53, 80, 443)]
    try:
        yield names.asked, connected
    finally:
        transport.close()
        for server in servers:
            server.close()


def settings(folder: Path, url: str) -> Settings:
    """Those of a mesh whose models are on this machine."""
    os.environ |= {
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": url,
        "MOTET_SPEECH_MODEL": "openai:whisper-1",
        "MOTET_SPEECH_VOICE": "openai:voice",
        "MOTET_SPEECH_URL": url,
    }
    return Settings(
        data_dir=folder / "data",
        cache_dir=folder / "cache",
        model="openai:scripted",
        model_url=url,
        embedding_model="openai:letters",
        stream_max_bytes=32 << 20,
    )


async def one_task(folder: Path, url: str) -> dict[str, Any]:
    """Starts a mesh of all services, ingests a document, and has a task done."""
    async with EmbeddedMesh(settings(folder, url), on_death="end") as mesh:
        async with Motet.open(mesh.settings) as motet:
            document = Document(source="tower.md", title="Tower", text=TEXT)
            request = IngestRequest(documents=(document,))
            await motet.call("retriever.ingest", request, IngestResult, timeout_s=60)
            task = await motet.submit(Task(goal=QUESTION, deadline_s=120))
            record = await task.result(120)
            evaluation = await task.evaluation(60)
        return {
            "agents": list(mesh.agents),
            "state": record.state,
            "fault": record.fault and record.fault.message,
            "answer": record.answer and record.answer.text,
            "scores": len(evaluation.scores),
        }


def reached(host: str) -> bool:
    """Whether something answers there."""
    try:
        socket.create_connection((host, 443), timeout=5).close()
    except OSError:
        return False
    return True


async def main(folder: Path) -> dict[str, Any]:
    cut(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    async with noted() as (asked, connected):
        did = await one_task(folder, f"http://127.0.0.1:{server.server_port}/v1")
        did |= {"asked": sorted(asked), "connected": sorted(connected)}
        # That somebody who called out would have been noted.
        name, address = await asyncio.gather(
            asyncio.to_thread(reached, PROBE), asyncio.to_thread(reached, "192.0.2.1")
        )
        did["probes"] = [name, address, PROBE in asked, "192.0.2.1:443" in connected]
    server.shutdown()
    return did


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1])))) + "\n")
