"""Playing the examples of `motet demo`: documents and recordings in, then one task after the other.

What is done is what anybody can do with the other commands and the client: ingest, submit over
NATS, follow. Recordings are made by the mesh's own voice, so that none has to be kept or fetched.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from motet.cli.examples import Example
from motet.cli.ingest import ingest_shown
from motet.cli.layout import indented, width
from motet.cli.report import rule, scores
from motet.cli.runs import summary
from motet.cli.sending import INGEST
from motet.cli.tasks import follow
from motet.cli.terminal import out
from motet.cli.trace import show_tree
from motet.client import Motet, TaskHandle
from motet.errors import FaultError
from motet.messages import (
    BlobRef,
    Document,
    FaultType,
    IngestRequest,
    IngestResult,
    SpeakRequest,
    SpokenAudio,
    Task,
)
from motet.settings import Settings

__all__ = ["Verdict", "play"]

DOCUMENTS = "documents"
RECORDINGS = "recordings"
"""Folder of texts that are spoken, and ingested as what was heard."""

SPOKEN_GOAL = "Answer the question in the recording."

_SPEAK_WITHIN_S = 120.0
_INGEST_WITHIN_S = 300.0
_SCORED_WITHIN_S = 30.0


@dataclass(frozen=True)
class Verdict:
    """What came of one example."""

    goal: str
    task: str
    wrong: str | None
    """Why it is not right; None when it is."""


async def play(
    motet: Motet, settings: Settings, examples: Path, tasks: list[Example], *, as_json: bool
) -> list[Verdict]:
    """Ingests the examples, does their tasks, and judges each.

    Raises:
        FaultError: Something could not be ingested or spoken.
    """
    documents = examples / DOCUMENTS
    items = await ingest_shown(motet, documents)
    texts = await asyncio.to_thread(_recordings, examples)
    items += [await _record(motet, name, text) for name, text in texts.items()]
    if not as_json:
        out().print(f"  [dim]ingested[/]  {summary(items)}")
    evaluated = any(agent.name == "evaluator" for agent in await motet.agents())
    verdicts: list[Verdict] = []
    for number, example in enumerate(tasks, 1):
        if not as_json:
            out().print()
            out().print(rule(out(), f"Task {number} of {len(tasks)}"))
            asked = f"{example.goal} (asked aloud)" if example.spoken else example.goal
            out().print(asked, width=width(out()), markup=False)
        handle = await _submit(motet, example)
        record = await follow(motet, handle.id, as_json=as_json)
        if not as_json:
            if evaluated:
                await _show_scores(handle)
            out().print()
            await show_tree(settings, handle.id)
        verdicts.append(Verdict(example.goal, handle.id, example.wrong(record)))
    return verdicts


def _recordings(examples: Path) -> dict[str, str]:
    """What is to be spoken, by the name of the recording."""
    files = sorted((examples / RECORDINGS).glob("*.txt"))
    return {f"{file.stem}.wav": file.read_text(encoding="utf-8") for file in files}


async def _record(motet: Motet, name: str, text: str) -> IngestResult.Item:
    """Has a text spoken, and ingests the recording."""
    spoken = await _spoken(motet, text)
    document = Document(source=name, media_type=spoken.media_type, blob=spoken)
    request = IngestRequest(documents=(document,))
    result = await motet.call(INGEST, request, IngestResult, timeout_s=_INGEST_WITHIN_S)
    return result.items[0]


async def _submit(motet: Motet, example: Example) -> TaskHandle:
    if not example.spoken:
        return await motet.submit(example.goal)
    question = await _spoken(motet, example.goal)
    return await motet.submit(Task(goal=SPOKEN_GOAL, inputs=(question,)))


async def _spoken(motet: Motet, text: str) -> BlobRef:
    """A text as the mesh's own voice speaks it."""
    request = SpeakRequest(text=text)
    spoken = await motet.call("speech.speak", request, SpokenAudio, timeout_s=_SPEAK_WITHIN_S)
    return spoken.audio


async def _show_scores(handle: TaskHandle) -> None:
    """Waits for the scores, which come after the answer, and shows them."""
    try:
        evaluation = await handle.evaluation(_SCORED_WITHIN_S)
    except FaultError as error:
        if error.fault.type != FaultType.DEADLINE_EXCEEDED:
            raise
        out().print("  no scores came", style="yellow")
        return
    out().print(indented(scores(out(), evaluation), 2))
