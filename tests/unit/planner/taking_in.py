"""What the tests of a task's inputs, sessions and forms share: a call, and a store of sessions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from motet.errors import FaultError
from motet.messages import (
    ANYBODY,
    AgentCard,
    BlobRef,
    Budget,
    Event,
    FaultType,
    Principal,
    Question,
    Reply,
    SkillCard,
    TaskState,
)
from motet.models.capability import Capability
from motet.testing import ScriptedModel
from motet_planner.run import Run
from motet_planner.settings import PlannerSettings

__all__ = ["Buckets", "TaskCall", "attempt", "blob", "card"]

Skill = Callable[[Mapping[str, Any]], Any]

RETRIEVER = ("retriever.ingest", "retriever.read", "retriever.erase", "retriever.recall")


def card(*skills: str) -> list[AgentCard]:
    """The agents that have these skills."""
    agents: dict[str, list[SkillCard]] = {}
    for each in skills:
        agent, _, name = each.partition(".")
        required = ["audio"] if name == "transcribe" else []
        agents.setdefault(agent, []).append(
            SkillCard(
                name=name,
                description=name,
                input_schema={"type": "object", "properties": {}, "required": required},
                output_schema={"type": "object", "properties": {"text": {}}},
            )
        )
    return [
        AgentCard(name=name, description=name, version="1", instance=name, skills=tuple(found))
        for name, found in agents.items()
    ]


@dataclass
class TaskCall:
    """A call whose skills are functions; a step that was done gives its outcome again."""

    skills: dict[str, Skill] = field(default_factory=dict)
    task: str = "t1"
    principal: Principal = ANYBODY
    budget: Budget = field(default_factory=Budget)
    made: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Step, skill and request of each call that was not made before."""
    done: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        pass

    def time_left_s(self) -> float | None:
        return None

    def cards(self) -> list[AgentCard]:
        return card(*self.skills)

    async def delegate(
        self, skill: str, request: Mapping[str, Any], *, step: str, budget: Budget | None = None
    ) -> Any:
        if step not in self.done:
            self.made.append((step, skill, dict(request)))
            if skill not in self.skills:
                raise FaultError.of(FaultType.UNKNOWN_SKILL, f"There is no {skill}.")
            self.done[step] = self.skills[skill](request)
        return self.done[step]

    async def ask(self, question: Question) -> Reply:
        raise AssertionError(question)

    async def event(self, message: str, **data: Any) -> None:
        pass

    async def publish(self, event: Event) -> None:
        pass

    async def stream(self, text: str) -> None:
        pass

    async def state(self, state: TaskState) -> None:
        pass


def attempt(
    call: TaskCall,
    model: ScriptedModel | None = None,
    *,
    profile: Any = "capable",
    **settings: Any,
) -> Run:
    """An attempt at a task."""
    return Run(
        call=call,
        model=model or ScriptedModel({}),
        settings=PlannerSettings(**settings),
        capability=Capability(profile=profile, calls_tools=True, why="the test says so"),
    )


def blob(name: str, media_type: str, data: bytes = b"") -> BlobRef:
    """A reference to a file."""
    return BlobRef(
        name=f"files/{hashlib.sha256(data).hexdigest()}",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        media_type=media_type,
        filename=name,
    )


@dataclass(frozen=True)
class Item:
    """A value of `Buckets`."""

    value: bytes
    revision: int


@dataclass
class Buckets:
    """A bucket in memory, with compare-and-set."""

    values: dict[str, Item] = field(default_factory=dict)
    ages: list[float | None] = field(default_factory=list)
    rivals: list[Callable[[], Any]] = field(default_factory=list)
    """What somebody else does just before a write, one a write."""

    async def get(self, key: str) -> Item | None:
        return self.values.get(key)

    async def put(
        self, key: str, value: bytes, revision: int | None = None, *, ttl_s: float | None = None
    ) -> int | None:
        if self.rivals:
            await self.rivals.pop(0)()
        there = self.values.get(key)
        newest = 0 if there is None else there.revision
        if revision is not None and revision != newest:
            return None
        self.ages.append(ttl_s)
        self.values[key] = Item(value, newest + 1)
        return newest + 1


def passages(source: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Passages as the retriever gives them."""
    return [
        {
            "id": f"{source}/{position}",
            "source": source,
            "title": source.removeprefix("input:"),
            "text": text,
            "position": position,
            "start": 0,
            "end": len(text),
        }
        for position, text in enumerate(texts)
    ]
