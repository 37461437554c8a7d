"""Documents of a task: found by its searches alone, and gone once it has ended.

A task is somebody in the store, beside the tenants: its documents are kept under an owner that no
principal of the mesh can be, since a tenant's name has no `/`. So whatever keeps tenants apart, in
the store's own queries, keeps tasks apart.

Which tasks have documents is noted in the same store, each with the moment after which none may be
left.

Invariants:

- A task is noted before its first document is stored, and until its last one is removed.
- Its searches find its documents until they are erased, or that moment has come; those of no other
  task ever do.
- What a killed planner leaves behind is swept up once the task's record says that it has ended, and
  at that moment at the latest.
- Once a task's documents are erased it can have no others. A call that was under way may leave some
  behind, which nobody finds, until then.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from motet.errors import FaultError
from motet.messages import (
    Document,
    DocumentInfo,
    EraseResult,
    FaultType,
    Principal,
    now,
)
from motet_retriever.stores.port import PassageStore, owner

__all__ = ["TaskCall", "TaskDocuments", "of_task"]

log = logging.getLogger(__name__)

NOTES = owner("/tasks")
"""Whose documents the notes are."""
GRACE = timedelta(minutes=1)
"""For how long the documents of a task may outlive its deadline."""
PAGE = 100

Ended = Callable[[str], Awaitable[bool]]
"""Whether a task has ended, by its id."""


class TaskCall(Protocol):
    """What is asked of a call."""

    @property
    def task(self) -> str:
        """Id of the task that it serves."""
        ...

    @property
    def principal(self) -> Principal:
        """On whose behalf it is made."""
        ...

    @property
    def deadline(self) -> datetime | None:
        """When it must be over."""
        ...


class TaskDocuments:
    """The documents of all tasks, in one store."""

    def __init__(self, store: PassageStore, *, ttl_s: float) -> None:
        """Documents of a task without a deadline are kept for `ttl_s` seconds."""
        self._store = store
        self._ttl = timedelta(seconds=ttl_s)

    async def enter(self, call: TaskCall) -> Principal:
        """The owner of documents that the call's task is about to have.

        Raises:
            FaultError: `invalid_input` when its documents have been erased.
        """
        name = _name(call.principal, call.task)
        until = (call.deadline or now() + self._ttl) + GRACE
        noted = await self._noted(name)
        if noted is not None and _erased(noted):
            raise FaultError.of(
                FaultType.INVALID_INPUT,
                f"The documents of task {call.task!r} have been erased: it can have no others.",
            )
        if noted is None or _until(noted) < until:
            await self._note(name, until)
        return owner(name)

    async def stay(self, call: TaskCall) -> None:
        """Notes the task again, where a sweep has come between its note and its documents."""
        name = _name(call.principal, call.task)
        if await self._noted(name) is None:
            await self._note(name, now())

    async def owner(self, call: TaskCall) -> Principal | None:
        """The owner of the documents of the call's task; None where it has none."""
        name = _name(call.principal, call.task)
        noted = await self._noted(name)
        if noted is None or _erased(noted) or _until(noted) < now():
            return None
        return owner(name)

    async def erase(self, call: TaskCall) -> EraseResult:
        """Removes the documents of the call's task for good."""
        name = _name(call.principal, call.task)
        noted = await self._noted(name)
        if noted is None:
            return EraseResult(documents=0, passages=0)
        await self._note(name, _until(noted), erased=True)
        documents, passages = await self._remove(name)
        await self._store.flush()
        return EraseResult(documents=documents, passages=passages)

    async def sweep(self, ended: Ended) -> int:
        """Removes the documents of tasks that have ended; returns how many there were."""
        removed = 0
        for noted in await self._notes():
            name, late = noted.source, _until(noted) < now()
            if not late and (_erased(noted) or not await ended(_task(name))):
                continue
            documents, _ = await self._remove(name)
            if late:
                await self._store.delete(NOTES, [name])
                # What a call has stored in the meantime is found now; what it stores later, it
                # notes again.
                documents += (await self._remove(name))[0]
            else:
                await self._note(name, _until(noted), erased=True)
                documents += (await self._remove(name))[0]
            removed += documents
        if removed:
            await self._store.flush()
            log.info("%d documents of tasks that have ended were removed", removed)
        return removed

    async def _remove(self, name: str) -> tuple[int, int]:
        """Removes what a task has; returns how many documents and passages that was."""
        documents = passages = 0
        while True:
            page, _ = await self._store.page(owner(name), PAGE, None)
            if not page:
                return documents, passages
            removed = await self._store.delete(owner(name), [each.source for each in page])
            documents += len(removed)
            passages += sum(removed.values())

    async def _notes(self) -> list[DocumentInfo]:
        notes: list[DocumentInfo] = []
        after: str | None = None
        while True:
            page, after = await self._store.page(NOTES, PAGE, after)
            notes += page
            if after is None:
                return notes

    async def _noted(self, name: str) -> DocumentInfo | None:
        return (await self._store.find(NOTES, [name])).get(name)

    async def _note(self, name: str, until: datetime, *, erased: bool = False) -> None:
        note = DocumentInfo(
            source=name,
            title="",
            media_type="text/plain",
            sha256="",
            fingerprint="",
            characters=0,
            passages=0,
            ingested_at=now(),
            time=until,
            fields={"erased": True} if erased else {},
        )
        await self._store.put(NOTES, note, [])


def of_task(document: Document) -> Document:
    """A document as a task has it: without labels, as nobody else finds it."""
    return document.model_copy(update={"labels": ()})


def _name(principal: Principal, task: str) -> str:
    return f"{principal.tenant}/{task}"


def _task(name: str) -> str:
    return name.partition("/")[2]


def _until(noted: DocumentInfo) -> datetime:
    return noted.time or noted.ingested_at


def _erased(noted: DocumentInfo) -> bool:
    return bool(noted.fields.get("erased"))
