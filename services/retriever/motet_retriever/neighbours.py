"""Neighbours: what the retriever has other agents do while documents come and go.

A recording is transcribed by the speech agent; what was cut goes to the knowledge graph. Both are
met over the bus only, and both may be missing: then recordings are refused and there is no graph.
Both work for the principal of the call, so the graph for its tenant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from motet.agent import Call
from motet.messages import (
    BlobRef,
    ForgetRequest,
    ForgetResult,
    GraphDocument,
    GraphIngestRequest,
    GraphIngestResult,
    GraphPassage,
    Passage,
    TranscribeRequest,
    Transcript,
)
from motet_retriever.documents import PreparedDocument, Sources
from motet_retriever.ingestion import Graph

__all__ = ["forget", "graph", "sources"]

TRANSCRIBE = "speech.transcribe"
CONNECT = "graph.ingest"
FORGET = "graph.forget"


def sources(call: Call) -> Sources:
    """The object store, and the speech agent where one lives."""

    async def fetch(blob: BlobRef) -> bytes:
        # Larger ones are refused before anything is fetched, by the retriever's own limit.
        return await call.blobs.get(blob, max_bytes=blob.size)

    async def transcribe(audio: BlobRef) -> Transcript:
        request = TranscribeRequest(audio=audio)
        return await call.delegate(TRANSCRIBE, request, Transcript, step=f"hear {audio.sha256}")

    return Sources(fetch, transcribe if _lives(call, TRANSCRIBE) else None)


def graph(call: Call) -> Graph | None:
    """The knowledge graph, where one lives."""
    return _Graph(call) if _lives(call, CONNECT) else None


class _Graph:
    """The knowledge graph, as one call for ingestion speaks with it."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def take(self, place: int, documents: Sequence[PreparedDocument]) -> None:
        request = GraphIngestRequest(
            documents=tuple(
                GraphDocument(source=each.info.source, passages=tuple(map(_passage, each.passages)))
                for each in documents
            )
        )
        step = _step("connect", place, documents)
        await self._call.delegate(CONNECT, request, GraphIngestResult, step=step)

    async def forget(self, place: int, documents: Sequence[PreparedDocument]) -> None:
        request = ForgetRequest(sources=tuple(each.info.source for each in documents))
        step = _step("forget", place, documents)
        await self._call.delegate(FORGET, request, ForgetResult, step=step)


def _step(what: str, place: int, documents: Sequence[PreparedDocument]) -> str:
    """Names a step, the same when the call is delivered again.

    With the place, as a source that a request names three times may be taken, forgotten and taken;
    with all the versions, as what comes along with the first depends on what was stored before.
    """
    versions = "\n".join(f"{each.info.source} {each.info.fingerprint}" for each in documents)
    digest = hashlib.sha256(versions.encode()).hexdigest()[:16]
    return f"{what} {place} {documents[0].info.source} {digest}"


async def forget(call: Call, documents: Sequence[str]) -> None:
    """Has the knowledge graph forget documents, where one lives.

    Raises:
        FaultError: It does not, so the documents must stay findable until it has.
    """
    if _lives(call, FORGET):
        request = ForgetRequest(sources=tuple(documents))
        await call.delegate(FORGET, request, ForgetResult, step="forget")


def _lives(call: Call, wanted: str) -> bool:
    return any(
        f"{card.name}.{skill.name}" == wanted for card in call.cards() for skill in card.skills
    )


def _passage(passage: Passage) -> GraphPassage:
    return GraphPassage(
        id=passage.id,
        text=passage.text,
        title=passage.title,
        section=passage.section,
        position=passage.position,
        start=passage.start,
        end=passage.end,
    )
