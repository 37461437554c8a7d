"""Approvals: the questions that tasks wait for, and their replies.

Invariants:

- A question is written once: who asks again, on another attempt, finds the one that stands.
- A reply is written once, by compare-and-set, and never changes. It fits its question.
- A question outlives every process. Its reply is kept with who gave it, when and why.
- Question and reply are two keys, so that whoever may ask need not be let reply. The reply's holds
  the question as it was replied to.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from motet.bus.book import TaskBook
from motet.bus.connection import Bus
from motet.bus.context import CallContext
from motet.bus.events import Events
from motet.bus.kv import Bucket, Item
from motet.bus.topology import DEDUPE_WINDOW_S, Header
from motet.errors import FaultError
from motet.json_schema import problems
from motet.messages import (
    ApprovalRecord,
    Event,
    FaultType,
    PersonAsked,
    PersonReplied,
    Question,
    Reply,
)

__all__ = ["NOBODY", "Approvals"]

log = logging.getLogger(__name__)

NOBODY = "nobody"
"""Who has replied where the question's default holds."""

_REPLY = "reply"
"""The last token of a reply's key, after those of its question."""

RETOLD_WITHIN = timedelta(seconds=DEDUPE_WINDOW_S / 2)
"""How long after it happened an event is written again, in case whoever should have has died."""


class Approvals:
    """The bucket `approvals`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._book = TaskBook(bus)
        self._events = Events(bus)
        self._bucket = Bucket(bus, "approvals")

    async def ask(self, question: Question, context: CallContext, skill: str) -> ApprovalRecord:
        """Writes a question, and tells of it, unless the call has asked it before.

        Returns:
            The question that stands, with its reply if it has one.

        Raises:
            FaultError: `invalid_input` when the question's default is no reply to it.
        """
        default = question.default
        check_reply(
            question,
            Reply(
                task=context.task,
                question=question.name,
                decision=default.decision,
                value=default.value,
            ),
        )
        asked_at = datetime.now(UTC)
        name = f"{context.task}\x1f{context.call}\x1f{question.name}"
        record = ApprovalRecord(
            id=hashlib.sha256(name.encode()).hexdigest()[:16],
            task=context.task,
            call=context.call,
            skill=skill,
            question=question,
            asked_at=asked_at,
            expires_at=asked_at + timedelta(seconds=question.timeout_s)
            if question.timeout_s is not None
            else None,
        )
        standing = await self._bucket.get(record.key)
        if standing is None and await self._bucket.put(record.key, _body(record), 0) is None:
            standing = await self._bucket.get(record.key)
        if standing is not None:
            record = await self._replied(_asked(standing))
        if record.reply is None:
            await self._tell(
                PersonAsked(
                    task=record.task,
                    call=record.call,
                    skill=record.skill,
                    id=record.id,
                    question=record.question,
                    expires_at=record.expires_at,
                ),
                record.key,
                record.asked_at,
            )
        return record

    async def get(self, task: str, question: str) -> ApprovalRecord | None:
        """A question, with its reply; None when there is no such question."""
        item = await self._bucket.get(f"{task}.{question}")
        return None if item is None else await self._replied(_asked(item))

    async def list(self, task: str = "", *, closed: bool = False) -> list[ApprovalRecord]:
        """Questions, of one task or of all, the oldest first.

        Args:
            task: Its id; empty for all tasks.
            closed: Also those that have a reply, or whose task has ended.
        """
        items = await self._bucket.items(task)
        answered = {_question_of(item.key) for item in items if _is_reply(item.key)}
        records = [
            await self._replied(_asked(item)) if item.key in answered else _asked(item)
            for item in items
            if not _is_reply(item.key)
        ]
        if not closed:
            records = [each for each in records if each.reply is None and await self._alive(each)]
        return sorted(records, key=lambda record: record.asked_at)

    async def replied(self, task: str, questions: tuple[str, ...]) -> ApprovalRecord | None:
        """The first of a task's questions that has a reply."""
        for question in questions:
            record = await self.get(task, question)
            if record is not None and record.reply is not None:
                return record
        return None

    async def reply(self, reply: Reply) -> ApprovalRecord:
        """Writes a reply; writing the very same again changes nothing.

        Raises:
            FaultError: `not_found`; `already_replied` when another reply stands; `cancelled` when
                the task has ended; `invalid_input` when the reply does not fit the question.
        """
        reply = reply.model_copy(update={"at": reply.at or datetime.now(UTC)})
        key = f"{reply.task}.{reply.question}"
        while True:
            item = await self._bucket.get(key)
            if item is None:
                raise _unknown(key)
            record, revision = await self._standing(_asked(item))
            if record.reply == reply:
                return record
            if record.reply is not None:
                raise _already_replied(record.reply)
            if not await self._alive(record):
                raise FaultError.of(
                    FaultType.CANCELLED, f"Task {record.task!r} has ended; it needs no reply."
                )
            check_reply(record.question, reply)
            replied = record.model_copy(update={"reply": reply})
            if await self._bucket.put(f"{key}.{_REPLY}", _body(replied), revision) is not None:
                return replied

    async def resume(self, reply: Reply, occasion: str = "replied") -> None:
        """Has the task go on with a reply that was written; once an occasion."""
        await self.tell_reply(reply)
        mark = f"{reply.task}.{reply.question}.{occasion}"
        await self._bus.store(
            self._bus.topology.task_resume,
            reply.model_dump_json().encode(),
            {Header.MESSAGE_ID: mark},
        )

    async def tell_reply(self, reply: Reply) -> None:
        """Writes the event of a reply that was written."""
        await self._tell(
            PersonReplied(
                task=reply.task,
                id=reply.question,
                decision=reply.decision,
                by=reply.by,
                reason=reply.reason,
            ),
            f"{reply.task}.{reply.question}",
            reply.at,
        )

    async def _tell(self, event: Event, key: str, since: datetime | None) -> None:
        """Writes an event once: again only while the stream would notice that it has it."""
        if since is None or datetime.now(UTC) - since < RETOLD_WITHIN:
            await self._events.publish(event, message_id=f"{key}.{event.kind}")

    async def watch(self) -> AsyncIterator[Item | None]:
        """Every question, and then each change, with its reply; as `Bucket.watch`.

        A reply that is seen so is not known to be one: `get` says.
        """
        async for item in self._bucket.watch():
            if item is None or not item.value:
                yield item
            elif _is_reply(item.key):
                yield replace(item, key=_question_of(item.key))
            else:
                try:
                    yield replace(item, value=_body(_asked(item)))
                except ValidationError as error:
                    log.warning("question %s cannot be read: %s", item.key, error)

    async def _replied(self, record: ApprovalRecord) -> ApprovalRecord:
        return (await self._standing(record))[0]

    async def _standing(self, record: ApprovalRecord) -> tuple[ApprovalRecord, int]:
        """A question with its reply if it has one, and the revision of that, or 0."""
        item, revision = await self._bucket.sent(f"{record.key}.{_REPLY}")
        if item is None:
            return record, revision
        return ApprovalRecord.model_validate_json(item.value), revision

    async def _alive(self, record: ApprovalRecord) -> bool:
        task = await self._book.get(record.task)
        return task is None or not task.state.terminal


def check_reply(question: Question, reply: Reply) -> None:
    """Refuses a reply that does not fit its question.

    Raises:
        FaultError: `invalid_input`.
    """
    if not question.allows(reply.decision):
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"A question of kind {question.kind!r} takes no {reply.decision!r}.",
        )
    if reply.decision not in {"edit", "respond"}:
        return
    if question.options and reply.value not in question.options:
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"{reply.value!r} is none of the options: {', '.join(question.options)}.",
        )
    if not question.value_schema:
        return
    for place, message in problems(question.value_schema, reply.value):
        where = ".".join(str(part) for part in place) or "the whole"
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"The value does not fit the question: {where}: {message[:1000]}.",
            value_schema=question.value_schema,
        )


def _asked(item: Item) -> ApprovalRecord:
    """A question as it was asked: what its asker says of a reply is none."""
    record = ApprovalRecord.model_validate_json(item.value)
    return record if record.reply is None else record.model_copy(update={"reply": None})


def _is_reply(key: str) -> bool:
    return key.count(".") == 2


def _question_of(key: str) -> str:
    return key.removesuffix(f".{_REPLY}")


def _body(record: ApprovalRecord) -> bytes:
    return record.model_dump_json().encode()


def _unknown(key: str) -> FaultError:
    return FaultError.of(
        FaultType.NOT_FOUND, f"There is no question {key!r}: `motet approvals list` shows them."
    )


def _already_replied(reply: Reply) -> FaultError:
    return FaultError.of(
        FaultType.ALREADY_REPLIED,
        f"The question has its reply: {reply.decision}, by {reply.by or 'somebody'}.",
        decision=reply.decision,
        by=reply.by,
    )
