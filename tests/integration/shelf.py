"""A retriever for tests of the command: it keeps documents in memory, and writes down its calls.

Each call is a line of the file SHELF_LOG: the skill, the tenant, and the names of the documents. A
document that says `refuse` fails, `poison` fails its call for good, and `wait` waits for ever.
"""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["SHELF", "calls"]

SHELF = """
    import asyncio
    import hashlib
    import json
    import os

    from motet.agent import Agent, Call
    from motet.errors import FaultError
    from motet.messages import (
        DeleteRequest, DeleteResult, DocumentFailure, DocumentInfo, DocumentsRequest,
        DocumentsResult, IngestRequest, IngestResult, Passage, SearchRequest, SearchResult, now,
    )

    agent = Agent("retriever", "Keeps documents")
    shelf = {}
    texts = {}

    def told(skill, call, sources):
        with open(os.environ["SHELF_LOG"], "a") as file:
            line = {"skill": skill, "tenant": call.principal.tenant, "sources": list(sources)}
            file.write(json.dumps(line) + "\\n")

    def seen(info, call):
        return not info.labels or bool(set(info.labels) & set(call.principal.access))

    @agent.skill("ingest", "Takes documents", plannable=False, max_attempts=1)
    async def ingest(request: IngestRequest, call: Call) -> IngestResult:
        told("ingest", call, [document.source for document in request.documents])
        if any(document.text == "poison" for document in request.documents):
            raise FaultError.of("internal", "The press broke.")
        return IngestResult(items=tuple([await take(d, call) for d in request.documents]))

    async def take(document, call):
        data = (document.text or "").encode()
        if document.blob is not None:
            data = await call.blobs.get(document.blob)
        if data == b"wait":
            try:
                await asyncio.Event().wait()
            finally:
                told("cancelled", call, [document.source])
        key = (call.principal.tenant, document.source)
        failure = DocumentFailure(reason="It was refused.", at=now()) if data == b"refuse" else None
        status = "failed" if failure else "replaced" if key in shelf else "added"
        texts[key] = data.decode(errors="replace")
        shelf[key] = DocumentInfo(
            source=document.source, title=document.source, media_type=document.media_type,
            sha256="", content_sha256=hashlib.sha256(data).hexdigest(), fingerprint="",
            characters=len(data), passages=0 if failure else 1, ingested_at=now(),
            labels=document.labels, fields=document.fields, time=document.time, failure=failure,
        )
        return IngestResult.Item(
            source=document.source, status=status, passages=shelf[key].passages,
            reason=failure and failure.reason,
        )

    @agent.skill("documents", "Lists documents", plannable=False)
    async def documents(request: DocumentsRequest, call: Call) -> DocumentsResult:
        told("documents", call, request.sources)
        return DocumentsResult(documents=tuple(
            info for (tenant, source), info in sorted(shelf.items())
            if tenant == call.principal.tenant and seen(info, call)
            and (not request.sources or source in request.sources)
            and (info.failure is not None or not request.failed)
        ))

    @agent.skill("delete", "Removes documents", plannable=False)
    async def delete(request: DeleteRequest, call: Call) -> DeleteResult:
        told("delete", call, request.sources)
        return DeleteResult(items=tuple(
            DeleteResult.Item(
                source=source, passages=1,
                status="deleted" if shelf.pop((call.principal.tenant, source), None) else "unknown",
            )
            for source in request.sources
        ))

    @agent.skill("search", "Finds passages")
    async def search(request: SearchRequest, call: Call) -> SearchResult:
        found = [
            Passage(
                id=source, source=source, title=source, text=texts[tenant, source], position=0,
                start=0, end=1, page=3, score=0.5, reason="It has the word.",
                branches=({"branch": "sparse", "rank": 1, "score": 2.5, "query": "other words"},),
            )
            for (tenant, source), info in sorted(shelf.items())
            if tenant == call.principal.tenant and seen(info, call)
            and request.query in texts[tenant, source]
            and (request.filter is None or info.fields.get("year") == request.filter.value)
        ]
        return SearchResult(
            passages=tuple(found[: request.limit]), strategy=request.strategy or "hybrid",
            queries=("other words",),
        )
"""


def calls(log: Path, skill: str) -> list[list[str]]:
    """The documents of each call of a skill, in order."""
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [line["sources"] for line in lines if line["skill"] == skill]
