"""Motet's images as containers of their own network, through testcontainers."""

from __future__ import annotations

import time
import tomllib
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
from docker.models.containers import Container
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

ROOT = Path(__file__).parents[2]
HARDENED: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}


@cache
def version() -> str:
    """The version that the images are tagged with."""
    table = tomllib.loads((ROOT / "shared" / "pyproject.toml").read_text("utf-8"))
    return str(table["project"]["version"])


class ContainerMesh:
    """NATS with the mesh's streams, and room for services."""

    def __init__(self, engine: docker.DockerClient, network: Network, nats: str) -> None:
        self._engine = engine
        self._network = network
        self._nats_image = nats
        self._stack = ExitStack()
        self.nats: Container

    def __enter__(self) -> Self:
        with self._stack as stack:
            nats = DockerContainer(
                self._nats_image, network=self._network, network_aliases=["nats"]
            ).with_command("--jetstream --store_dir /tmp/jetstream")
            nats.with_exposed_ports(4222)
            self.nats = stack.enter_context(nats).get_wrapped_container()
            self.url = f"nats://{nats.get_container_host_ip()}:{nats.get_exposed_port(4222)}"
            """Address of the server for this machine."""
            provision = self.start("cli", entrypoint=["python", "-m", "motet.bus.provision"])
            status = provision.wait(timeout=60)["StatusCode"]
            assert status == 0, provision.logs().decode()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def add(self, server: DockerContainer, alias: str) -> DockerContainer:
        """Starts a server of others in the network, under a name."""
        server.with_network(self._network).with_network_aliases(alias)
        return self._stack.enter_context(server)

    def start(
        self,
        image: str,
        *,
        env: dict[str, str] | None = None,
        files: dict[Path, str] | None = None,
        **options: Any,
    ) -> Container:
        """Starts an image of Motet, as hardened as in docker-compose.yml.

        Args:
            image: Its name, without `motet/`.
            env: Variables.
            files: Files of this machine, and where the container sees each.
            options: More for testcontainers.
        """
        made = DockerContainer(
            f"motet/{image}:{version()}", network=self._network, **HARDENED, **options
        ).with_tmpfs_mount("/tmp", "size=64m")
        for name, value in {"MOTET_NATS_URL": "nats://nats:4222", **(env or {})}.items():
            made.with_env(name, value)
        for file, there in (files or {}).items():
            made.with_volume_mapping(str(file), there, "ro")
        self._stack.enter_context(made)
        return made.get_wrapped_container()


def healthy(container: Container, within_s: float = 60) -> None:
    """Waits until the engine's health check of a container passes.

    Raises:
        AssertionError: It ended, or does not pass in time.
    """
    deadline = time.monotonic() + within_s
    while True:
        container.reload()
        state = container.attrs["State"]
        if state["Health"]["Status"] == "healthy":
            return
        said = f"{state}\n{container.logs(tail=20).decode()}"
        assert state["Running"], said
        assert time.monotonic() < deadline, said
        time.sleep(0.2)  # an engine reports health in events too, but only while one listens


def output(container: Container, *command: str) -> tuple[int, str]:
    """Exit status and output of a command in a running container."""
    done = container.exec_run(list(command))
    assert isinstance(done.exit_code, int)
    assert isinstance(done.output, bytes)
    return done.exit_code, done.output.decode("utf-8", "replace")
