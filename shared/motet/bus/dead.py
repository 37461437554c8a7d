"""Dead letters: what could not be done, kept with why, listed, replayed and dropped."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError

from motet.bus.blobs import Blobs
from motet.bus.connection import Bus
from motet.bus.delivery import Delivery
from motet.bus.topology import Header
from motet.errors import FaultError
from motet.messages import DeadLetter, Fault, FaultType, new_id

__all__ = ["DeadLetters", "StoredDeadLetter"]

_DROPPED_ON_REPLAY = (Header.MESSAGE_ID, Header.REPLY, Header.DEADLINE)


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter with its place in the stream DEAD."""

    sequence: int
    letter: DeadLetter


class DeadLetters:
    """The stream of dead letters."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._blobs = Blobs(bus)
        self._stream = bus.topology.stream("DEAD")

    async def bury(
        self,
        delivery: Delivery,
        fault: Fault,
        *,
        agent: str,
        skill: str,
        task: str | None = None,
        call: str | None = None,
    ) -> None:
        """Stores a dead letter for a delivery; doing it twice stores it once."""
        stream = "TASKS" if delivery.subject.split(".")[1] == "task" else "CALLS"
        body, blob = delivery.body, None
        if len(body) > self._bus.settings.max_body_bytes // 2:
            blob = await self._blobs.put(f"dead/{stream}/{delivery.sequence}", body)
            body = b""
        letter = DeadLetter(
            subject=delivery.subject,
            stream=self._bus.topology.stream(stream),
            sequence=delivery.sequence,
            body=base64.b64encode(body).decode(),
            body_blob=blob,
            headers=dict(delivery.headers),
            fault=fault,
            attempts=delivery.attempt,
            task=task,
            call=call,
        )
        await self._bus.store(
            self._bus.topology.dead(agent, skill),
            letter.model_dump_json().encode(),
            {Header.MESSAGE_ID: f"dead-{stream}-{delivery.sequence}", **_trace(delivery.headers)},
        )
        self._bus.instruments.dead_letter(agent, skill, fault.type)

    async def list(self, limit: int = 100) -> list[StoredDeadLetter]:
        """The newest dead letters, newest first."""
        state = await self._state()
        letters: list[StoredDeadLetter] = []
        for sequence in range(state[1], state[0] - 1, -1):
            if len(letters) >= limit:
                break
            letter = await self._read(sequence)
            if letter is not None:
                letters.append(StoredDeadLetter(sequence, letter))
        return letters

    async def get(self, sequence: int) -> DeadLetter:
        """One dead letter.

        Raises:
            FaultError: `not_found`.
        """
        letter = await self._read(sequence)
        if letter is None:
            raise FaultError.of(FaultType.NOT_FOUND, f"There is no dead letter {sequence}.")
        return letter

    async def replay(self, sequence: int) -> str | None:
        """Publishes the message again, under a new call id, and drops the dead letter.

        Returns:
            The new call's id; None when the message was not a call.
        """
        letter = await self.get(sequence)
        body = base64.b64decode(letter.body)
        if letter.body_blob is not None:
            body = await self._blobs.get(letter.body_blob)
        headers = {k: v for k, v in letter.headers.items() if k not in _DROPPED_ON_REPLAY}
        call = new_id() if Header.CALL in headers else None
        if call is not None:
            headers[Header.CALL] = call
        # The id makes a replay that is repeated after a crash the same replay.
        headers[Header.MESSAGE_ID] = f"replay-{self._stream}-{sequence}"
        await self._bus.store(letter.subject, body, headers)
        await self.drop(sequence)
        return call

    async def drop(self, sequence: int) -> None:
        """Removes a dead letter for good.

        Raises:
            FaultError: `not_found`.
        """
        await self.get(sequence)
        try:
            await self._bus.js.delete_msg(self._stream, sequence)
        except (NatsError, APIError) as error:
            raise _unreadable(error) from error

    async def _state(self) -> tuple[int, int]:
        try:
            state = (await self._bus.js.stream_info(self._stream)).state
        except (NatsError, APIError) as error:
            raise _unreadable(error) from error
        return state.first_seq, state.last_seq

    async def _read(self, sequence: int) -> DeadLetter | None:
        try:
            message = await self._bus.js.get_msg(self._stream, sequence)
        except NotFoundError:
            return None
        except (NatsError, APIError) as error:
            raise _unreadable(error) from error
        return DeadLetter.model_validate_json(message.data or b"")


def _trace(headers: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in headers.items() if k in (Header.TRACEPARENT, Header.TRACESTATE)}


def _unreadable(error: Exception) -> FaultError:
    return FaultError.of(
        FaultType.UNAVAILABLE,
        f"Dead letters cannot be read: {error or type(error).__name__}.",
        retryable=True,
    )
