"""Owned processes end with their owner, however it ends, and their deaths are reported."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from motet.embedded.processes import OwnedProcess, ProcessDiedError, ProcessOwner, ProcessSpec
from motet.errors import SetupError

pytestmark = pytest.mark.timeout(60)

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
"""Ignores SIGTERM and has a child of its own, whose id it prints."""

OWNER = """
import asyncio, signal, sys
from pathlib import Path
from motet.embedded import keeper
from motet.embedded.processes import ProcessOwner, ProcessSpec

async def main(folder):
    here = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, here.cancel)
    async with ProcessOwner(grace_s=0.5) as owner:
        stubborn = await owner.start(
            ProcessSpec("stubborn", (sys.executable, "-c", {stubborn!r}), folder / "stubborn.log")
        )
        sleeper = await owner.start(
            ProcessSpec("sleeper", (sys.executable, "-c", {sleeper!r}), folder / "sleeper.log")
        )
        child = await stubborn.ready(lambda: complete(stubborn.spec.log), within_s=20, what="mute")
        await sleeper.ready(lambda: complete(sleeper.spec.log), within_s=20, what="mute")
        print(stubborn.pid, sleeper.pid, child, owner._keeper.pid, flush=True)
        await asyncio.sleep(600)

def complete(log):
    text = log.read_text()
    return text.strip() if text.endswith("\\n") else None

try:
    asyncio.run(main(Path(sys.argv[1])))
except asyncio.CancelledError:
    pass
"""


def command(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def said(process: OwnedProcess) -> str | None:
    text = process.spec.log.read_text()
    return text.strip() if text.endswith("\n") else None


@pytest.fixture
def owner_process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    code = OWNER.format(stubborn=STUBBORN, sleeper=SLEEPER)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        owned = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        assert len(owned) == 4, "the owner did not start its processes"
        yield process, owned
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_when_the_owner_ends(
    owner_process: tuple[subprocess.Popen[str], list[psutil.Process]], number: signal.Signals
) -> None:
    process, owned = owner_process
    process.send_signal(number)
    process.wait(20)
    # A process without a parent that reaps it stays as a zombie, which is not running any more.
    _, alive = psutil.wait_procs([one for one in owned if running(one)], timeout=20)
    assert [one for one in alive if running(one)] == []


def test_nothing_is_left_when_the_whole_group_of_the_owner_is_killed(tmp_path: Path) -> None:
    code = OWNER.format(stubborn=STUBBORN, sleeper=SLEEPER)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        owned = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        psutil.Process(process.pid).send_signal(signal.SIGSTOP)
        process.kill()
    _, alive = psutil.wait_procs([one for one in owned if running(one)], timeout=20)
    assert [one for one in alive if running(one)] == []


def test_a_process_whose_owner_dies_before_it_is_listed_does_not_begin(
    tmp_path: Path,
) -> None:
    """The gate: without the owner's word the shell ends and never becomes the command."""
    from motet.embedded import processes

    touched = tmp_path / "touched"
    gate = subprocess.Popen(
        ["/bin/sh", "-c", processes._GATE, "motet", "touch", str(touched)], stdin=subprocess.PIPE
    )
    gate.communicate(b"")
    assert gate.returncode != 0
    assert not touched.exists()


async def test_processes_end_in_order_and_their_descendants_with_them(tmp_path: Path) -> None:
    async with ProcessOwner(grace_s=0.3) as owner:
        stubborn = await owner.start(
            ProcessSpec("stubborn", command(STUBBORN), tmp_path / "stubborn.log")
        )
        child = psutil.Process(
            int(await stubborn.ready(lambda: said(stubborn), within_s=20, what="is mute"))
        )
        await owner.stop(stubborn)
        assert await stubborn.wait() == -signal.SIGKILL
        psutil.wait_procs([child], timeout=10)
        assert not running(child)


async def test_stopping_what_has_ended_is_no_error(tmp_path: Path) -> None:
    async with ProcessOwner() as owner:
        process = await owner.start(ProcessSpec("short", command("pass"), tmp_path / "short.log"))
        assert await process.wait() == 0
        await owner.stop(process)


async def test_a_death_before_readiness_quotes_the_last_words(tmp_path: Path) -> None:
    async with ProcessOwner() as owner:
        process = await owner.start(
            ProcessSpec("broken", command("raise SystemExit('no weights')"), tmp_path / "x.log")
        )
        with pytest.raises(ProcessDiedError, match=r"broken ended with status 1.*\n.*no weights"):
            await process.ready(lambda: None, within_s=20, what="never is")


async def test_a_process_that_does_not_get_ready_is_named(tmp_path: Path) -> None:
    async with ProcessOwner(grace_s=0.3) as owner:
        process = await owner.start(ProcessSpec("slow", command(SLEEPER), tmp_path / "slow.log"))
        with pytest.raises(SetupError, match=r"slow runs, but has not opened its port after 0.1 s"):
            await process.ready(lambda: None, within_s=0.1, what="has not opened its port")


async def test_a_command_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    async with ProcessOwner() as owner:
        process = await owner.start(ProcessSpec("none", ("/no/such",), tmp_path / "none.log"))
        with pytest.raises(ProcessDiedError, match=r"none ended with status 127.*\n.*/no/such"):
            await process.ready(lambda: None, within_s=20, what="never is")


def running(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
