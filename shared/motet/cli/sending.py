"""Sending: documents from files to the retriever, several calls at once.

Invariants:

- What the retriever has already, by the SHA-256 of its bytes, is not sent again.
- One document that fails stops no other. Of a call that fails as a whole each document is sent
  alone, so that the one that is to blame is known by name.
- A run ends early when nobody takes calls, or when `GIVE_UP_AFTER` calls have failed one after the
  other; what was done until then stays, and another run goes on from there.
- Bytes that travel through the object store are removed from it when they have been read.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from motet.cli.folders import File, Root, Version, is_removed
from motet.client import Motet
from motet.direct import DirectCalls
from motet.errors import FaultError
from motet.media import is_recording
from motet.messages import (
    ANYBODY,
    CustomFields,
    DeleteRequest,
    DeleteResult,
    Document,
    DocumentInfo,
    DocumentsRequest,
    DocumentsResult,
    FaultType,
    IngestRequest,
    IngestResult,
    Principal,
)

__all__ = ["INGEST", "Digests", "Item", "Sender", "Wanted", "batches", "missing"]

INGEST = "retriever.ingest"
DOCUMENTS = "retriever.documents"
DELETE = "retriever.delete"

BATCH_BYTES = 64 * 1024
"""Bytes of files that one call carries, unless one file has more: small enough to show progress."""
BATCH_FILES = 50

INLINE_BYTES = 128 * 1024
"""Text up to this travels in the message itself."""

CLEAN_WITHIN_S = 3.0
"""Seconds that removing what a call has read may take."""

ASKED_AT_ONCE = 500
"""Documents that are asked for, or removed, by one call."""

INGEST_WITHIN_S = 600.0
HEAR_WITHIN_S = 3 * 3600.0
"""Seconds that a call with a recording may take, all before it in the queue included."""

GIVE_UP_AFTER = 5

Item = IngestResult.Item
Digests = dict[Path, tuple[Version, str]]
"""What is known of files' SHA-256, so that one that did not change is not read again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How documents are to be ingested."""

    principal: Principal = ANYBODY
    labels: tuple[str, ...] = ()
    fields: CustomFields = field(default_factory=dict)
    modified: bool = False
    """Whether a file's time of change is its document's time."""
    again: bool = False
    """Whether what the retriever has is sent all the same."""
    parallel: int = 4
    """Calls at once."""

    def document(self, file: File, **content: object) -> Document:
        """The document of a file."""
        return Document.model_validate(
            {
                "source": file.source,
                "media_type": file.media_type,
                "labels": self.labels,
                "fields": self.fields,
                "time": file.modified if self.modified else None,
                **content,
            }
        )

    def is_met(self, known: DocumentInfo, file: File, sha256: str) -> bool:
        """Whether the retriever has a file as it is wanted."""
        return (
            known.failure is None
            and known.content_sha256 == sha256
            and known.media_type == file.media_type
            and set(known.labels) == set(self.labels)
            and known.fields == self.fields
            and (not self.modified or known.time == file.modified)
        )


class Sender:
    """Sends files, and removes documents, in one run of calls that belong together."""

    def __init__(
        self, motet: Motet, calls: DirectCalls, wanted: Wanted, digests: Digests | None = None
    ) -> None:
        self._motet = motet
        self._calls = calls
        self._wanted = wanted
        self._digests = {} if digests is None else digests
        self._steps = 0
        self._failures = 0

    async def send(self, files: Sequence[File], done: Callable[[Item], None]) -> None:
        """Sends what the retriever has not, and tells of each file what became of it.

        Raises:
            FaultError: The run cannot go on.
        """
        queue = asyncio.Queue[list[File] | None](self._wanted.parallel)

        async def read() -> None:
            for some in _portions(files, ASKED_AT_ONCE):
                for batch in batches(await self._left(some, done)):
                    await queue.put(batch)
            for _ in range(self._wanted.parallel):
                await queue.put(None)

        async def work() -> None:
            while (batch := await queue.get()) is not None:
                await self._send(batch, done)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(read())
                for _ in range(self._wanted.parallel):
                    group.create_task(work())
        except ExceptionGroup as several:
            raise several.exceptions[0] from None

    async def delete(self, sources: Sequence[str]) -> list[DeleteResult.Item]:
        """Removes documents."""
        items: list[DeleteResult.Item] = []
        for some in _portions(sources, ASKED_AT_ONCE):
            request = DeleteRequest(sources=tuple(some))
            step = self._step("delete")
            result = await self._calls.call(
                DELETE, request, DeleteResult, step=step, timeout_s=INGEST_WITHIN_S
            )
            items += result.items
        return items

    async def known(self) -> list[DocumentInfo]:
        """All documents that the principal sees."""
        found: list[DocumentInfo] = []
        after: str | None = None
        while True:
            page = await self._documents(DocumentsRequest(limit=ASKED_AT_ONCE, after=after))
            found += page.documents
            after = page.next
            if after is None:
                return found

    async def _documents(self, request: DocumentsRequest) -> DocumentsResult:
        return await self._calls.call(DOCUMENTS, request, DocumentsResult, step=self._step("known"))

    async def _left(self, files: Sequence[File], done: Callable[[Item], None]) -> list[File]:
        """Those of some files that are to be sent."""
        if self._wanted.again:
            return list(files)
        request = DocumentsRequest(sources=tuple(file.source for file in files))
        known = {each.source: each for each in (await self._documents(request)).documents}
        left: list[File] = []
        digests = await asyncio.to_thread(self._hashed, [f for f in files if f.source in known])
        for file in files:
            info, sha256 = known.get(file.source), digests.get(file.source)
            if info is not None and sha256 and self._wanted.is_met(info, file, sha256):
                done(Item(source=file.source, status="unchanged", passages=info.passages))
            else:
                left.append(file)
        return left

    def _hashed(self, files: Iterable[File]) -> dict[str, str]:
        """The SHA-256 of files, by source; those that cannot be read are left out."""
        found: dict[str, str] = {}
        for file in files:
            version, digest = self._digests.get(file.path, (None, ""))
            if version != file.version:
                try:
                    with file.path.open("rb") as opened:
                        digest = hashlib.file_digest(opened, "sha256").hexdigest()
                except OSError:
                    continue
                self._digests[file.path] = (file.version, digest)
            found[file.source] = digest
        return found

    async def _send(self, batch: list[File], done: Callable[[Item], None]) -> None:
        """Sends files in one call; each alone if that fails."""
        documents: list[Document] = []
        for file in batch:
            try:
                documents.append(await self._document(file))
            except OSError as error:
                reason = f"it cannot be read: {error.strerror}"
                done(Item(source=file.source, status="failed", passages=0, reason=reason))
        if not documents:
            return
        try:
            result = await self._ingest(documents)
        except FaultError as error:
            self._failures += 1
            if error.fault.agent is None or self._failures >= GIVE_UP_AFTER:
                raise
            if error.fault.type == FaultType.DEADLINE_EXCEEDED:
                await self._documents(DocumentsRequest(limit=1))  # raises if nobody is there
            if len(documents) == 1:
                reason = error.fault.message
                source = documents[0].source
                done(Item(source=source, status="failed", passages=0, reason=reason))
                return
            sent = {document.source for document in documents}
            for file in batch:
                if file.source in sent:
                    await self._send([file], done)
            return
        self._failures = 0
        for item in result.items:
            done(item)

    async def _document(self, file: File) -> Document:
        """A file's document: text in the message, anything else in the object store.

        Raises:
            OSError: It cannot be read.
            FaultError: `unavailable` when the store does not take it.
        """
        data = await asyncio.to_thread(file.path.read_bytes)
        text = _plain_text(data) if file.media_type.startswith("text/") else None
        if text is not None and len(data) <= INLINE_BYTES:
            return self._wanted.document(file, text=text)
        blob = await self._motet.blobs.put(
            f"{self._calls.id}/{self._step('file')}",
            data,
            media_type=file.media_type,
            filename=file.path.name,
        )
        return self._wanted.document(file, blob=blob)

    async def _ingest(self, documents: Sequence[Document]) -> IngestResult:
        request = IngestRequest(documents=tuple(documents))
        heard = any(is_recording(document.media_type) for document in documents)
        try:
            return await self._calls.call(
                INGEST,
                request,
                IngestResult,
                step=self._step("ingest"),
                timeout_s=HEAR_WITHIN_S if heard else INGEST_WITHIN_S,
            )
        finally:
            # What is left of a run whose mesh went away takes room, and does no harm.
            with suppress(FaultError, TimeoutError):
                async with asyncio.timeout(CLEAN_WITHIN_S):
                    for document in documents:
                        if document.blob is not None:
                            await self._motet.blobs.delete(document.blob.name)

    def _step(self, what: str) -> str:
        self._steps += 1
        return f"{what}-{self._steps}"


def _plain_text(data: bytes) -> str | None:
    """Bytes as text that has the same bytes in UTF-8; None for any other."""
    if data.startswith(b"\xef\xbb\xbf") or b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def batches(files: Iterable[File]) -> Iterator[list[File]]:
    """Files in parts that one call each carries, in order."""
    batch: list[File] = []
    size = 0
    for file in files:
        if batch and (size + file.version.size > BATCH_BYTES or len(batch) >= BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.version.size
    if batch:
        yield batch


def missing(roots: Iterable[Root], sources: Iterable[str]) -> dict[Root, tuple[list[str], int]]:
    """For each folder those of the documents whose files were removed, and how many are left."""
    found: dict[Root, tuple[list[str], int]] = {}
    known = list(sources)
    for root in roots:
        inside = {source: path for source in known if (path := root.inside(source)) is not None}
        gone = [source for source, path in inside.items() if is_removed(path)]
        found[root] = (gone, len(inside) - len(gone))
    return found


def _portions(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(values), size):
        yield values[first : first + size]
