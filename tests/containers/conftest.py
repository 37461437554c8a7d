"""Where no Docker engine answers, or an image is not there, a test says so and is skipped."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound
from testcontainers.core.config import testcontainers_config
from testcontainers.core.network import Network

from tests.containers.compose import compose_command
from tests.containers.mesh import ContainerMesh, version

# Its image cannot be had without a registry; every fixture here removes what it started.
testcontainers_config.ryuk_disabled = True

NATS = "nats:2.15"


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker engine of this machine."""
    # Asked by the command: the client leaves a socket open where nobody answers.
    try:
        asked = subprocess.run(["docker", "version"], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("Docker is not installed")
    if asked.returncode:
        pytest.skip(f"no Docker engine answers: {asked.stderr.strip()}")
    client = docker.from_env(timeout=30)
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(engine: docker.DockerClient) -> Any:
    """`images("planner", "cli")` skips the test unless these images of Motet are there."""

    def need(*names: str) -> list[str]:
        tags = [f"motet/{name}:{version()}" for name in names]
        for tag in [*tags, NATS]:
            try:
                engine.images.get(tag)
            except ImageNotFound:
                made = "deploy/images.sh makes it" if tag != NATS else "`docker pull` fetches it"
                pytest.skip(f"the image {tag} is not on this machine: {made}")
        return tags

    return need


@pytest.fixture(scope="session")
def server(engine: docker.DockerClient) -> Any:
    """`server(IMAGE)` skips the test unless this image of others is there, or can be pulled."""

    def need(tag: str) -> str:
        try:
            engine.images.get(tag)
        except ImageNotFound:
            pulled = subprocess.run(
                ["docker", "pull", "--quiet", tag], check=False, capture_output=True, text=True
            )
            if pulled.returncode:
                pytest.skip(f"the image {tag} is not to be had: {pulled.stderr.strip()}")
        return tag

    return need


@pytest.fixture(scope="session")
def compose() -> list[str]:
    """The command of Docker Compose."""
    command = compose_command()
    if command is None:
        pytest.skip("Docker Compose is not installed: tests/containers/engine.sh installs it")
    return command


@pytest.fixture
def mesh(engine: docker.DockerClient, images: Any) -> Iterator[ContainerMesh]:
    """NATS in a container, provisioned, in a network of the test's own."""
    images("cli")
    with Network() as network, ContainerMesh(engine, network, NATS) as mesh:
        yield mesh
