"""The mesh of all six services: idle, with passages, with tasks done."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.footprint.answers import QUESTION, TEXT
from benchmarks.footprint.memory import Memory, family
from benchmarks.footprint.stored import Stored, bytes_in
from motet.bus import Bus
from motet.client import Motet
from motet.embedded import EmbeddedMesh
from motet.messages import Document, IngestRequest, IngestResult, Usage
from motet.settings import Settings
from motet.telemetry import setup

__all__ = ["services"]

WARM = 10
"""Tasks that are done before their share is measured, so that what is made once is there."""
A_DOCUMENT = 10
"""Passages."""


async def services(
    folder: Path,
    model_url: str,
    *,
    settle_s: float,
    passages: int,
    tasks: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The figures `idle`, `passages` and `tasks`."""
    os.environ |= {
        "MOTET_SPEECH_MODEL": "openai:whisper-1",
        "MOTET_SPEECH_VOICE": "openai:voice",
        "MOTET_SPEECH_URL": model_url,
    }
    settings = Settings(
        data_dir=folder, model="local:scripted", model_url=model_url, model_cache=False
    )
    figures: dict[str, Any] = {}
    async with EmbeddedMesh(settings, on_death="end") as mesh:
        await asyncio.sleep(settle_s)
        figures["idle"] = idle = _memory(mesh)
        say(f"idle: {idle}")
        telemetry = setup("client", mesh.settings.model_copy(update={"spans_dir": None}))
        async with Bus.open(mesh.settings, telemetry) as bus:
            motet = Motet(bus)
            await _ingest(motet, [Document(source="tower.md", title="Tower", text=TEXT)])
            figures["passages"] = await _passages(motet, mesh, folder, passages)
            say(f"passages: {figures['passages']}")
            await _do(motet, WARM)
            before = await Stored.now(bus, mesh.processes["nats-server"].pid, folder)
            figures["tasks"] = await _do(motet, tasks)
            after = await Stored.now(bus, mesh.processes["nats-server"].pid, folder)
            figures["tasks"] |= after.each(before, tasks)
            del figures["tasks"][
                "nats_memory_bytes"
            ]  # of so few it is what the server keeps anyway
            say(f"tasks: {figures['tasks']}")
        figures["after_tasks"] = _memory(mesh)
        await telemetry.shutdown()
    return figures


def _memory(mesh: EmbeddedMesh) -> dict[str, Memory]:
    found: dict[str, Memory] = {}
    for name, process in mesh.processes.items():
        for part, taken in family(process.pid).items():
            found[name if part == "own" else f"{name}: {part}"] = taken
    return found


async def _do(motet: Motet, count: int) -> dict[str, float]:
    """Does tasks one after another; gives how many calls each made, and requests to the model."""
    spent = Usage()
    for _ in range(count):
        task = await motet.submit(QUESTION)
        record = await task.result(120)
        if record.answer is None or not record.answer.citations:
            raise SystemExit(f"task {record.id} was not answered as it should: {record}")
        await task.evaluation(120)
        spent = spent + record.usage
    return {"calls": spent.calls / count, "model_calls": spent.model_calls / count}


async def _passages(motet: Motet, mesh: EmbeddedMesh, folder: Path, count: int) -> dict[str, Any]:
    before, disk = _memory(mesh), {name: bytes_in(folder / name) for name in ("retriever", "graph")}
    characters = stored = 0
    for document in _documents(count):
        characters += len(document.text or "")
        stored += await _ingest(motet, [document])
    after = _memory(mesh)
    return {
        "passages": stored,
        "characters": round(characters / stored),
        "grown_mb": {
            name: round(taken["rss"] - before.get(name, {"rss": 0.0})["rss"], 1)
            for name, taken in after.items()
            if name.partition(":")[0] in ("retriever", "graph")
        },
        "disk_mb": {
            name: round((bytes_in(folder / name) - size) / 1e6, 1) for name, size in disk.items()
        },
    }


async def _ingest(motet: Motet, documents: list[Document]) -> int:
    request = IngestRequest(documents=tuple(documents))
    result = await motet.call("retriever.ingest", request, IngestResult, timeout_s=600)
    if wrong := [each for each in result.items if each.status != "added" or each.reason]:
        raise SystemExit(f"not ingested: {wrong}")
    return sum(item.passages for item in result.items)


def _documents(passages: int) -> Iterator[Document]:
    """Texts of paragraphs that each become a passage."""
    chance = random.Random(1)
    syllables = ["ka", "lo", "mer", "tin", "vas", "or", "bel", "dun", "fi", "gra", "su", "nel"]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 3))) for _ in range(4000)]

    def name() -> str:
        return f"{chance.choice(words).title()} {chance.choice(words).title()}"

    def sentence() -> str:
        return " ".join(chance.choices(words, k=14)).capitalize() + "."

    for number in range(passages // A_DOCUMENT):
        paragraphs = [
            " ".join(
                [
                    *(f"{name()} was designed by {name()}." for _ in range(3)),
                    *(sentence() for _ in range(8)),
                ]
            )
            for _ in range(A_DOCUMENT)
        ]
        yield Document(
            source=f"{number}.md", title=f"Document {number}", text="\n\n".join(paragraphs)
        )
