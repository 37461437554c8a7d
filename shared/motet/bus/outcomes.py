"""Outcomes: what a skill's server writes of a call that has ended, or waits for a person.

Invariants:

- A fault that leaves here is of a bounded size, and says whose it is.
- What comes after its caller gave up at the deadline says so.
- An output that is too large to travel is in the object store before its outcome is written.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from motet.bus import calls
from motet.bus.blobs import Blobs
from motet.bus.bodies import bounded
from motet.bus.connection import Bus
from motet.bus.work import Work
from motet.errors import FaultError, Suspended
from motet.messages import CallResult, CallSuspended, Fault, FaultType
from motet.telemetry import names, span_context_of, traceparent_of

__all__ = ["Outcomes", "link", "suspended_body"]


class Outcomes:
    """Writes the outcomes of one skill, as JSON."""

    def __init__(self, bus: Bus, agent: str, skill: str) -> None:
        self._blobs = Blobs(bus)
        self._max_body_bytes = bus.settings.max_body_bytes
        self._agent = agent
        self._skill = skill

    async def succeeded(self, work: Work, output: Any, started: datetime) -> bytes:
        """The outcome of a call that gave an output.

        Raises:
            FaultError: `internal` when the output is nothing that JSON can say, `unavailable`.
        """
        result = self._result(work, started, ok=True, output=output)
        try:
            body = result.model_dump_json().encode()
        except PydanticSerializationError as error:
            raise FaultError.of(
                FaultType.INTERNAL,
                f"{self._agent}.{self._skill} gave an output that is no JSON: {error}",
            ) from error
        if len(body) <= self._max_body_bytes:
            return body
        blob = await self._blobs.put(
            f"{result.task}/{result.call}/output",
            to_json(result.output),
            media_type="application/json",
        )
        return result.model_copy(update={"output": None, "blob": blob}).model_dump_json().encode()

    def failed(self, work: Work, fault: Fault, started: datetime) -> bytes:
        """The outcome of a call that ended with a fault."""
        return self._result(work, started, ok=False, fault=fault).model_dump_json().encode()

    def own(self, fault: Fault) -> Fault:
        """A fault as it crosses the bus: of a bounded size, and saying whose it is."""
        fault = bounded(fault)
        if fault.agent is not None:
            return fault
        return fault.model_copy(update={"agent": self._agent, "skill": self._skill})

    def _result(self, work: Work, started: datetime, **values: Any) -> CallResult:
        return CallResult(
            task=work.context.task,
            call=work.context.call,
            agent=self._agent,
            skill=self._skill,
            usage=work.usage,
            attempts=work.attempt,
            resumed=work.context.resumed,
            started_at=started,
            late=_is_late(work),
            **values,
        )


def _is_late(work: Work) -> bool:
    """Whether the caller has given up by now."""
    left = work.context.time_left_s()
    return left is not None and left < -calls.LATE_GRACE_S


def suspended_body(work: Work, suspended: Suspended) -> bytes:
    """What stands in the ledger for a call that waits for a person."""
    work.span.set_attribute(names.SUSPENDED, True)
    record = CallSuspended(
        task=work.context.task,
        call=work.context.call,
        questions=tuple(sorted(suspended.questions)),
        resumed=work.context.resumed,
        usage=work.usage,
        traceparent=traceparent_of(work.span),
    )
    return record.model_dump_json().encode()


def link(work: Work, suspended: CallSuspended) -> None:
    """Links an attempt to the one that was suspended."""
    earlier = span_context_of(suspended.traceparent) if suspended.traceparent else None
    if earlier is not None:
        work.span.add_link(earlier, {names.LINK: names.LINK_RESUME})
