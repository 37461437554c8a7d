"""Neighbours: what the retriever has other agents do while documents come and go.

A recording is transcribed by the speech agent; what was cut goes to the knowledge graph. Both are
met over the bus only, and both may be missing: then recordings are refused and there is no graph.
"""

from __future__ import annotations

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
from motet_retriever.ingestion import Connect

__all__ = ["connect", "forget", "sources"]

TRANSCRIBE = "speech.transcribe"
CONNECT = "graph.ingest"
FORGET = "graph.forget"


def sources(call: Call) -> Sources:
    """The object store, and the speech agent where one lives."""

    async def transcribe(audio: BlobRef) -> Transcript:
        request = TranscribeRequest(audio=audio)
        return await call.delegate(TRANSCRIBE, request, Transcript, step=f"hear {audio.sha256}")

    return Sources(call.blobs.get, transcribe if _lives(call, TRANSCRIBE) else None)


def connect(call: Call) -> Connect | None:
    """Hands documents to the knowledge graph; None where none lives."""
    if not _lives(call, CONNECT):
        return None

    async def hand_over(documents: Sequence[PreparedDocument]) -> None:
        request = GraphIngestRequest(
            documents=tuple(
                GraphDocument(source=each.info.source, passages=tuple(map(_passage, each.passages)))
                for each in documents
            )
        )
        step = f"connect {documents[0].info.source} {documents[0].info.fingerprint}"
        await call.delegate(CONNECT, request, GraphIngestResult, step=step)

    return hand_over


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
