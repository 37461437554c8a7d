"""The embedded NATS server: where it listens, what it keeps, and what it says when it cannot."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import nats
import pytest

from motet.embedded.nats import MAX_PAYLOAD_BYTES, NatsServer, nats_server
from motet.embedded.processes import ProcessDiedError, ProcessOwner
from motet.errors import SetupError


async def test_it_listens_on_loopback_with_jetstream(tmp_path: Path) -> None:
    async with nats_server(tmp_path) as server:
        client = await nats.connect(server.url)
        assert server.url.startswith("nats://127.0.0.1:")
        assert client.max_payload == MAX_PAYLOAD_BYTES
        await client.jetstream().add_stream(name="S", subjects=["s"], max_bytes=1 << 40 - 1)
        await client.close()
    assert (tmp_path / "jetstream").is_dir()


async def test_two_do_not_meet(tmp_path: Path) -> None:
    async with nats_server(tmp_path / "a") as first, nats_server(tmp_path / "b") as second:
        assert first.url != second.url


async def test_it_keeps_port_and_messages_when_it_is_killed(tmp_path: Path) -> None:
    async with ProcessOwner() as owner:
        server = NatsServer(owner, tmp_path)
        process = await server.start()
        url = server.url
        client = await nats.connect(url)
        await client.jetstream().add_stream(name="S", subjects=["s"])
        for number in range(100):
            await client.jetstream().publish("s", str(number).encode())
        process.signal(signal.SIGKILL)
        await process.wait()
        await server.start()
        assert server.url == url
        info = await client.jetstream().stream_info("S")
        assert info.state.messages == 100
        await client.close()


async def test_a_fixed_port_is_taken_or_refused_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match=rf"Port {port} .*--nats-port"):
            async with nats_server(tmp_path, port=port):
                pass
    async with nats_server(tmp_path, port=port) as server:
        assert server.url.endswith(f":{port}")


async def test_a_server_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "jetstream").write_text("not a folder")
    quoted = r"nats-server ended with status 1(.|\n)*not a directory"
    with pytest.raises(ProcessDiedError, match=quoted):
        async with nats_server(tmp_path):
            pass
    assert json.loads((tmp_path / "nats.conf").read_text())["host"] == "127.0.0.1"
