"""The ledger: one outcome a call.

Invariants:

- An outcome is written by compare-and-set on the call's own key, so the first one stands, whoever
  else works on the same call.
- A call that takes long is claimed on the same key. The claim names the message that is worked
  on: a second message with the same call id is a duplicate and can be dropped, because the first
  one stays in its queue until an outcome stands.
- A call is looked up before it runs, except where it cannot be known yet: its certain first
  delivery (see `motet.bus.delivery`), of a call that its caller issues while nobody else can have
  begun what the caller does (`fresh`), stored within 30 s of being issued. Anybody else who issues
  the same call does so after that caller lost hold of its own message, so at most an ack wait and
  those 30 s apart from it, and the stream's dedupe window of 120 s keeps one of the two. This saves
  a round trip a hop.
- The server announces an outcome on the call's result subject after it is stored, so an outcome
  that was seen is an outcome that is kept.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Self

from pydantic import Field, TypeAdapter

from motet.bus.connection import Bus
from motet.bus.kv import Bucket
from motet.messages import CallClaim, CallResult, CallSuspended

__all__ = ["Entry", "Hold", "Ledger", "LedgerRecord", "read_record"]

LedgerRecord = CallResult | CallClaim | CallSuspended

_RECORD: TypeAdapter[LedgerRecord] = TypeAdapter(
    Annotated[LedgerRecord, Field(discriminator="kind")]
)


def read_record(body: bytes) -> LedgerRecord:
    """Reads what the ledger holds for a call, as JSON."""
    return _RECORD.validate_json(body)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger holds for a call."""

    record: LedgerRecord
    revision: int
    """The sequence in the bucket, which the next write must name."""

    @property
    def result(self) -> CallResult | None:
        """The outcome, if it stands."""
        return self.record if isinstance(self.record, CallResult) else None


class Ledger:
    """Reads and writes outcomes and claims."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, "results")

    async def entry(self, task: str, call: str) -> Entry | None:
        """What is known of a call; None when nothing is.

        Raises:
            FaultError: `unavailable` when the ledger cannot be read.
        """
        item = await self._bucket.get(f"{task}.{call}")
        if item is None:
            return None
        return Entry(_RECORD.validate_json(item.value), item.revision)

    async def claim(self, claim: CallClaim, revision: int) -> int | None:
        """Claims a call; `revision` is 0 for a call of which nothing was known.

        Returns:
            The new revision, or None when somebody else wrote first.
        """
        key = f"{claim.task}.{claim.call}"
        return await self._bucket.put(key, claim.model_dump_json().encode(), revision)

    async def settle(self, task: str, call: str, body: bytes, revision: int) -> bytes:
        """Writes the outcome, a `CallResult` as JSON, if none stands yet.

        A `CallSuspended` is written the same way, and makes room for whatever comes later.

        Returns:
            The outcome that stands: `body`, or the one that came first.
        """
        while await self._bucket.put(f"{task}.{call}", body, revision) is None:
            item = await self._bucket.get(f"{task}.{call}")
            if item is not None and isinstance(_RECORD.validate_json(item.value), CallResult):
                return item.value
            revision = item.revision if item is not None else 0
        return body


class Hold:
    """A call's place in the ledger while somebody works on it.

    Most calls end before `after_s` and write nothing but their outcome. A longer one is claimed
    then, so that a second message with its id, published after the stream's dedupe window, is
    seen to be a duplicate.
    """

    def __init__(self, ledger: Ledger, claim: CallClaim, revision: int, after_s: float) -> None:
        self._ledger = ledger
        self._claim = claim
        self._after_s = after_s
        self._timer: asyncio.TimerHandle | None = None
        self._claiming: asyncio.Task[None] | None = None
        self.revision = revision
        """What the next write must name."""

    async def __aenter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(self._after_s, self._begin)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._claiming is not None:
            await asyncio.gather(self._claiming, return_exceptions=True)

    def _begin(self) -> None:
        self._claiming = asyncio.create_task(self._write(), name=f"claim {self._claim.call}")

    async def _write(self) -> None:
        claimed = await self._ledger.claim(self._claim, self.revision)
        if claimed is not None:
            self.revision = claimed
