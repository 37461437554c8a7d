"""The local model as an owned process: started with a port that a restart keeps."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from motet.embedded.processes import OwnedProcess, ProcessOwner, ProcessSpec
from motet.embedded.services import environment
from motet.settings import Settings

__all__ = ["ModelProcess"]

HOST = "127.0.0.1"

READY_WITHIN_S = 120.0
"""Seconds to load the weights: one or two from memory, some more from a slow disk."""


class ModelProcess:
    """`motet.embedded.model_server` for one model.

    Args:
        owner: Who starts and ends the process.
        model: Name of weights that have been pulled.
        settings: Where they are.
        log: Its log file.
    """

    def __init__(self, owner: ProcessOwner, model: str, settings: Settings, log: Path) -> None:
        self._owner = owner
        self._port = _free_port()
        self._port_file = settings.data_dir / "model-server.port"
        command = (
            *(sys.executable, "-m", "motet.embedded.model_server", "--model", model),
            *("--port", str(self._port), "--port-file", str(self._port_file)),
        )
        self._spec = ProcessSpec("model-server", command, log, environment(settings))

    @property
    def url(self) -> str:
        """Base URL of its OpenAI-style API."""
        return f"http://{HOST}:{self._port}/v1"

    async def start(self) -> OwnedProcess:
        """Starts it; services may be given its address before it answers."""
        self._port_file.unlink(missing_ok=True)
        return await self._owner.start(self._spec)

    async def ready(self, process: OwnedProcess) -> None:
        """Waits until it answers.

        Raises:
            ProcessDiedError: It ended, for a reason that its log names.
            SetupError: It does not answer in time.
        """
        await process.ready(
            lambda: self._port_file.exists() or None,
            within_s=READY_WITHIN_S,
            what="has not loaded its model",
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
