"""What the README tells people to run, run."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from motet.agent import Agent, Call
from motet.cli.main import app
from motet.messages import Answer, Task
from motet.testing import TestMesh
from tests.tools.built import built

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The fenced code blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """Each shell line that runs `program`, split, without its comment."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if words and words[0] == program]


def planner(text: str) -> Agent:
    """An agent that answers every task with `text`."""
    agent = Agent("planner", "Answers.")

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        return Answer(text=text)

    return agent


def environment(monkeypatch: pytest.MonkeyPatch, mesh: TestMesh) -> None:
    """Points processes and clients at the mesh, as a user would."""
    monkeypatch.setenv("MOTET_NATS_URL", mesh.settings.nats_url)
    monkeypatch.setenv("MOTET_NAMESPACE", mesh.settings.namespace)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {words[1] for words in commands("make")}
    assert targets >= {"demo", "test"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("words", commands("motet"), ids=" ".join)
def test_motet_commands_are_what_the_command_takes(words: list[str]) -> None:
    known = {"--explain", "--follow", "--input", "--json", "--session"}
    options = [word for word in words[2:] if word.startswith("--")]
    assert set(options) <= known
    shown = CliRunner().invoke(app, [words[1], "--help"])
    assert shown.exit_code == 0, shown.output
    assert all(option in shown.output for option in options)


def test_linked_files_exist() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


async def test_the_client_snippet_prints_the_answer(
    mesh: TestMesh, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment(monkeypatch, mesh)
    await mesh.join(planner("409.5"))
    (snippet,) = (block for block in blocks("python") if "Motet.open" in block)
    await asyncio.to_thread(exec, snippet, {"__name__": "__main__"})
    printed = capsys.readouterr().out.split()
    assert printed[0] == "state"
    assert printed[-1] == "409.5"


async def test_the_agent_snippet_joins_a_mesh(mesh: TestMesh) -> None:
    (snippet,) = (block for block in blocks("python") if "agent.run()" in block)
    names: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(snippet, "README.md", "exec", dont_inherit=True), names)
    await mesh.join(names["agent"])
    assert await mesh.motet.call("weather.now", {"city": "Bergen"}) == {
        "v": 1,
        "sky": "clear",
        "degrees_c": 11.5,
    }
    assert [card.name for card in await mesh.motet.agents()] == ["weather"]


async def test_the_nats_commands_submit_and_show_a_task(nats_url: str, tmp_path: Path) -> None:
    from motet.testing import test_mesh

    nats = str(built("nats") / "nats")
    async with test_mesh(nats_url, tmp_path, namespace="motet") as mesh:
        await mesh.join(planner("409.5"))
        request, get, _ = ([nats, *command[1:]] for command in commands("nats"))
        process = await asyncio.create_subprocess_exec(
            *request, "-s", nats_url, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
        assert b'"stream":"TASKS"' in printed
        await mesh.motet.task("task-1").result(10)
        process = await asyncio.create_subprocess_exec(
            *get, "-s", nats_url, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
        assert b"409.5" in printed
