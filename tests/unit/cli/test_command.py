"""The `motet` command as such: quick to start, and clear about mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("asyncio", "faststream", "httpx", "langchain", "nats", "numpy", "pydantic", "rich")


def motet(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "motet.cli", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=30,
        check=False,
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from motet.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr.strip() == "[]"


def test_help_takes_less_than_three_tenths_of_a_second_of_the_processor() -> None:
    def processor_s() -> float:
        before = os.times()
        assert motet("--help").returncode == 0
        after = os.times()
        return (
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )

    assert min(processor_s() for _ in range(3)) < 0.3


def test_help_names_every_command_and_the_exit_statuses() -> None:
    shown = motet("--help").stdout
    for command in (
        *("up", "submit", "watch", "result", "cancel", "ingest", "agents", "trace", "eval", "dead"),
        *("models", "doctor", "demo", "documents", "search"),
    ):
        assert f"\n  {command} " in shown
    assert "Exit status: 0 done" in shown
    assert "..." not in shown.replace("MOTET_...", "").replace("[ARGS]...", "")


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("submit",), ("watch",), ("up", "--nats-port", "x")]
)
def test_wrong_usage_is_status_2(arguments: tuple[str, ...]) -> None:
    assert motet(*arguments).returncode == 2


def test_a_goal_that_no_mesh_would_take_is_wrong_usage(tmp_path: Path) -> None:
    done = motet("submit", "   ", MOTET_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "goal" in done.stderr
    assert "Traceback" not in done.stderr
