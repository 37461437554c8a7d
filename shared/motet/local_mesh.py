"""The mesh that runs on this machine: the file that describes it, and settings that lead to it.

Invariants:

- The lock is the truth: a state file without a held lock is of a mesh that is gone.
- The state file is replaced as a whole, never changed in place.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from motet.messages import Timestamp
from motet.settings import Settings, load_settings

__all__ = [
    "LOCK",
    "STATE",
    "MeshState",
    "ProcessState",
    "alive",
    "client_settings",
    "locked",
    "running_mesh",
    "write_state",
]

STATE = "mesh.json"
LOCK = "mesh.lock"


class ProcessState(BaseModel):
    """One process of the mesh."""

    name: str
    pid: int
    log: Path


class MeshState(BaseModel):
    """What other processes need to know of a running mesh."""

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


def client_settings() -> Settings:
    """Settings that lead to the mesh: `MOTET_NATS_URL`, else the one that runs on this machine.

    Raises:
        SetupError: A setting is wrong.
    """
    settings = load_settings()
    if "nats_url" in settings.model_fields_set:
        return settings
    mesh = running_mesh(settings.data_dir)
    if mesh is None:
        return settings
    return settings.model_copy(
        update={
            "nats_url": mesh.nats_url,
            "namespace": mesh.namespace,
            "spans_dir": mesh.spans_dir,
        }
    )


def running_mesh(data_dir: Path) -> MeshState | None:
    """The mesh that runs in `data_dir`, if one does and is far enough to be used."""
    try:
        file = os.open(data_dir / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        if locked(file, exclusive=False):
            return None
    finally:
        os.close(file)
    state = _read_state(data_dir)
    return state if state is not None and alive(state.pid) else None


def write_state(data_dir: Path, state: MeshState) -> None:
    """Replaces the state file."""
    fresh = data_dir / f"{STATE}.new"
    fresh.write_text(state.model_dump_json(indent=2))
    fresh.replace(data_dir / STATE)


def locked(file: int, *, exclusive: bool) -> bool:
    """Takes the lock of an open file, if nobody else holds it."""
    import fcntl  # not on every platform, and a client needs it only to look for a mesh

    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def alive(pid: int) -> bool:
    """Whether a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read_state(data_dir: Path) -> MeshState | None:
    """The state file's content; None when there is none that can be read."""
    try:
        return MeshState.model_validate_json((data_dir / STATE).read_bytes())
    except (OSError, ValidationError):
        return None
