"""What people do to a mesh with users: the `motet` command, as the operator."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from motet.embedded.services import environment
from motet.errors import FaultError
from motet.messages import Answer
from motet.testing import Flaky, Gate, with_fault
from motet_retriever.app import agent as retriever
from tests.embedder import LetterEmbedder
from tests.integration.bus.agents import Order, echo, planner, worker
from tests.integration.security.secured import SecuredMesh, secured_mesh


@pytest_asyncio.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[SecuredMesh]:
    async with secured_mesh(tmp_path) as made:
        yield made
        refused = made.server.violations()
    assert not refused


async def motet(mesh: SecuredMesh, *arguments: str) -> tuple[int, str]:
    """A command's status, and all that it wrote."""
    ran = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "motet.cli", *arguments),
        env={**environment(mesh.settings), "COLUMNS": "200", "MOTET_MODEL": "openai:none"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await ran.communicate()
    return ran.returncode or 0, said.decode()


async def test_the_operator_runs_the_command(mesh: SecuredMesh, tmp_path: Path) -> None:
    flaky = Flaky(FaultError.of("broken", "It is broken."))
    await mesh.join(with_fault(worker(echo), "work", flaky))

    async def plan(task: object, call: object) -> Answer:
        return Answer(text="four")

    await mesh.join(planner(plan))
    (tmp_path / "note.txt").write_text("words")
    for arguments, shows in (
        (("agents",), "planner"),
        (("submit", "two and two", "-f", "--id", "sum", "-i", str(tmp_path / "note.txt")), "four"),
        (("watch", "sum"), "four"),
        (("result", "sum"), "four"),
        (("cancel", "sum"), ""),
        (("submit", "later", "--id", "later"), "later"),
        (("approvals", "list"), "Nobody"),
        (("schedules", "add", "daily", "two and two", "--every", "1d"), "daily"),
        (("schedules", "list"), "daily"),
        (("schedules", "pause", "daily"), ""),
        (("schedules", "resume", "daily"), ""),
        (("schedules", "show", "daily"), "daily"),
        (("schedules", "remove", "daily"), ""),
    ):
        status, said = await motet(mesh, *arguments)
        assert (status, shows in said) == (0, True), (arguments, said)
    with pytest.raises(FaultError):
        await mesh.motet.call("worker.work", Order(text="precious"))
    letters = await mesh.motet.dead()
    assert letters
    number = str(letters[0].sequence)
    for arguments in (("list",), ("show", number), ("replay", number)):
        status, said = await motet(mesh, "dead", *arguments)
        assert status == 0, (arguments, said)
    _, said = await motet(mesh, "doctor")
    assert "worker is alive" in said


@pytest.mark.timeout(120)
async def test_the_operator_ingests_searches_and_deletes(mesh: SecuredMesh, tmp_path: Path) -> None:
    await mesh.join(retriever, context={"embedder": LetterEmbedder()})
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "note.md").write_text("# Note\n\nThe rent is 900 euros.\n")
    (folder / "wide.txt").write_bytes("Coffee and tea.".encode("utf-16"))
    for arguments, shows in (
        (("ingest", str(folder)), "2 added"),
        (("ingest", str(folder)), "2 unchanged"),
        (("documents",), "note.md"),
        (("search", "rent"), "900 euros"),
        (("documents", "delete", f"{folder}/note.md"), "1 document deleted"),
    ):
        status, said = await motet(mesh, *arguments)
        assert (status, shows in said) == (0, True), (arguments, said)


async def test_the_operator_ends_what_it_called(mesh: SecuredMesh) -> None:
    gate = Gate()
    await mesh.join(with_fault(worker(echo), "work", gate))
    calling = asyncio.create_task(mesh.motet.call("worker.work", {}))
    await gate.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await gate.wait_cancelled(timeout_s=5)
