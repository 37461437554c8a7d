"""Tools: the skills of living agents as a model calls them.

Invariants:

- A call is delegated under a step that is named by the message which asks for it: a planner that
  goes on where another died delegates the same step, and the ledger has its outcome.
- An input is held to the skill's schema before anything is delegated.
- A fault of a skill is something that the model is told; a fault of the task itself ends it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypedDict

from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.types import Command

from motet.errors import FaultError
from motet_planner.arguments import check_input
from motet_planner.catalogue import Skill
from motet_planner.composing import shown_output
from motet_planner.evidence import lines_of
from motet_planner.instructions import is_instruction
from motet_planner.looking import spending_of
from motet_planner.nodes import passages_of, raise_if_ending
from motet_planner.run import Run
from motet_planner.state import PassageData

__all__ = ["StepResult", "mark_of", "tools_of"]


class StepResult(TypedDict):
    """What a delegated step gave, for programs: as in the answer of the strategy `plan`."""

    skill: str
    what: str
    answer: str
    """Empty for passages."""


def tools_of(run: Run) -> list[BaseTool]:
    """A tool for each skill that can be used now."""
    return [_tool(skill, run) for skill in run.catalogue.values()]


def mark_of(passage: str) -> str:
    """How a passage is cited while its task is done: stable, whoever found it first."""
    return "p" + hashlib.sha256(passage.encode()).hexdigest()[:6]


def _tool(skill: Skill, run: Run) -> BaseTool:
    async def delegate(runtime: ToolRuntime[Any, Any], **request: Any) -> Command[Any]:
        return await _delegated(skill, request, runtime, run)

    # Spelled out, because LangChain reads the types of parameters when the tool is made.
    delegate.__annotations__["runtime"] = ToolRuntime
    return StructuredTool(
        name=skill.name.replace(".", "__")[:64],
        description=skill.card.description,
        args_schema=skill.schema,
        coroutine=delegate,
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
        name=skill.name,
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
        return json.dumps(output, ensure_ascii=False)
    parts = [
        f"[{mark_of(each['id'])}] {' > '.join((each['title'], *each.get('section', ())))}\n"
        + _without_instructions(each)
        for each in passages
    ]
    if isinstance(output, Mapping) and "paths" in output:
        parts.insert(0, json.dumps(output["paths"], ensure_ascii=False))
    return "\n\n".join(parts)


def _without_instructions(passage: PassageData) -> str:
    """A passage's text without the sentences that address a model."""
    text = passage["text"]
    for line in lines_of([passage]):
        if is_instruction(line.quote) or is_instruction(line.shown):
            text = text.replace(line.quote, "")
    return text
