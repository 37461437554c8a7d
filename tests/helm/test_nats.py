"""The chart's configuration of NATS, on real servers: three of them, with the chart's own users."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from pydantic import SecretStr

from motet.bus import Bus, provision
from motet.bus.standing import StandingSettings, ensure_standing_consumers
from motet.embedded.nats import server_binary
from motet.errors import SetupError
from motet.settings import Settings
from motet.telemetry import setup
from tests.helm.chart import Chart, containers, environment

SERVERS = 3


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Rendered:
    """What the chart gives a server, moved from its pod to this machine."""

    def __init__(self, chart: Chart, folder: Path) -> None:
        objects = chart.render({"nats": {"replicas": SERVERS}})
        self.config = objects.get("ConfigMap", "motet-nats")["data"]
        secret = objects.get("Secret", "motet-nats")["data"]
        self.secret = {key: base64.b64decode(value).decode() for key, value in secret.items()}
        pod = objects.get("StatefulSet", "motet-nats")["spec"]["template"]
        self.volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        self.env = environment(containers(pod)[0])
        self.folder = folder
        ports = free_ports(3 * SERVERS)
        self.clients, self.monitors = ports[:SERVERS], ports[SERVERS : 2 * SERVERS]
        self.routes = ports[2 * SERVERS :]

    def start(self, number: int) -> subprocess.Popen[bytes]:
        """Starts the server of a pod."""
        own = self.folder / str(number)
        for item in self.volumes["config"]["configMap"]["items"]:
            path = own / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._moved(self.config[item["key"]], own, number), "utf-8")
        env = {**os.environ, **self.secret, "POD_NAME": f"motet-nats-{number}"}
        for other in range(SERVERS):
            url = self.env[f"NATS_ROUTE_{other}"]
            assert f"@motet-nats-{other}.motet-nats-headless:6222" in url
            url = url.split("@")[0] + f"@127.0.0.1:{self.routes[other]}"
            name = "MOTET_NATS_PASSWORD_ROUTES"
            env[f"NATS_ROUTE_{other}"] = url.replace(f"$({name})", self.secret[name])
        with (own / "log").open("wb") as log:
            return subprocess.Popen(
                [server_binary(), "-c", str(own / "server.conf")], env=env, stderr=log
            )

    def _moved(self, text: str, own: Path, number: int) -> str:
        moved = {
            r"\bport: 4222": f"listen: 127.0.0.1:{self.clients[number]}",
            r"\bhttp_port: 8222": f"http: 127.0.0.1:{self.monitors[number]}",
            r"\bport: 6222": f"listen: 127.0.0.1:{self.routes[number]}",
            r"store_dir: /data": f"store_dir: {own}",
            r"/run/nats": str(own),
        }
        for old, new in moved.items():
            text = re.sub(old, new, text)
        return text

    def settings(self, user: str) -> Settings:
        """What a process of the release is told."""
        return Settings(
            nats_url=",".join(f"nats://127.0.0.1:{port}" for port in self.clients),
            nats_user=user,
            nats_password=SecretStr(self.secret[f"MOTET_NATS_PASSWORD_{user.upper()}"]),
            replicas=SERVERS,
            stream_max_bytes=32 << 20,
        )


@pytest.fixture
async def rendered(chart: Chart, tmp_path: Path) -> AsyncIterator[Rendered]:
    """The servers of a release, until each says that it is ready."""
    made = Rendered(chart, tmp_path)
    servers = [made.start(number) for number in range(SERVERS)]
    try:
        async with asyncio.timeout(40):
            for number in range(SERVERS):
                while not await asyncio.to_thread(healthy, made.monitors[number], "/healthz"):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        yield made
    finally:
        for each in servers:
            each.kill()
            each.wait()


def read(port: int, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=3) as answer:
        return answer.read().decode()


def healthy(port: int, path: str) -> bool:
    try:
        read(port, path)
    except OSError:
        return False
    return True


async def test_three_servers_form_a_cluster_and_take_the_provisioner(rendered: Rendered) -> None:
    settings = rendered.settings("provision")
    async with Bus.open(settings, setup("test", settings), client="provision") as bus:
        assert len(await provision(bus.js, bus.topology)) == len(bus.topology.streams())
        standing = StandingSettings(skills="speech.speak", finished="evaluator")
        assert "speech-speak" in await ensure_standing_consumers(bus.js, bus.topology, standing)
        info = await bus.js.stream_info("TASKS")
        assert info.cluster is not None
        assert len(info.cluster.replicas or []) == SERVERS - 1
    for port in rendered.monitors:
        for path in ("/healthz?js-enabled-only=true", "/healthz?js-server-only=true"):
            assert await asyncio.to_thread(healthy, port, path)
    # What KEDA reads.
    assert "evaluator-finished" in await asyncio.to_thread(
        read, rendered.monitors[0], "/jsz?acc=MOTET&consumers=true"
    )


async def test_nobody_comes_in_without_a_password(rendered: Rendered) -> None:
    known = rendered.settings("client")
    wrong = known.model_copy(update={"nats_password": SecretStr("wrong")})
    nobody = known.model_copy(update={"nats_user": None, "nats_password": None})
    for settings in (wrong, nobody):
        with pytest.raises(SetupError):
            async with Bus.open(settings, setup("test", settings)):
                pass
