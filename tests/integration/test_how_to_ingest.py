"""docs/how-to/ingest-documents.md: its commands do what it says, with the real retriever."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from motet.messages import DocumentsRequest, DocumentsResult, Principal
from motet.testing import TestMesh
from motet_retriever.app import agent
from tests.embedder import LetterEmbedder

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "how-to" / "ingest-documents.md").read_text("utf-8")
COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
]


@dataclass
class User:
    """Somebody with the examples in a folder, and a mesh with the real retriever."""

    mesh: TestMesh
    folder: Path

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "motet.cli", *arguments),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "MOTET_NATS_URL": self.mesh.settings.nats_url,
                "MOTET_NAMESPACE": self.mesh.settings.namespace,
                "MOTET_DATA_DIR": str(self.folder / ".data"),
            },
        )

    async def __call__(self, *arguments: str, status: int = 0) -> str:
        process = await self.start(*arguments)
        out, err = await process.communicate()
        assert process.returncode == status, f"{arguments}: {out.decode()} {err.decode()}"
        return out.decode()

    async def json(self, *arguments: str) -> Any:
        return json.loads(await self(*arguments, "--json"))

    async def documents(self, **principal: Any) -> set[str]:
        """The names of what is known to the retriever."""
        who = Principal(**principal)
        listed = await self.mesh.motet.call(
            "retriever.documents", DocumentsRequest(), DocumentsResult, principal=who
        )
        return {Path(info.source).name for info in listed.documents}


async def objects(mesh: TestMesh) -> list[str]:
    """The subjects of what the object store holds, less the marks of what was deleted."""
    stream = f"OBJ_{mesh.bus.topology.blobs}"
    info = await mesh.bus.js.stream_info(stream, subjects_filter=">")
    return [subject for subject in info.state.subjects or {} if ".C." in subject]


@pytest.fixture
async def user(mesh: TestMesh, tmp_path: Path) -> User:
    await mesh.join(agent, context={"embedder": LetterEmbedder()})
    shutil.copytree(ROOT / "examples" / "documents", tmp_path / "examples" / "documents")
    return User(mesh, tmp_path)


async def test_every_command_is_run(user: User) -> None:
    for command in COMMANDS:
        if "--watch" in command:
            process = await user.start(*command)
            assert process.stdout is not None
            assert b"7 documents: " in await process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 128 + signal.SIGINT
        else:
            await user(*command)
    everybody = await user.documents()
    assert len(everybody) == 5
    assert "workshops.md" not in everybody
    assert await user.documents(access=("staff",)) - everybody == {"night-operations.md"}
    assert len(await user.documents(tenant="red")) == 7


async def test_what_is_there_is_known_by_its_bytes(user: User) -> None:
    folder = user.folder / "examples" / "documents"
    (folder / "wide.txt").write_bytes("Coffee and tea.".encode("utf-16"))
    (folder / "marked.md").write_bytes(b"\xef\xbb\xbf# Marked\n\nText.\n")
    first = await user.json("ingest", "examples/documents")
    assert {item["status"] for item in first["items"]} == {"added"}
    assert await objects(user.mesh) == []  # what travelled apart is gone when it has been read
    again = await user.json("ingest", "examples/documents")
    assert {item["status"] for item in again["items"]} == {"unchanged"}
    sent = [
        span
        for span in user.mesh.spans()
        if span.name == "process motet.call.retriever.ingest"
        and span.attributes["motet.task"] == again["run"]
    ]
    assert sent == []
    assert {
        item["status"]
        for item in (await user.json("ingest", "examples/documents", "--again"))["items"]
    } == {"unchanged"}


async def test_what_fails_is_known_until_it_succeeds(user: User) -> None:
    folder = user.folder / "examples" / "documents"
    (folder / "empty.md").write_text("")
    old = (folder / "workshops.md").read_text()
    await user("ingest", "examples/documents", status=1)
    (folder / "workshops.md").write_text(" ")
    await user("ingest", "examples/documents", status=1)

    failed = {Path(info["source"]).name: info for info in await user.json("documents", "--failed")}
    assert failed.keys() == {"empty.md", "workshops.md"}
    assert failed["empty.md"]["passages"] == 0
    assert failed["workshops.md"]["passages"] > 0  # the version before is still found
    assert all(info["failure"]["reason"] for info in failed.values())

    (folder / "workshops.md").write_text(old)
    (folder / "empty.md").unlink()
    await user("ingest", "examples/documents", "--sync")
    assert await user.json("documents", "--failed") == []
    assert "empty.md" not in await user.documents()


async def test_nothing_is_found_of_what_was_removed(user: User) -> None:
    folder = user.folder / "examples" / "documents"
    (folder / "fox.md").write_text("# Fox\n\nThe vixen of the observatory is called Zinnia.\n")
    await user("ingest", "examples/documents", "--label", "staff")
    search = ("search", "Zinnia", "--access", "staff")
    assert (await user.json(*search))["passages"][0]["source"] == "examples/documents/fox.md"
    assert (await user.json("search", "Zinnia"))["passages"] == []
    (folder / "fox.md").rename(folder / "vixen.md")
    synced = await user.json("ingest", "examples/documents", "--sync", "--label", "staff")
    assert [item["source"] for item in synced["deleted"]] == ["examples/documents/fox.md"]
    found = (await user.json(*search))["passages"]
    assert found[0]["source"] == "examples/documents/vixen.md"
    assert "examples/documents/fox.md" not in {passage["source"] for passage in found}
