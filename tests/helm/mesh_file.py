"""What the chart knows of the mesh, from its code: `python -m tests.helm.mesh_file`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import yaml

from motet.agent import Agent
from motet.bus.topology import Topology
from motet.settings import Settings
from tests.helm.chart import CHART

__all__ = ["PATH", "text"]

PATH = CHART / "files" / "mesh.yaml"

_ASK_NO_MODEL = {"tool_executor"}
"""Services that are not told of models: neither of chat models nor of embedding ones."""

_INTRODUCTION = """# What the chart knows of the mesh, written from the code by
# `python -m tests.helm.mesh_file`.
"""


def text() -> str:
    """The file as it should be."""
    agents: list[Agent] = [each.load() for each in entry_points(group="motet.agents")]
    known = {agent.name: _known(agent) for agent in sorted(agents, key=lambda each: each.name)}
    streams = len(Topology(Settings()).streams())
    return _INTRODUCTION + yaml.safe_dump({"agents": known, "streams": streams})


def _known(agent: Agent) -> dict[str, Any]:
    return {
        "skills": list(agent.skills),
        "tasks": agent.task_function is not None,
        "finished": agent.finished_function is not None,
        "usesModel": agent.name not in _ASK_NO_MODEL,
    }


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
