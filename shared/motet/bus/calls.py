"""Calls: delegating work to a skill and waiting for its one outcome.

Invariants:

- A call is handed over when the stream CALLS has it; from then on it survives its caller.
- The caller always gets an outcome or, at its deadline, a fault; never silence. A reply that is
  lost with the process that sent it is found in the ledger.
- Issuing a call again under its id gives the outcome that stands, and does not run it again.
- Who gave up at the deadline has given up for good: a late outcome is kept, and not applied.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from nats.aio.msg import Msg
from nats.js.errors import NotFoundError
from opentelemetry.trace import SpanKind
from pydantic import BaseModel
from pydantic_core import to_json

from motet.bus.blobs import Blobs
from motet.bus.connection import Bus
from motet.bus.context import CallContext
from motet.bus.ledger import Ledger, read_record
from motet.bus.topology import Header
from motet.errors import FaultError, Suspended
from motet.messages import CallResult, CallSuspended, Fault, FaultType
from motet.telemetry import inject, names

__all__ = ["Caller"]

_SKILL = re.compile(r"[a-z][a-z0-9_]{0,39}\.[a-z][a-z0-9_]{0,39}")
"""`Name.Name`: nothing else can be a subject that an agent listens on."""

LEDGER_POLL_S = 5.0
"""Seconds after which a caller without a reply looks into the ledger."""

KNOWN_POLL_S = 0.05
"""The same for a call that was issued before, at first; each further wait is twice as long."""

LATE_GRACE_S = 2.0
"""Seconds past the deadline that a caller leaves the called agent to report the deadline itself."""


class Caller:
    """Delegates calls."""

    def __init__(self, bus: Bus, source: str) -> None:
        self._bus = bus
        self._source = source
        self._ledger = Ledger(bus)
        self._blobs = Blobs(bus)
        self._known: set[tuple[str, str]] = set()

    async def call(
        self,
        skill: str,
        request: BaseModel | Mapping[str, Any],
        context: CallContext,
        *,
        step: str,
    ) -> CallResult:
        """Delegates and waits.

        Args:
            skill: `agent.skill`.
            request: The skill's input.
            context: The call's own context (not the caller's).
            step: The caller's name for the call.

        Returns:
            The outcome; a `deadline_exceeded` fault when none came in time. Its output is present
            even when it travelled as a blob.

        Raises:
            FaultError: `unknown_skill` when the mesh has no such skill, `unavailable` when the call
                could not be handed over.
            Suspended: It has no outcome before a person has replied.
        """
        agent, _, name = skill.partition(".")
        await self._check_known(agent, name)
        reply, future = await self._bus.replies.expect()
        try:
            context = replace(context, reply=reply)
            subject = self._bus.topology.call(agent, name)
            headers = context.headers()
            again = f".{context.resumed}" if context.resumed else ""
            headers[Header.MESSAGE_ID] = f"{context.task}.{context.call}{again}"
            headers[Header.CE_ID] = context.call
            headers[Header.CE_TYPE] = f"motet.{agent}.{name}.v1"
            headers[Header.CE_SOURCE] = self._source
            headers[Header.CE_SPECVERSION] = "1.0"
            body = await self._body(request, context, headers)
            attributes = {
                names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_NATS,
                names.MESSAGING_OPERATION_TYPE: names.OPERATION_SEND,
                names.MESSAGING_OPERATION_NAME: names.OPERATION_SEND,
                names.MESSAGING_DESTINATION_NAME: subject,
                names.MESSAGING_MESSAGE_ID: context.call,
                names.TASK: context.task,
                names.CALL: context.call,
                names.AGENT: agent,
                names.SKILL: name,
                names.STEP: step,
            }
            with self._bus.tracer.span(names.send(subject), SpanKind.PRODUCER, attributes):
                inject(headers)
                known = (await self._bus.store(subject, body, headers)).duplicate
            return await self._wait(context, skill, future, known)
        finally:
            self._bus.replies.forget(reply)

    async def _check_known(self, agent: str, skill: str) -> None:
        """Refuses a skill that has no queue: nobody would ever take the call up."""
        if (agent, skill) in self._known:
            return
        if not _SKILL.fullmatch(f"{agent}.{skill}") or not await self._bus.patiently(
            partial(self._is_known, agent, skill),
            f"NATS does not say whether '{agent}.{skill}' exists",
        ):
            raise FaultError.of(
                FaultType.UNKNOWN_SKILL,
                f"No agent has ever announced the skill {f'{agent}.{skill}'[:100]!r}: "
                "`motet agents` lists what there is.",
            )
        self._known.add((agent, skill))

    async def _is_known(self, agent: str, skill: str) -> bool:
        stream = self._bus.topology.stream("CALLS")
        try:
            await self._bus.js.consumer_info(stream, f"{agent}-{skill}")
        except (NotFoundError, ValueError):
            return False
        return True

    async def _body(
        self,
        request: BaseModel | Mapping[str, Any],
        context: CallContext,
        headers: dict[str, str],
    ) -> bytes:
        body = (
            request.model_dump_json().encode()
            if isinstance(request, BaseModel)
            else to_json(dict(request))
        )
        if len(body) <= self._bus.settings.max_body_bytes:
            return body
        ref = await self._blobs.put(
            f"{context.task}/{context.call}/input", body, media_type="application/json"
        )
        headers[Header.BLOB] = ref.model_dump_json()
        return b""

    async def _wait(
        self, context: CallContext, skill: str, future: asyncio.Future[Msg], known: bool
    ) -> CallResult:
        # The reply to a call that was issued before goes to whoever issued it first.
        poll_s = KNOWN_POLL_S if known else LEDGER_POLL_S
        while True:
            left = context.time_left_s()
            patience = poll_s if left is None else min(poll_s, left + LATE_GRACE_S)
            await asyncio.wait((future,), timeout=max(patience, 0.0))
            poll_s = min(2 * poll_s, LEDGER_POLL_S)
            if future.done():
                result = read_record(future.result().data)
            else:
                entry = await self._ledger.entry(context.task, context.call)
                result = None if entry is None else entry.record
            # What was suspended before the task was resumed is on its way again.
            if isinstance(result, CallSuspended) and result.resumed == context.resumed:
                raise Suspended(frozenset(result.questions), result.usage)
            if isinstance(result, CallResult):
                return _overdue(context, skill) if result.late else await self._whole(result)
            if left is not None and left + LATE_GRACE_S <= patience:
                return _overdue(context, skill)

    async def standing(self, context: CallContext) -> CallResult | None:
        """The outcome of a call that ended before its task was resumed, without issuing it again.

        Raises:
            FaultError: `unavailable` when the ledger cannot be read.
        """
        entry = await self._ledger.entry(context.task, context.call)
        if entry is None or entry.result is None or entry.result.resumed == context.resumed:
            return None
        result = entry.result
        if result.late:
            return _overdue(context, f"{result.agent}.{result.skill}")
        return await self._whole(result)

    async def _whole(self, result: CallResult) -> CallResult:
        """An outcome with its output, which may have travelled as a blob."""
        if result.blob is None or not result.ok:
            return result
        output = json.loads(await self._blobs.get(result.blob))
        return result.model_copy(update={"output": output})


def _overdue(context: CallContext, skill: str) -> CallResult:
    agent, _, name = skill.partition(".")
    return CallResult(
        task=context.task,
        call=context.call,
        agent=agent,
        skill=name,
        ok=False,
        attempts=0,
        fault=Fault(
            type=FaultType.DEADLINE_EXCEEDED,
            message=f"{skill} gave no outcome before the deadline.",
            agent=agent,
            skill=name,
        ),
    )
