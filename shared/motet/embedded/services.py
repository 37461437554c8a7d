"""The services of an embedded mesh: which are installed, and how each is run.

A distribution offers its agent through the entry point group `motet.agents`, as
`retriever = "motet_retriever.app:agent"`; the mesh runs it as `python -m motet_retriever`.
Settings travel as `MOTET_...` variables, as they would to a container.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pydantic import SecretStr

from motet.embedded.processes import ProcessSpec
from motet.errors import SetupError
from motet.settings import Settings

__all__ = ["environment", "installed_agents", "service_spec"]

ENTRY_POINT_GROUP = "motet.agents"

_SHARED_MACHINE = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""The services share one machine: no pool of threads a core in each, and few memory arenas."""


def installed_agents() -> dict[str, EntryPoint]:
    """The agents that installed distributions offer, by name; the first on the path wins."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        found.setdefault(entry.name, entry)
    return dict(sorted(found.items()))


def chosen_agents(names: Iterable[str] | None) -> dict[str, EntryPoint]:
    """The installed agents of these names; None means all.

    Raises:
        SetupError: One is not installed, or none is.
    """
    installed = installed_agents()
    if names is None:
        if not installed:
            raise SetupError(
                "No agent is installed: install Motet's services with `make setup`, or a "
                f"distribution of your own with an entry point in the group {ENTRY_POINT_GROUP!r}."
            )
        return installed
    chosen: dict[str, EntryPoint] = {}
    for name in names:
        if name not in installed:
            there = ", ".join(installed) or "none"
            raise SetupError(f"No agent {name!r} is installed; there are: {there}.")
        chosen[name] = installed[name]
    return chosen


def service_spec(entry: EntryPoint, settings: Settings, logs: Path) -> ProcessSpec:
    """How an agent is run as a process of its own."""
    package = entry.value.partition(":")[0].partition(".")[0]
    return ProcessSpec(
        name=entry.name,
        command=(sys.executable, "-m", package),
        log=logs / f"{entry.name}.log",
        env=environment(settings),
    )


def environment(settings: Settings) -> dict[str, str]:
    """Variables that give a child process these settings.

    What the owner has set otherwise than the environment says is written out; the rest the child
    reads from the environment itself.
    """
    variables = {
        f"MOTET_{name}".upper(): _text(value)
        for name in settings.model_fields_set
        if (value := getattr(settings, name)) is not None
    }
    return {
        name: value for name, value in _SHARED_MACHINE.items() if name not in os.environ
    } | variables


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
