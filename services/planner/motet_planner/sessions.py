"""Sessions: conversations whose turns are kept, so that a follow-up is understood.

A session is one value in the bucket `sessions`, named by its tenant and by the submitter's name for
it. It is gone some time after its last turn.

Invariants:

- A session belongs to the principal that began it: its tenant, and exactly its access labels. For
  anybody else there is a fault, whether they name it knowingly or not.
- It changes by compare-and-set, so that of tasks of one session none loses another's turn.
- A task has one turn in it, however often the task is delivered, and does not see that turn itself.
- Turns are bounded in number and size: the oldest go first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from pydantic import Field, ValidationError

from motet.errors import FaultError
from motet.messages import Answer, FaultType, Principal, Value, now
from motet.text.fencing import fence

__all__ = ["Sessions", "Store", "Turn", "recalled", "shown_turns"]

MAX_TURNS = 50
MAX_BYTES = 200_000
"""Of a session as JSON; a message of NATS has a million at most."""
GOAL_CHARACTERS = 4_000
ANSWER_CHARACTERS = 20_000
QUOTE_CHARACTERS = 300
"""Of a turn's parts; what is longer is cut, and ends with an ellipsis."""
CITATIONS = 20
TRIES = 20
"""Tries to change a session that others change at the same time."""
RECALL = "retriever.recall"


class Cited(Value):
    """Where a statement of a turn's answer comes from."""

    number: int
    source: str
    title: str
    quote: str


class Turn(Value):
    """One task of a conversation."""

    task: str
    goal: str
    answer: str
    answered: bool = True
    """False where the evidence held no answer."""
    citations: tuple[Cited, ...] = ()
    at: datetime = Field(default_factory=now)

    @classmethod
    def of(cls, task: str, goal: str, answer: Answer) -> Turn:
        """The turn of a task, within what a session keeps."""
        return cls(
            task=task,
            goal=_cut(goal, GOAL_CHARACTERS),
            answer=_cut(answer.text, ANSWER_CHARACTERS),
            answered=answer.answered,
            citations=tuple(
                Cited(
                    number=each.number,
                    source=each.source,
                    title=each.title,
                    quote=_cut(each.quote, QUOTE_CHARACTERS),
                )
                for each in answer.citations[:CITATIONS]
            ),
        )


class _Session(Value):
    tenant: str
    access: tuple[str, ...]
    """Of the principal that it belongs to, each label once, in alphabetical order."""
    begun_at: datetime = Field(default_factory=now)
    turns: tuple[Turn, ...] = ()


class Item(Protocol):
    """A value of a bucket."""

    @property
    def value(self) -> bytes: ...

    @property
    def revision(self) -> int: ...


class Store(Protocol):
    """A bucket; `motet.bus.Bucket` is one."""

    async def get(self, key: str) -> Item | None:
        """The newest value."""
        ...

    async def put(
        self, key: str, value: bytes, revision: int | None = None, *, ttl_s: float | None = None
    ) -> int | None:
        """Writes a value where `revision` is the newest; None where another is."""
        ...


class Asking(Protocol):
    """What is asked of a call to recall memories."""

    def cards(self) -> Sequence[Any]:
        """The agents that live now."""
        ...

    async def delegate(
        self, skill: str, request: Mapping[str, Any], *, step: str
    ) -> dict[str, Any]:
        """Has an agent do something."""
        ...


class Sessions:
    """The sessions of one task's principal."""

    def __init__(self, store: Store, *, principal: Principal, task: str, max_age_s: float) -> None:
        """Works with sessions.

        Args:
            store: The bucket `sessions`.
            principal: On whose behalf the task is done.
            task: The task's id.
            max_age_s: Seconds after its last turn for which a session is kept.
        """
        self._store = store
        self._principal = principal
        self._task = task
        self._max_age_s = max_age_s

    async def turns(self, session: str) -> list[Turn]:
        """The turns of a session but the task's own, the oldest first; a new one is begun.

        Raises:
            FaultError: `not_found` when it is somebody else's.
        """
        for _ in range(TRIES):
            found, revision = await self._read(session)
            if revision or await self._write(session, found, 0):
                return [each for each in found.turns if each.task != self._task]
        raise _busy(session)

    async def add(self, session: str, turn: Turn) -> None:
        """Adds the task's turn, unless it is there.

        Raises:
            FaultError: `not_found` when the session is somebody else's.
        """
        for _ in range(TRIES):
            found, revision = await self._read(session)
            if any(each.task == turn.task for each in found.turns):
                return
            turns = _bounded((*found.turns, turn))
            if await self._write(session, found.model_copy(update={"turns": turns}), revision):
                return
        raise _busy(session)

    async def _read(self, session: str) -> tuple[_Session, int]:
        """A session that is the principal's, and its revision; 0 for one that is not there."""
        access = tuple(sorted(set(self._principal.access)))
        own = _Session(tenant=self._principal.tenant, access=access)
        item = await self._store.get(self._key(session))
        if item is None:
            return own, 0
        try:
            found = _Session.model_validate_json(item.value)
        except ValidationError as error:
            raise FaultError.of(
                FaultType.INTERNAL, f"The session {session!r} cannot be read: {error}."
            ) from None
        if (found.tenant, found.access) != (own.tenant, own.access):
            raise FaultError.of(
                FaultType.NOT_FOUND,
                f"There is no session {session!r} that you may go on with: it was begun by "
                "somebody else, or with other access labels. Begin one of another name.",
                session=session,
            )
        return found, item.revision

    async def _write(self, session: str, value: _Session, revision: int) -> bool:
        data = value.model_dump_json().encode()
        key = self._key(session)
        return await self._store.put(key, data, revision, ttl_s=self._max_age_s) is not None

    def _key(self, session: str) -> str:
        return f"{self._principal.tenant}.{session}"


def shown_turns(turns: Sequence[Turn], characters: int) -> str:
    """The newest turns that fit into so many characters, the oldest first, as data for a model.

    At least the newest is shown, cut where it must be. Empty where there are none.
    """
    shown: list[str] = []
    left = characters
    for each in reversed(turns):
        told = f"Person: {each.goal}\nAssistant: {each.answer}"
        if len(told) > left:
            if not shown:
                shown.append(_cut(told, max(left, 1)))
            break
        shown.append(told)
        left -= len(told)
    return fence("\n\n".join(reversed(shown)), label="conversation") if shown else ""


async def recalled(session: str, goal: str, call: Asking, *, limit: int = 5) -> list[str]:
    """What agents have remembered of a session that fits a goal; nothing where none remembers."""
    skills = {f"{card.name}.{skill.name}" for card in call.cards() for skill in card.skills}
    if RECALL not in skills:
        return []
    request = {"query": goal[:4000], "session": session, "limit": limit}
    output = await call.delegate(RECALL, request, step="session.recall")
    return [str(each["text"]) for each in output.get("memories", ())]


def _bounded(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The newest of them, as many as a session keeps."""
    kept: list[Turn] = []
    size = 0
    for each in reversed(turns[-MAX_TURNS:]):
        size += len(each.model_dump_json().encode())
        if kept and size > MAX_BYTES:
            break
        kept.append(each)
    return tuple(reversed(kept))


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _busy(session: str) -> FaultError:
    return FaultError.of(
        FaultType.UNAVAILABLE,
        f"The session {session!r} is changed by others all the time.",
        retryable=True,
    )
