"""A user's mistakes get one sentence that says what to do, and never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.command_line import CommandLine, Done
from tests.integration.embedded_agents import BROKEN, ECHO

pytestmark = pytest.mark.timeout(120)

SETUP = 3


@pytest.fixture
def motet(tmp_path: Path) -> CommandLine:
    return CommandLine.make(tmp_path, echo=ECHO, broken=BROKEN)


def mistake(done: Done) -> str:
    """What was said about a mistake in the set-up, in one line."""
    assert done.returncode == SETUP, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error ")
    return " ".join(done.stderr.split())


def test_a_port_that_is_taken(motet: CommandLine) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = mistake(motet("up", "--agent", "echo", "--nats-port", str(port)))
    assert f"Port {port} of 127.0.0.1 cannot be used (Address already in use)" in said
    assert "choose another with `--nats-port`" in said


def test_weights_that_are_missing(motet: CommandLine) -> None:
    local = motet.with_(MOTET_MODEL="local:qwen2.5-coder-1.5b")
    del local.variables["MOTET_MODEL_URL"]
    said = mistake(local("up", "--agent", "echo"))
    assert "run `motet models pull qwen2.5-coder-1.5b`" in said
    shown = local("doctor").stdout
    assert "motet models pull qwen2.5-coder-1.5b" in shown


def test_a_local_model_that_does_not_exist(motet: CommandLine) -> None:
    local = motet.with_(MOTET_MODEL="local:gpt-7")
    del local.variables["MOTET_MODEL_URL"]
    said = mistake(local("up", "--agent", "echo"))
    assert "'gpt-7'" in said
    assert "qwen2.5-coder-1.5b" in said
    assert "'gpt-7'" in mistake(motet("models", "path", "gpt-7"))


@pytest.mark.parametrize("command", ["up", "agents", "demo"])
def test_a_model_that_is_not_provider_and_name(motet: CommandLine, command: str) -> None:
    said = mistake(motet.with_(MOTET_MODEL="gpt-4.1")(command))
    assert "MOTET_MODEL='gpt-4.1' is wrong" in said
    assert "provider:name, such as openai:gpt-4.1-mini" in said


def test_doctor_says_what_is_wrong_with_the_model(motet: CommandLine) -> None:
    for model in ("gpt-4.1", "nobody:nothing"):
        done = motet.with_(MOTET_MODEL=model)("doctor", "--json")
        assert done.returncode == 1
        bad = [check for check in json.loads(done.stdout) if check["verdict"] == "bad"]
        assert any(model.partition(":")[0] in check["found"] for check in bad), bad


def test_a_model_server_that_does_not_answer_is_found_by_doctor(motet: CommandLine) -> None:
    done = motet.with_(OPENAI_API_KEY="none")("doctor")
    assert done.returncode == 1
    assert "nothing answers at http://127.0.0.1:9/v1" in " ".join(done.stdout.split())
    assert "MOTET_MODEL_URL" in done.stdout


def test_nats_that_cannot_be_reached(motet: CommandLine) -> None:
    nowhere = motet.with_(MOTET_NATS_URL="nats://127.0.0.1:9")
    for arguments in (("agents",), ("submit", "a goal"), ("dead", "list"), ("watch", "x")):
        said = mistake(nowhere(*arguments))
        assert "No NATS server answers at 'nats://127.0.0.1:9'" in said
        assert "start a mesh with `motet up`, or set MOTET_NATS_URL" in said
    assert "No NATS server answers" in " ".join(nowhere("doctor").stdout.split())


def test_a_service_that_cannot_start(motet: CommandLine) -> None:
    said = mistake(motet("up", "--agent", "echo", "--agent", "broken"))
    assert "broken ended with status 1; its last lines:" in said
    assert "the store is locked by process 17" in said
    assert "broken.log" in said


def test_a_service_that_dies_is_named_and_started_again(motet: CommandLine) -> None:
    with motet.up("--agent", "echo") as (process, state):
        [echo] = [each["pid"] for each in state["processes"] if each["name"] == "echo"]
        os.kill(echo, signal.SIGKILL)
        assert process.stderr is not None
        told: list[str] = []
        while not told or "runs again" not in told[-1]:
            told.append(process.stderr.readline())
    assert "echo was ended by SIGKILL; its last lines:\n" in told
    assert "Starting it again in 0.5 s.\n" in told


def test_an_agent_that_is_not_installed(motet: CommandLine) -> None:
    said = mistake(motet("up", "--agent", "nobody"))
    assert "No agent 'nobody' is installed; there are:" in said


def test_a_second_mesh_in_the_same_folder(motet: CommandLine) -> None:
    with motet.up("--agent", "echo") as (process, _):
        said = mistake(motet("up", "--agent", "echo"))
    assert f"A mesh already runs in {motet.folder / 'data'} (process {process.pid})" in said


def test_a_folder_that_cannot_be_written(motet: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    elsewhere = motet.with_(MOTET_DATA_DIR=str(tmp_path / "file" / "x"))
    said = mistake(elsewhere("up", "--agent", "echo"))
    assert "cannot be used" in said
    assert "set MOTET_DATA_DIR" in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB, where this user may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no small file system can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


def test_a_disk_that_is_full(motet: CommandLine, small_disk: Path) -> None:
    full = motet.with_(MOTET_DATA_DIR=str(small_disk / "data"), MOTET_CACHE_DIR=str(small_disk))
    said = mistake(full("up", "--agent", "echo"))
    assert "MB left, and a mesh needs 268 MB: make room, or set MOTET_DATA_DIR" in said
    said = mistake(full("models", "pull", "qwen2.5-coder-0.5b"))
    assert "make room, or set MOTET_CACHE_DIR" in said
    assert "make room, or set MOTET_DATA_DIR" in " ".join(full("doctor").stdout.split())


def test_examples_that_are_not_there(motet: CommandLine, tmp_path: Path) -> None:
    said = mistake(motet("demo", "--examples", str(tmp_path / "none")))
    assert "run the demo where Motet's repository is, or say with --examples" in said
    assert list(Path(motet.folder).glob("motet-demo-*")) == []


def test_no_mistake_leaves_a_process(motet: CommandLine) -> None:
    before = {process.pid for process in psutil.process_iter()}
    motet("up", "--agent", "echo", "--agent", "broken")
    left = [
        process
        for process in psutil.process_iter()
        if process.pid not in before and str(motet.folder) in " ".join(_command(process))
    ]
    assert left == []


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []
