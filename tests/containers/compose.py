"""docker-compose.yml, as a project of a test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from tests.containers.mesh import ROOT

__all__ = ["EMBEDDED", "Compose", "compose_command", "free_port"]

EMBEDDED = ("cli", "planner", "retriever", "graph-embedded", "tool_executor", "speech", "evaluator")
"""The images that the profile `embedded` needs beside NATS'."""

_VERSION = "2.40.3"
_CACHE = Path(os.environ.get("MOTET_CACHE_DIR") or Path.home() / ".cache" / "motet")


def compose_command() -> list[str] | None:
    """Docker Compose: the plugin of Docker, or what tests/containers/engine.sh has installed."""
    if shutil.which("docker"):
        asked = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True)
        if not asked.returncode:
            return ["docker", "compose"]
    installed = _CACHE / "tools" / f"compose-{_VERSION}" / "compose" / "docker-compose"
    return [str(installed)] if os.access(installed, os.X_OK) else None


class Compose:
    """A project that is gone, with its volumes, when the block ends.

    Args:
        command: What runs Compose.
        overlays: Files that are laid over docker-compose.yml.
        env: Variables that the files name.
    """

    def __init__(self, command: list[str], overlays: Sequence[str], **env: str) -> None:
        self.project = f"motet-test-{uuid4().hex[:8]}"
        self.nats_port = free_port()
        files = ["docker-compose.yml", *(f"tests/containers/{name}" for name in overlays)]
        self.command = [*command, "--project-directory", str(ROOT), "--project-name", self.project]
        self.command += [word for file in files for word in ("--file", str(ROOT / file))]
        """What runs Compose for the project, in the environment `env`."""
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MOTET_")},
            "COMPOSE_PROFILES": "embedded",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "",
            "MOTET_NATS_PORT": str(self.nats_port),
            "MOTET_MODEL": "local:scripted",
            "MOTET_MODEL_URL": "http://scripted:8000/v1",
            **env,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(self.run("ps", "--all") + self.run("logs", "--tail", "15"))
        self.run("--profile", "*", "down", "--volumes", "--timeout", "2")

    def run(self, *arguments: str, within_s: float = 180) -> str:
        """What a command of Compose says.

        Raises:
            AssertionError: It failed; the message has what it said.
        """
        done = subprocess.run(
            [*self.command, *arguments],
            env=self.env,
            cwd=ROOT,
            timeout=within_s,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        said = f"{done.stdout}\n{done.stderr}"
        assert not done.returncode, f"compose {' '.join(arguments)}: {said}"
        return said

    def up(self, *services: str) -> None:
        """Starts everything, or these and what they need, and waits until all are healthy."""
        self.run("up", "--detach", "--wait", "--no-build", "--pull", "never", *services)

    def motet(self, *arguments: str) -> str:
        """What the command `motet` says, in its container."""
        return self.run("run", "--rm", "--no-deps", "-T", "cli", *arguments)


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
