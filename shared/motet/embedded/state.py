"""The lock that one mesh holds on its data folder; `motet.local_mesh` has the rest of its state.

Invariant: the lock is an open file that the mesh's keeper holds too, so it is free only when every
process of the mesh has ended, however the mesh died.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from motet.errors import SetupError
from motet.local_mesh import (
    LOCK,
    STATE,
    MeshState,
    ProcessState,
    alive,
    locked,
    running_mesh,
    write_state,
)

__all__ = ["MeshLock", "MeshState", "ProcessState", "running_mesh", "write_state"]

_FORMER_WITHIN_S = 20.0
"""Seconds that the processes of a mesh that was killed get to end: more than the keeper's grace."""


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
            file = os.open(self._data_dir / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SetupError(
                f"The folder {self._data_dir} cannot be used ({error.strerror}): make it writable, "
                "or set MOTET_DATA_DIR to another one."
            ) from None
        deadline = time.monotonic() + _FORMER_WITHIN_S
        while not locked(file, exclusive=True):
            owner = int(os.pread(file, 20, 0) or b"0")
            if (owner and alive(owner)) or time.monotonic() > deadline:
                os.close(file)
                raise SetupError(
                    f"A mesh already runs in {self._data_dir} (process {owner}): use that one, "
                    "end it, or set MOTET_DATA_DIR to another folder."
                )
            await asyncio.sleep(0.05)
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        (self._data_dir / STATE).unlink(missing_ok=True)
        self._file = file

    def release(self) -> None:
        """Gives the lock back, and removes the state file."""
        if self._file is not None:
            (self._data_dir / STATE).unlink(missing_ok=True)
            os.close(self._file)
            self._file = None
