"""JetStream's API about one stream: questions that the client library has no call for.

Invariants:

- An answer that is an error is a fault, unless it says that something is not there.
- What may be asked twice is asked until it is answered; what may not, once.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from nats.errors import Error as NatsError
from pydantic_core import from_json

from motet.bus import connection
from motet.bus.archives import ArchivedMessage
from motet.bus.complaints import RefusedError
from motet.bus.connection import Bus
from motet.bus.pages import NO_MESSAGE
from motet.bus.topology import Header
from motet.errors import FaultError, SetupError
from motet.messages import FaultType

__all__ = ["NOBODY", "NO_STREAM", "StreamApi", "check", "error_code", "missing", "unavailable"]

NO_STREAM = 10059
"""NATS's error code for a stream that is not there."""

NOBODY = "503"
"""The status under which the server says that nobody listens."""


class StreamApi:
    """Asks about streams, by their full names."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def exists(self, stream: str) -> bool:
        """Whether there is a stream.

        Raises:
            FaultError: `unavailable`.
        """
        return await self._info(stream) is not None

    async def last_sequence(self, stream: str) -> int:
        """The newest sequence number of a stream.

        Raises:
            SetupError: There is no such stream.
            FaultError: `unavailable`.
        """
        info = await self._info(stream)
        if info is None:
            raise missing(stream)
        return int(info["state"]["last_seq"])

    async def message(self, stream: str, **which: int | str) -> ArchivedMessage | None:
        """A message as it is stored, by the stream's leader; None where there is none.

        Args:
            stream: Which stream.
            **which: Which message, as JetStream has it: `seq`, `next_by_subj`, `last_by_subj`.

        Raises:
            FaultError: `unavailable`.
        """
        answer = await self._read(f"$JS.API.STREAM.MSG.GET.{stream}", which)
        if error_code(answer) == NO_MESSAGE:
            return None
        check(answer, f"Stream {stream!r} cannot be read")
        message = answer["message"]
        return ArchivedMessage(
            sequence=message["seq"],
            subject=message["subject"],
            stored_ns=_nanoseconds(message["time"]),
            headers=base64.b64decode(message.get("hdrs", "")),
            body=base64.b64decode(message.get("data", "")),
        )

    async def ask(self, subject: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What the server answers, asked once.

        Raises:
            FaultError: `unavailable` when it does not, or may not be asked.
        """
        body = json.dumps(asked).encode()
        try:
            message = await self._bus.replies.request(subject, body, None, connection.GIVE_UP_S)
        except (NatsError, TimeoutError) as error:
            retryable = not isinstance(error, RefusedError)
            why = str(error) or type(error).__name__
            complaint = f"NATS did not answer {subject!r}: {why}."
            raise unavailable(complaint, retryable=retryable) from error
        if (message.headers or {}).get(Header.STATUS) == NOBODY:
            raise unavailable(f"NATS did not answer {subject!r}: JetStream is off, or not ready.")
        answer: dict[str, Any] = from_json(message.data)
        return answer

    async def _info(self, stream: str) -> dict[str, Any] | None:
        answer = await self._read(f"$JS.API.STREAM.INFO.{stream}", {})
        if error_code(answer) == NO_STREAM:
            return None
        check(answer, f"Nothing is known of stream {stream!r}")
        return answer

    async def _read(self, subject: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Asks what may be asked again."""
        answer: dict[str, Any] = from_json(
            (await self._bus.request(subject, json.dumps(asked).encode())).data
        )
        return answer


def error_code(answer: Mapping[str, Any]) -> int | None:
    """NATS's error code, where an answer is one."""
    return int(answer["error"].get("err_code", -1)) if "error" in answer else None


def check(answer: Mapping[str, Any], complaint: str) -> None:
    """Raises what an answer says is wrong, in a sentence that begins with `complaint`."""
    code = error_code(answer)
    if code is not None:
        said = answer["error"].get("description", "unknown")
        raise unavailable(f"{complaint}: {said} (NATS error {code}).")


def missing(stream: str) -> SetupError:
    """There is no such stream."""
    return SetupError(
        f"Stream {stream!r} does not exist: there is no mesh, or one of another version; "
        "`python -m motet.bus.provision` makes what is missing."
    )


def unavailable(message: str, *, retryable: bool = True) -> FaultError:
    """A fault with a sentence."""
    return FaultError.of(FaultType.UNAVAILABLE, message, retryable=retryable)


def _nanoseconds(moment: str) -> int:
    """Unix time of a moment as NATS writes it, with up to nine digits after the second."""
    whole, _, fraction = moment.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, "0"))
