"""Runs the `motet` command as its users do, with an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from motet.cli.main import app
from tests.integration.embedded_agents import write

TIMEOUT_S = 60


@dataclass(frozen=True)
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class CommandLine:
    """A user with folders of their own, some agents installed, and a model elsewhere."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, **agents: str) -> CommandLine:
        """One for whom agents, each a name with its source, are all that is installed."""
        write(folder / "site", **agents)
        return cls(
            folder,
            {
                "PYTHONPATH": str(folder / "site"),
                "MOTET_DATA_DIR": str(folder / "data"),
                "MOTET_CACHE_DIR": str(folder / "cache"),
                "MOTET_MODEL": "openai:none",
                "MOTET_MODEL_URL": "http://127.0.0.1:9/v1",
                "MOTET_EMBEDDING_MODEL": "openai:none",
                "MOTET_STREAM_MAX_BYTES": str(32 << 20),
                "COLUMNS": "80",
            },
        )

    def with_(self, **variables: str) -> CommandLine:
        """The same user with other variables."""
        return CommandLine(self.folder, {**self.variables, **variables})

    @contextmanager
    def started(self, *arguments: str) -> Generator[subprocess.Popen[str]]:
        """Runs a command beside the block; it is killed at the end, unless it ended."""
        with subprocess.Popen(
            [sys.executable, "-m", "motet.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(),
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def up(self, *arguments: str) -> Generator[tuple[subprocess.Popen[str], dict[str, Any]]]:
        """Runs `motet up` beside the block, and gives what it says of itself once it is up."""
        with self.started("up", *arguments, "--json") as process:
            assert process.stdout is not None
            assert process.stderr is not None
            said = process.stdout.readline()
            assert said, process.stderr.read()
            yield process, json.loads(said)
            process.terminate()
            process.wait(TIMEOUT_S)

    def __call__(self, *arguments: str) -> Done:
        """Runs a command to its end, within this process: importing Motet costs most of a second.

        Not within a test that has an event loop, since a command runs one of its own.
        """
        variables: dict[str, str | None] = dict.fromkeys(_own_variables())
        with patch.object(sys, "path", [str(self.folder / "site"), *sys.path]):
            result = CliRunner().invoke(app, arguments, env={**variables, **self.variables})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    def json(self, *arguments: str) -> Any:
        """What a command that must succeed writes with `--json`."""
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _environment(self) -> dict[str, str]:
        left_out = set(_own_variables())
        kept = {name: value for name, value in os.environ.items() if name not in left_out}
        return {**kept, **self.variables}


def _own_variables() -> list[str]:
    """The variables of whoever runs the tests that would change what is tested."""
    return [name for name in os.environ if name.startswith(("MOTET_", "OTEL_"))]
