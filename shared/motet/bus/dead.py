"""Dead letters: what could not be done, kept with why, listed, replayed and dropped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, cast

from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from motet.bus.blobs import Blobs
from motet.bus.connection import Bus
from motet.bus.replays import StoredDeadLetter, replayed_body
from motet.bus.topology import TASK_CALL, Header
from motet.bus.tracing import earlier_attempt
from motet.errors import FaultError
from motet.messages import DeadLetter, Fault, FaultType

__all__ = ["DeadLetters", "StoredDeadLetter", "Undeliverable"]

_DROPPED_ON_REPLAY = (
    Header.MESSAGE_ID,
    Header.REPLY,
    Header.DEADLINE,
    Header.PARENT,
    Header.ACCOUNT,
)
_UNREADABLE = "Dead letters cannot be read"
_HEADER_NAME = re.compile(r"[A-Za-z0-9_-]+")


class Undeliverable(Protocol):
    """A message of a work queue, or an event that somebody acts on."""

    @property
    def subject(self) -> str:
        """Where it was published."""
        ...

    @property
    def body(self) -> bytes:
        """Its bytes."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers."""
        ...

    @property
    def sequence(self) -> int:
        """Its place in the stream."""
        ...

    @property
    def attempt(self) -> int:
        """How often it was delivered."""
        ...


class DeadLetters:
    """The stream of dead letters."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._blobs = Blobs(bus)
        self._stream = bus.topology.stream("DEAD")

    async def bury(
        self,
        delivery: Undeliverable,
        fault: Fault,
        *,
        agent: str,
        skill: str,
        task: str | None = None,
        call: str | None = None,
    ) -> None:
        """Stores a dead letter for a delivery; doing it twice stores it once."""
        area = delivery.subject.split(".")[1]
        stream = {"task": "TASKS", "event": "EVENTS"}.get(area, "CALLS")
        # Several agents may fail at one event.
        whose = f"-{agent}" if stream == "EVENTS" else ""
        body, blob = delivery.body, None
        if len(body) > self._bus.settings.max_body_bytes // 2:
            blob = await self._blobs.put(f"dead/{stream}/{delivery.sequence}", body)
            body = b""
        headers = _kept(delivery.headers)
        letter = DeadLetter(
            subject=delivery.subject,
            stream=self._bus.topology.stream(stream),
            sequence=delivery.sequence,
            body=base64.b64encode(body).decode(),
            body_blob=blob,
            headers=headers,
            fault=fault,
            attempts=delivery.attempt,
            task=task,
            call=call,
        )
        await self._bus.store(
            self._bus.topology.dead(agent, skill),
            letter.model_dump_json().encode(),
            {Header.MESSAGE_ID: f"dead-{stream}-{delivery.sequence}{whose}", **_trace(headers)},
        )
        self._bus.instruments.dead_letter(agent, skill, fault.type)

    async def list(self, limit: int = 100) -> list[StoredDeadLetter]:
        """The newest dead letters, newest first."""
        first, last = await self._ends()
        letters: list[StoredDeadLetter] = []
        for sequence in range(last, first - 1, -1):
            if len(letters) >= limit:
                break
            stored = await self._read(sequence)
            if stored is not None:
                letters.append(stored)
        return letters

    async def get(self, sequence: int) -> DeadLetter:
        """One dead letter.

        Raises:
            FaultError: `not_found`.
        """
        return (await self._stored(sequence)).letter

    async def replay(self, sequence: int) -> str | None:
        """Publishes the message again, where that may be, and drops the dead letter.

        It becomes a task of its own, since its own may have ended, or a call outside of any task.
        Its trace is the same, and its span is linked to that of the last attempt. A replay that is
        repeated after a crash is the same replay.

        Returns:
            The new task's id, under which the outcome will be found; None for what is neither a
            readable task nor a call.

        Raises:
            FaultError: `not_found`, or what `replayed_body` raises.
        """
        stored = await self._stored(sequence)
        letter = stored.letter
        body = base64.b64decode(letter.body)
        if letter.body_blob is not None:
            body = await self._blobs.get(letter.body_blob)
        body = await replayed_body(self._bus, stored, body)
        headers = {k: v for k, v in letter.headers.items() if k not in _DROPPED_ON_REPLAY}
        headers[Header.MESSAGE_ID] = f"replay-{self._stream}-{sequence}"
        earlier = earlier_attempt(headers, letter.stream, letter.sequence, letter.attempts)
        if earlier is not None:
            headers[Header.EARLIER] = earlier
        name = f"{self._stream}.{sequence}.{letter.at.isoformat()}"
        task: str | None = f"replay-{hashlib.sha256(name.encode()).hexdigest()[:32]}"
        if self._bus.topology.is_submission(letter.subject):
            renamed = _with_id(body, task)
            task, body = (None, body) if renamed is None else (task, renamed)
        elif letter.stream == self._bus.topology.stream("CALLS"):
            headers |= {Header.TASK: task, Header.CALL: TASK_CALL, Header.WATCHED: "0"}
        else:
            task = None
        await self._bus.store(letter.subject, body, headers)
        await self.drop(sequence)
        return task

    async def drop(self, sequence: int) -> None:
        """Removes a dead letter for good.

        Raises:
            FaultError: `not_found`.
        """
        await self.get(sequence)

        async def delete() -> None:
            # Asked again, it may be gone.
            with suppress(NotFoundError):
                await self._bus.js.delete_msg(self._stream, sequence)

        await self._bus.patiently(delete, f"Dead letter {sequence} cannot be removed")

    async def _ends(self) -> tuple[int, int]:
        state = (
            await self._bus.patiently(partial(self._bus.js.stream_info, self._stream), _UNREADABLE)
        ).state
        return max(state.first_seq, 1), state.last_seq

    async def _stored(self, sequence: int) -> StoredDeadLetter:
        stored = await self._read(sequence)
        if stored is None:
            raise FaultError.of(FaultType.NOT_FOUND, f"There is no dead letter {sequence}.")
        return stored

    async def _read(self, sequence: int) -> StoredDeadLetter | None:
        async def ask() -> RawStreamMsg | None:
            try:
                return await self._bus.js.get_msg(self._stream, sequence)
            except NotFoundError:
                return None

        message = await self._bus.patiently(ask, _UNREADABLE)
        if message is None:
            return None
        subject, body = message.subject or "", message.data or b""
        try:
            letter = DeadLetter.model_validate_json(body)
        except ValidationError:
            letter = _no_letter(subject, sequence, body)
        copied = Header.STREAM in (message.headers or {})
        return StoredDeadLetter(sequence, letter, subject, copied)


def _no_letter(subject: str, sequence: int, body: bytes) -> DeadLetter:
    """Stands for what an agent has put among the dead letters and is none."""
    fault = Fault(type=FaultType.INVALID_INPUT, message="This letter cannot be read.")
    text = base64.b64encode(body).decode()
    return DeadLetter(
        subject=subject, stream="", sequence=sequence, body=text, fault=fault, attempts=0
    )


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers, of 64 KiB at most on any stream, without names that no client could send again."""
    return {name: value for name, value in headers.items() if _HEADER_NAME.fullmatch(name)}


def _with_id(body: bytes, task: str) -> bytes | None:
    """A submission under another id; None when it cannot be read."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return json.dumps({**cast("dict[str, Any]", value), "id": task}).encode()


def _trace(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k in (Header.TRACEPARENT, Header.TRACESTATE)}
