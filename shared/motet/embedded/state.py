"""Which mesh runs in a data folder: a lock that one mesh holds, and a file that describes it.

Invariants:

- The lock is the truth: a state file without a held lock is of a mesh that is gone.
- The lock is an open file that the mesh's keeper holds too, so it is free only when every process
  of the mesh has ended, however the mesh died.
- The state file is replaced as a whole, never changed in place.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from pathlib import Path

from pydantic import BaseModel, ValidationError

from motet.errors import SetupError
from motet.messages import Timestamp

__all__ = ["MeshLock", "MeshState", "ProcessState", "running_mesh", "write_state"]

_STATE = "mesh.json"
_LOCK = "mesh.lock"

_FORMER_WITHIN_S = 20.0
"""Seconds that the processes of a mesh that was killed get to end: more than the keeper's grace."""


class ProcessState(BaseModel):
    """One process of the mesh."""

    name: str
    pid: int
    log: Path


class MeshState(BaseModel):
    """What other commands need to know of a running mesh."""

    pid: int
    """The process that owns it."""
    started_at: Timestamp
    namespace: str
    nats_url: str
    model: str
    """The chat model, as `provider:name`."""
    model_url: str | None
    spans_dir: Path | None
    """Where spans are kept."""
    processes: tuple[ProcessState, ...] = ()


class MeshLock:
    """The right to run a mesh in a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file that holds the lock."""
        if self._file is None:
            raise RuntimeError("the lock is not held")
        return self._file

    async def acquire(self) -> None:
        """Takes the lock; waits a little for the rest of a mesh that died to go.

        Raises:
            SetupError: A mesh runs here, or the folder cannot be written.
        """
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            file = os.open(self._data_dir / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SetupError(
                f"The folder {self._data_dir} cannot be used ({error.strerror}): make it writable, "
                "or set MOTET_DATA_DIR to another one."
            ) from None
        deadline = time.monotonic() + _FORMER_WITHIN_S
        while not _locked(file, fcntl.LOCK_EX):
            owner = int(os.pread(file, 20, 0) or b"0")
            if (owner and _alive(owner)) or time.monotonic() > deadline:
                os.close(file)
                raise SetupError(
                    f"A mesh already runs in {self._data_dir} (process {owner}): use that one, "
                    "end it, or set MOTET_DATA_DIR to another folder."
                )
            await asyncio.sleep(0.05)
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        (self._data_dir / _STATE).unlink(missing_ok=True)
        self._file = file

    def release(self) -> None:
        """Gives the lock back, and removes the state file."""
        if self._file is not None:
            (self._data_dir / _STATE).unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


def running_mesh(data_dir: Path) -> MeshState | None:
    """The mesh that runs in `data_dir`, if one does and is far enough to be used."""
    try:
        file = os.open(data_dir / _LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        if _locked(file, fcntl.LOCK_SH):
            return None
    finally:
        os.close(file)
    state = read_state(data_dir)
    return state if state is not None and _alive(state.pid) else None


def read_state(data_dir: Path) -> MeshState | None:
    """The state file's content; None when there is none that can be read."""
    try:
        return MeshState.model_validate_json((data_dir / _STATE).read_bytes())
    except (OSError, ValidationError):
        return None


def write_state(data_dir: Path, state: MeshState) -> None:
    """Replaces the state file."""
    fresh = data_dir / f"{_STATE}.new"
    fresh.write_text(state.model_dump_json(indent=2))
    fresh.replace(data_dir / _STATE)


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
