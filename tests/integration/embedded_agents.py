"""Small agents as installed distributions, for tests of the embedded mesh.

The mesh finds agents by entry points, so each is written as a package with its metadata into a
folder that is put on the path of this process and of the processes that it starts.
"""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

ECHO = """
    from motet.agent import Agent, Call
    from motet.messages import Answer, Message, Task

    class Words(Message):
        words: str

    agent = Agent("echo", "Says what it is told")

    @agent.skill("say", "Says it back")
    async def say(request: Words, call: Call) -> Words:
        return request

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        said = await call.delegate("echo.say", Words(words=task.goal), Words, step="s1")
        return Answer(text=said.words)
"""
"""Answers a task with its goal, by way of a skill."""

BROKEN = """
    raise SystemExit("the store is locked by process 17")
"""
"""Ends at once."""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **agents: str) -> None:
    """Makes agents installed for this process and those that it starts."""
    write(folder, **agents)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setenv("PYTHONPATH", str(folder))


def write(folder: Path, **agents: str) -> None:
    """Writes agents as installed distributions: each name with the source of its `app` module."""
    for name, source in agents.items():
        package = folder / f"test_{name}"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "app.py").write_text(dedent(source))
        (package / "__main__.py").write_text(f"from test_{name}.app import agent\nagent.run()\n")
        metadata = folder / f"test_{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Name: test-{name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(
            f"[motet.agents]\n{name} = test_{name}.app:agent\n"
        )
