"""A planner without a mesh: its call is a fake whose skills are plain functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from motet.errors import FaultError
from motet.messages import (
    AgentCard,
    Answer,
    Budget,
    Event,
    FaultType,
    PlanMade,
    Principal,
    Question,
    Reply,
    SkillCard,
    TaskState,
)
from motet.testing import ScriptedModel
from motet_planner.plan.graph import build, carry_out
from motet_planner.run import Run
from motet_planner.settings import PlannerSettings


def skill_card(name: str, description: str, inputs: Mapping[str, str], output: str) -> AgentCard:
    agent, _, short = name.partition(".")
    return AgentCard(
        name=agent,
        description=description,
        version="1",
        instance=agent,
        skills=(
            SkillCard(
                name=short,
                description=description,
                input_schema={
                    "type": "object",
                    "properties": {key: {"type": kind} for key, kind in inputs.items()},
                    "required": [next(iter(inputs))],
                },
                output_schema={"type": "object", "properties": {output: {}}},
            ),
        ),
    )


SEARCH = skill_card("retriever.search", "Finds passages.", {"query": "string"}, "passages")
CALCULATE = skill_card(
    "tool_executor.calculate",
    "Computes.",
    {"expression": "string", "variables": "object"},
    "value",
)
TRANSCRIBE = skill_card("speech.transcribe", "Hears.", {"audio": "object"}, "text")
WEATHER = skill_card("weather.now", "Weather of a city.", {"city": "string"}, "sky")


@dataclass
class FakeCall:
    """A call whose skills are functions; a step that has an outcome gives it again."""

    skills: dict[str, Callable[[Mapping[str, Any]], Any]]
    agents: list[AgentCard] = field(default_factory=lambda: [SEARCH, CALCULATE, WEATHER])
    task: str = "t1"
    made: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    states: list[TaskState] = field(default_factory=list)
    ended: FaultError | None = None
    streamed: str = ""
    budget: Budget = field(default_factory=Budget)
    shares: list[Budget | None] = field(default_factory=list)

    principal: Principal = field(default_factory=Principal)
    asked: list[Question] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    progress: list[str] = field(default_factory=list)

    async def ask(self, question: Question) -> Reply:
        self.asked.append(question)
        return self.replies.pop(0)

    async def event(self, message: str, **_: Any) -> None:
        self.progress.append(message)

    def check(self) -> None:
        if self.ended is not None:
            raise self.ended

    def time_left_s(self) -> float | None:
        return None

    def cards(self) -> list[AgentCard]:
        return self.agents

    async def delegate(
        self, skill: str, request: Mapping[str, Any], *, step: str, budget: Budget | None = None
    ) -> Any:
        self.shares.append(budget)
        self.made.append((step, skill, dict(request)))
        if skill not in self.skills:
            raise FaultError.of(FaultType.UNAVAILABLE, f"{skill} does not answer.")
        return self.skills[skill](request)

    async def stream(self, text: str) -> None:
        self.streamed += text

    async def publish(self, event: Event) -> None:
        self.events.append(event)

    async def state(self, state: TaskState) -> None:
        self.states.append(state)

    @property
    def plans(self) -> list[PlanMade]:
        return [event for event in self.events if isinstance(event, PlanMade)]


def passage(text: str, *, id: str = "p1", source: str = "a.md", title: str = "A") -> dict[str, Any]:
    return {"id": id, "source": source, "title": title, "text": text, "start": 0, "end": len(text)}


def gives(*passages: dict[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A search that finds these passages whatever it is asked."""
    return lambda _: {"passages": list(passages)}


@dataclass
class Bench:
    """Runs tasks; the checkpoints outlive a run."""

    saver: InMemorySaver = field(default_factory=InMemorySaver)
    settings: PlannerSettings = field(default_factory=PlannerSettings)
    retrieval: str | None = None

    async def answer(self, goal: str, call: FakeCall, model: ScriptedModel) -> Answer:
        capability = await model.capability()
        run = Run(call, model, self.settings, capability, self.retrieval)
        return await carry_out(goal, "", run, build(self.saver))


def step(skill: str, what: str, *needs: int) -> dict[str, Any]:
    return {"skill": skill, "what": what, "needs": list(needs)}
