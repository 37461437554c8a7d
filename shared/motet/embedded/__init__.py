"""The mesh on one machine: NATS, model server and services as owned processes.

`EmbeddedMesh` starts and stops everything; `running_mesh` finds one that runs. What is imported
here stays light: heavy parts load when a mesh starts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motet.embedded.mesh import EmbeddedMesh
    from motet.embedded.state import MeshState, running_mesh

__all__ = ["EmbeddedMesh", "MeshState", "running_mesh"]


_HOME = {"EmbeddedMesh": "mesh", "MeshState": "state", "running_mesh": "state"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
