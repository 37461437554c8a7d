"""Members: an agent of another framework as an agent of the mesh with one skill.

The skill takes a question, or a typed request of the author's own, and gives a text, with data
where the framework's agent has a typed output.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypedDict, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from motet.adapters.faults import Kinds, as_raised
from motet.adapters.run import Run
from motet.agent import Agent
from motet.call import Call
from motet.errors import FaultError
from motet.messages import FaultType, Message, Question, SkillExample

__all__ = [
    "MemberAnswer",
    "MemberRequest",
    "SkillOptions",
    "answer_type",
    "as_json",
    "made",
    "member",
    "prompt_of",
]

T = TypeVar("T")


class MemberRequest(Message):
    """What a member is asked."""

    question: str = Field(min_length=1)
    """The question or the piece of work, in full: the agent sees nothing else."""


class MemberAnswer(Message):
    """What a member gives."""

    text: str
    """The answer."""
    data: Any = None
    """The same for programs, where the agent has a typed output."""


class SkillOptions(TypedDict, total=False):
    """The options of `Agent.skill`, which say what they do."""

    examples: Iterable[SkillExample]
    plannable: bool
    side_effects: bool
    typical_s: float | None
    cost_usd: float | None
    max_attempts: int | None
    concurrency: int | None
    timeout_s: float | None
    approval: str | Question | None
    recursive: bool


Answering = Callable[[BaseModel, Run], Awaitable[tuple[str, Any]]]
"""Runs the framework's agent; gives its text, and its data or None."""


def member(
    name: str,
    description: str,
    answering: Answering,
    *,
    skill: str,
    request: type[BaseModel],
    output: Any,
    kinds: Kinds,
    options: SkillOptions,
) -> Agent:
    """An agent whose one skill has a foreign agent do the work.

    Args:
        name: The agent's name, lower-case snake case.
        description: What it is for, in a sentence that a planner reads.
        answering: Runs the foreign agent.
        skill: The skill's name.
        request: The skill's input.
        output: The type of the answer's `data`; None where it has none.
        kinds: The framework's own exceptions, by the fault that they are.
        options: Of `Agent.skill`.

    Raises:
        MotetError: The name, the description or an option does not fit.
    """
    agent, response = Agent(name, description), answer_type(output)

    async def answer(asked: BaseModel, call: Call) -> MemberAnswer:
        run = Run(call)
        try:
            text, data = await run.carry_out(answering(asked, run))
        except Exception as error:
            raised = as_raised(error, kinds, run.model_error, f"{call.agent}.{call.skill}")
            if raised is error:
                raise
            raise raised from error
        return response(text=text, data=as_json(data) if output is None else data)

    answer.__annotations__ = {"asked": request, "call": Call, "return": response}
    agent.skill(skill, description, **options)(answer)
    return agent


def answer_type(output: Any) -> type[MemberAnswer]:
    """`MemberAnswer` whose `data` is of a type; one that has no JSON Schema counts as none."""
    if output is None:
        return MemberAnswer
    try:
        TypeAdapter(output).json_schema(mode="serialization")
    except PydanticUserError:
        return MemberAnswer
    return create_model("MemberAnswer", __base__=MemberAnswer, data=(output, ...))


async def made(agent: T | Callable[[Call], Any], kind: type[Any], call: Call) -> T:
    """The framework's agent, or what a function makes of the call.

    Args:
        agent: The agent, or the function, which may be asynchronous.
        kind: The class of such agents.
        call: The call.
    """
    if isinstance(agent, kind):
        return agent  # type: ignore[return-value]
    result: Any = agent(call)  # type: ignore[operator]
    if inspect.isawaitable(result):
        result = await result
    if not isinstance(result, kind):
        raise FaultError.of(
            FaultType.INTERNAL,
            f"{call.agent}.{call.skill}: the function that makes its agent gave "
            f"{type(result).__name__}, which is no {kind.__name__}.",
        )
    return result


def prompt_of(request: BaseModel) -> str:
    """What a model reads of a request: the question, or the fields as JSON."""
    if isinstance(request, MemberRequest):
        return request.question
    return json.dumps(fields_of(request), ensure_ascii=False)


def fields_of(request: BaseModel) -> dict[str, Any]:
    """The fields of a request, as JSON, without the version of its schema."""
    return request.model_dump(mode="json", exclude={"v"})


def as_json(value: Any) -> Any:
    """A value as JSON; what has no JSON is written as text."""
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError:
        return to_jsonable_python(value, fallback=str)
