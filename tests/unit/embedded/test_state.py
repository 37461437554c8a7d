"""The lock and the state file of a data folder tell the truth about the mesh that runs in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from motet.embedded import running_mesh
from motet.embedded.processes import ProcessOwner, ProcessSpec
from motet.embedded.state import MeshLock, MeshState, write_state
from motet.errors import SetupError
from motet.messages import now


def state(pid: int) -> MeshState:
    return MeshState(
        pid=pid,
        started_at=now(),
        namespace="motet",
        nats_url="nats://127.0.0.1:1",
        model="openai:none",
        model_url=None,
        spans_dir=None,
    )


async def test_a_mesh_is_found_while_its_lock_is_held(tmp_path: Path) -> None:
    assert running_mesh(tmp_path / "never") is None
    lock = MeshLock(tmp_path)
    await lock.acquire()
    assert running_mesh(tmp_path) is None
    write_state(tmp_path, state(os.getpid()))
    assert running_mesh(tmp_path) == state(os.getpid()).model_copy(
        update={"started_at": running_mesh(tmp_path).started_at}  # type: ignore[union-attr]
    )
    lock.release()
    assert running_mesh(tmp_path) is None
    assert not (tmp_path / "mesh.json").exists()


async def test_a_state_file_without_a_lock_is_of_a_mesh_that_is_gone(tmp_path: Path) -> None:
    write_state(tmp_path, state(os.getpid()))
    (tmp_path / "mesh.lock").touch()
    assert running_mesh(tmp_path) is None


async def test_a_second_mesh_is_told_who_runs_the_first(tmp_path: Path) -> None:
    lock = MeshLock(tmp_path)
    await lock.acquire()
    with pytest.raises(SetupError, match=f"process {os.getpid()}.*MOTET_DATA_DIR"):
        await MeshLock(tmp_path).acquire()
    lock.release()
    await MeshLock(tmp_path).acquire()


async def test_a_lock_outlives_a_killed_owner_until_its_processes_have_ended(
    tmp_path: Path,
) -> None:
    """The keeper holds the lock too: a new mesh starts only when the old one's store is free."""
    code = """
import asyncio, sys, time
from pathlib import Path
from motet.embedded.processes import ProcessOwner, ProcessSpec
from motet.embedded.state import MeshLock

async def main(folder):
    lock = MeshLock(folder)
    await lock.acquire()
    async with ProcessOwner(grace_s=60, hold_open=[lock.descriptor]) as owner:
        slow = (
            "import os, signal, sys, time\\n"
            "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), os._exit(0)))\\n"
            f"open({str(folder / 'ready')!r}, 'w').close()\\n"
            "time.sleep(600)\\n"
        )
        process = await owner.start(
            ProcessSpec("slow", (sys.executable, "-c", slow), folder / "slow.log")
        )
        ready = folder / "ready"
        await process.ready(lambda: ready.exists() or None, within_s=20, what="is not ready")
        print(process.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1])))
"""
    with subprocess.Popen(  # noqa: ASYNC220 - it begins at once
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    lock = MeshLock(tmp_path)
    await lock.acquire()
    assert not running(pid)
    lock.release()


async def test_a_folder_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"cannot be used.*MOTET_DATA_DIR"):
        await MeshLock(tmp_path / "file").acquire()


async def test_an_owner_outside_its_block_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await ProcessOwner().start(ProcessSpec("x", ("true",), tmp_path / "x.log"))


def running(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
