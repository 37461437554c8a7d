"""`Agent`: how a service is declared.

    agent = Agent("weather", description="Current weather by city")

    @agent.skill("now", description="Temperature and sky for a city")
    async def now(request: CityRequest, call: Call) -> Weather: ...

    if __name__ == "__main__":
        agent.run()

An `Agent` is a declaration: it holds no connection and no state, so one can run several times in
a process. What runs is made from it by `motet.runtime`.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from motet.call import Call
from motet.errors import MotetError
from motet.messages import AgentCard, Question, SkillCard, SkillExample

__all__ = ["Agent", "Call", "FinishedFunction", "Skill", "TaskFunction"]

Lifespan = Callable[..., AbstractAsyncContextManager[None]]
"""A FastStream lifespan: what it puts into the context is there for the skills."""

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True)
class Skill:
    """One skill, as declared."""

    card: SkillCard
    function: Callable[..., Awaitable[Any]]
    request: type[BaseModel]
    response: Any
    """The return type, anything that Pydantic can write as JSON."""
    max_attempts: int | None
    concurrency: int | None
    timeout_s: float | None
    approval: Question | None = None
    """What a person is asked before it runs."""
    recursive: bool = False
    """Whether it may be called below itself."""


@dataclass(frozen=True)
class TaskFunction:
    """The function that does tasks, as declared."""

    function: Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class FinishedFunction:
    """The function that is told of finished tasks, as declared."""

    function: Callable[..., Awaitable[None]]
    max_attempts: int | None
    concurrency: int | None
    timeout_s: float | None


class Agent:
    """An agent: a name, a description, and skills."""

    def __init__(
        self,
        name: str,
        description: str,
        *,
        version: str = "0.1.0",
        lifespan: Lifespan | None = None,
    ) -> None:
        """Declares an agent.

        Args:
            name: Lower-case snake case; first half of each skill's full name.
            description: What it is for, in a sentence that a planner reads.
            version: The agent's own version.
            lifespan: Opens what the skills need and closes it at the end.

        Raises:
            MotetError: The name or the description does not fit.
        """
        self.name = name
        self.description = description
        self.version = version
        self.lifespan = lifespan
        self.skills: dict[str, Skill] = {}
        self.task_function: TaskFunction | None = None
        self.finished_function: FinishedFunction | None = None
        self.card("check")

    def skill(
        self,
        name: str,
        description: str,
        *,
        examples: Iterable[SkillExample] = (),
        plannable: bool = True,
        side_effects: bool = False,
        typical_s: float | None = None,
        cost_usd: float | None = None,
        max_attempts: int | None = None,
        concurrency: int | None = None,
        timeout_s: float | None = None,
        approval: str | Question | None = None,
        recursive: bool = False,
    ) -> Callable[[F], F]:
        """Declares a skill: `async def name(request: Model, call: Call, …) -> Model`.

        The first parameter's annotation is the input type. `call` may be left out. Further
        parameters are filled by FastStream's `Context` and `Depends`.

        Args:
            name: Lower-case snake case.
            description: When to use it, in a sentence that a planner reads.
            examples: Worked examples for planners.
            plannable: Whether a planner may use it.
            side_effects: Whether it acts on the outside.
            typical_s: Seconds that it usually takes.
            cost_usd: US dollars that it usually costs.
            max_attempts: Deliveries before a call becomes a dead letter; None takes the mesh's.
            concurrency: Calls at once in one process; None takes the mesh's.
            timeout_s: Seconds that one attempt may take; None leaves it to the deadline.
            approval: What a person is asked, with the input shown, before it runs: a sentence, or a
                `Question` of the kind `approval` with its time-out and default. Whoever replies may
                edit the input; a no ends the call with the terminal fault `rejected`.
            recursive: Whether it may be called below itself, as deep as the budget allows. Where it
                may not, such a call ends with the terminal fault `delegation_cycle`.

        Raises:
            MotetError: The skill is declared twice, or its signature does not fit.
        """

        def declare(function: F) -> F:
            if name in self.skills:
                raise MotetError(f"Skill '{self.name}.{name}' is declared twice.")
            request, response = _signature(function, f"{self.name}.{name}")
            try:
                question = _approval(approval)
                card = SkillCard(
                    name=name,
                    description=description,
                    input_schema=request.model_json_schema(),
                    output_schema=TypeAdapter(response).json_schema(mode="serialization"),
                    examples=tuple(examples),
                    plannable=plannable,
                    side_effects=side_effects,
                    typical_s=typical_s,
                    cost_usd=cost_usd,
                    approval=None if question is None else question.prompt,
                )
            except ValidationError as error:
                raise MotetError(
                    f"Skill '{self.name}.{name}' is declared wrongly: {error}"
                ) from None
            self.skills[name] = Skill(
                card,
                function,
                request,
                response,
                max_attempts,
                concurrency,
                timeout_s,
                question,
                recursive,
            )
            return function

        return declare

    def task(self, function: F) -> F:
        """Declares what does tasks: `async def run(task: Task, call: Call, …) -> Answer`.

        Raises:
            MotetError: It is declared twice.
        """
        if self.task_function is not None:
            raise MotetError(f"Agent {self.name!r} declares two functions for tasks.")
        self.task_function = TaskFunction(function)
        return function

    def on_finished(
        self,
        *,
        max_attempts: int | None = None,
        concurrency: int | None = None,
        timeout_s: float | None = None,
    ) -> Callable[[F], F]:
        """Declares what is told of each task that has ended: `async def f(record, call, …)`.

        `record` is the `TaskRecord`, of which nobody waits for anything any more. One replica of
        the agent is told, again until the function returns: what it does must bear repetition. It
        cannot delegate, since calls for a task that has ended are not begun.

        Args:
            max_attempts: Deliveries before it becomes a dead letter; None takes the mesh's.
            concurrency: Tasks at once in one process; None takes the mesh's.
            timeout_s: Seconds that one attempt may take.

        Raises:
            MotetError: It is declared twice, or is no `async def` function.
        """

        def declare(function: F) -> F:
            if self.finished_function is not None:
                raise MotetError(f"Agent {self.name!r} declares two functions for finished tasks.")
            if not inspect.iscoroutinefunction(function):
                raise MotetError(f"What {self.name!r} does on finished tasks must be `async def`.")
            self.finished_function = FinishedFunction(
                function, max_attempts, concurrency, timeout_s
            )
            return function

        return declare

    def card(self, instance: str) -> AgentCard:
        """What a process of the agent announces.

        Raises:
            MotetError: The name or the description does not fit.
        """
        try:
            return AgentCard(
                name=self.name,
                description=self.description,
                version=self.version,
                instance=instance,
                skills=tuple(skill.card for skill in self.skills.values()),
            )
        except ValidationError as error:
            raise MotetError(f"Agent {self.name!r} is declared wrongly: {error}") from None

    def run(self) -> None:
        """Runs the agent until it is told to stop: a process' main.

        Settings come from the environment. A mistake of set-up is told in a sentence, and the
        process ends with code 2.
        """
        from motet.runtime import main

        main(self)


def _approval(asked: str | Question | None) -> Question | None:
    question = Question(kind="approval", prompt=asked) if isinstance(asked, str) else asked
    if question is not None and question.kind != "approval":
        raise MotetError(f"A skill's approval is a question of the kind 'approval': {asked!r}.")
    return question


def _signature(function: Callable[..., Any], name: str) -> tuple[type[BaseModel], Any]:
    """The input and output types of a skill's function."""
    if not inspect.iscoroutinefunction(function):
        raise MotetError(f"Skill {name!r} must be an `async def` function.")
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters)
    request = hints.get(parameters[0]) if parameters else None
    if not (isinstance(request, type) and issubclass(request, BaseModel)):
        raise MotetError(
            f"The first parameter of skill {name!r} must be annotated with a Pydantic model."
        )
    if "return" not in hints:
        raise MotetError(f"Skill {name!r} must say what it returns.")
    return request, hints["return"]
