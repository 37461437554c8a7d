"""Tools: the skills of living agents as a model calls them, and the person who submitted the task.

Invariants:

- A call is delegated under a step that is named by the message which asks for it: a planner that
  goes on where another died delegates the same step, and the ledger has its outcome.
- An input is held to the skill's schema before anything is delegated.
- A fault of a skill is something that the model is told; a fault of the task itself ends it.
- What skills give is shown as data, within a fence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypedDict

from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.types import Command

from motet.errors import FaultError
from motet.messages import Question
from motet.text.fencing import fence
from motet_planner.arguments import check_input
from motet_planner.catalogue import Skill
from motet_planner.evidence import PassageData, mark_of, passages_of, shown_passages
from motet_planner.faults import raise_if_ending
from motet_planner.outputs import shown_output
from motet_planner.retrieval import spending_of
from motet_planner.run import Run

__all__ = ["ASK", "StepResult", "tools_of"]

ASK = "ask_person"
"""The tool that puts a question to a person."""
_ASKED = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "minLength": 1, "maxLength": 2000},
        "options": {
            "type": "array",
            "items": {"type": "string", "maxLength": 200},
            "maxItems": 20,
            "description": "Answers to choose from; left out for a free answer.",
        },
    },
    "required": ["question"],
    "additionalProperties": False,
}
_SHOWN_CHARACTERS = 60_000
"""Characters of one output that the model is shown; the rest is told to be left out."""


class StepResult(TypedDict):
    """What a delegated step gave, for programs: as in the answer of the strategy `plan`."""

    skill: str
    what: str
    answer: str
    """Empty for passages."""


def tools_of(run: Run) -> list[BaseTool]:
    """A tool for each skill that can be used now, and one to ask the person where a task may."""
    tools = [_tool(skill, run) for skill in run.catalogue.values()]
    return [*tools, _asking(run)] if run.may_ask else tools


def _tool(skill: Skill, run: Run) -> BaseTool:
    async def delegate(runtime: ToolRuntime[Any, Any], **request: Any) -> Command[Any]:
        return await _delegated(skill, request, runtime, run)

    # Spelled out, because LangChain reads the types of parameters when the tool is made.
    delegate.__annotations__["runtime"] = ToolRuntime
    return StructuredTool(
        name=skill.tool_name,
        description=skill.card.description,
        args_schema=skill.schema,
        coroutine=delegate,
    )


def _asking(run: Run) -> BaseTool:
    async def ask(
        runtime: ToolRuntime[Any, Any], question: str, options: list[str] | None = None
    ) -> str:
        asked = Question(
            kind="answer",
            prompt=question,
            name=f"q-{_step(runtime)}".lower()[:64],
            options=tuple(options or ()),
        )
        try:
            reply = await run.call.ask(asked)
        except FaultError as error:
            raise_if_ending(error, run)
            return f"The person did not answer: {error.fault.message}"
        return fence(_as_text(reply.value), label="reply")

    ask.__annotations__["runtime"] = ToolRuntime
    return StructuredTool(
        name=ASK,
        description=(
            "Asks the person who submitted the task, and waits. Only where the goal can be "
            "understood in several ways that lead to different answers, and no tool can tell."
        ),
        args_schema=_ASKED,
        coroutine=ask,
    )


async def _delegated(
    skill: Skill, request: dict[str, Any], runtime: ToolRuntime[Any, Any], run: Run
) -> Command[Any]:
    passages: list[PassageData] = []
    done: dict[str, StepResult] = {}
    failed, step = False, _step(runtime)
    try:
        if run.retrieval in skill.strategies:
            request["strategy"] = run.retrieval
        check_input(request, skill)
        output = await run.call.delegate(
            skill.name,
            request,
            step=step,
            budget=spending_of(request, run.call.budget),
        )
        passages = passages_of(output) or []
        told = _told(output, passages)
        answer = "" if passages else shown_output(output, computed=skill.computes)
        done[step] = StepResult(skill=skill.name, what=_what(request), answer=answer)
    except FaultError as error:
        raise_if_ending(error, run)
        failed, told = True, f"Failed: {error.fault.type}: {error.fault.message}"
    message = ToolMessage(
        told,
        tool_call_id=runtime.tool_call_id or "",
        name=skill.tool_name,
        status="error" if failed else "success",
    )
    return Command(
        update={
            "messages": [message],
            "passages": {each["id"]: each for each in passages},
            "steps": done,
        }
    )


def _what(request: Mapping[str, Any]) -> str:
    """What a skill was asked, in few words."""
    query = request.get("query")
    return query if isinstance(query, str) else json.dumps(request, ensure_ascii=False)[:400]


def _step(runtime: ToolRuntime[Any, Any]) -> str:
    """The name of a tool call: the message that it is in, and its place there."""
    messages: list[BaseMessage] = runtime.state["messages"]
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            ids = [call["id"] for call in message.tool_calls]
            if runtime.tool_call_id in ids:
                return f"{message.id}-{ids.index(runtime.tool_call_id) + 1}"
    raise ValueError(f"no message calls {runtime.tool_call_id!r}")


def _told(output: Any, passages: list[PassageData]) -> str:
    """An output as a model reads it: passages with their marks, anything else as JSON."""
    if not passages:
        text = json.dumps(output, ensure_ascii=False)
        left = len(text) - _SHOWN_CHARACTERS
        told = fence(text[:_SHOWN_CHARACTERS], label="result")
        return f"{told}\n({left} more characters are left out: ask for less.)" if left > 0 else told
    shown = shown_passages((mark_of(each["id"]), each) for each in passages)
    if isinstance(output, Mapping) and "paths" in output:
        return f"{fence(json.dumps(output['paths'], ensure_ascii=False), label='paths')}\n{shown}"
    return shown


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
