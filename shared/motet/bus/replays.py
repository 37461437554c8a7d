"""Replays: what of a dead letter may be published again.

Who writes a letter wrote all of it; only the subject that it lies on is held to its agent by the
server. Who replays it may publish more than that agent. So a replay does nothing but what the mesh
itself bears out:

- a call goes back to the skill that buried it;
- a task is submitted again as its record has it;
- the end of a task is told again where its record says that it has ended so.

Anything else (a reply, a cancellation) is for a person to give again.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from motet.bus.book import TaskBook
from motet.bus.connection import Bus
from motet.errors import FaultError
from motet.messages import DeadLetter, FaultType, StateChanged, TaskRecord

__all__ = ["StoredDeadLetter", "replayed_body"]


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter with its place in the stream DEAD."""

    sequence: int
    letter: DeadLetter
    subject: str = ""
    """What it lies on: that of the agent and the skill that buried it."""
    copied: bool = False
    """Whether it was put there by a read, and so perhaps by another agent."""


async def replayed_body(bus: Bus, stored: StoredDeadLetter, body: bytes) -> bytes:
    """What to publish of a letter with this body on the letter's subject.

    Raises:
        FaultError: `invalid_input` when it is not to be replayed, `not_found` when nothing is
            known of its task, `unavailable`.
    """
    letter, topology = stored.letter, bus.topology
    agent_and_skill = stored.subject.removeprefix(f"{topology.namespace}.dead.")
    if stored.copied:
        raise _refused(stored, "it was copied to where it lies")
    if letter.subject == f"{topology.namespace}.call.{agent_and_skill}":
        return body
    if topology.is_submission(letter.subject):
        record = await _record(bus, stored)
        if record.fault is None:
            raise _refused(stored, f"its task, {record.id}, has not failed")
        return body if record.task is None else record.task.model_dump_json().encode()
    if letter.task is not None and letter.subject == topology.event(letter.task, "state"):
        record = await _record(bus, stored)
        if not _tells_the_end(body, record):
            raise _refused(stored, f"its task, {record.id}, has not ended so")
        return body
    raise _refused(stored, f"{agent_and_skill!r} takes nothing from {letter.subject!r}")


async def _record(bus: Bus, stored: StoredDeadLetter) -> TaskRecord:
    task = stored.letter.task
    record = None if task is None else await TaskBook(bus).get(task)
    if record is None:
        raise FaultError.of(
            FaultType.NOT_FOUND,
            f"Dead letter {stored.sequence} is not replayed: there is no record of its task any "
            "more. Submit it again.",
        )
    return record


def _tells_the_end(body: bytes, record: TaskRecord) -> bool:
    try:
        event = StateChanged.model_validate_json(body)
    except ValidationError:
        return False
    return record.state.terminal and (event.task, event.state) == (record.id, record.state)


def _refused(stored: StoredDeadLetter, why: str) -> FaultError:
    return FaultError.of(
        FaultType.INVALID_INPUT,
        f"Dead letter {stored.sequence} goes nowhere: {why}. `motet dead show` tells what it is, "
        "`motet dead drop` removes it.",
    )
