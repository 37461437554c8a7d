"""LlamaIndex: agents and workflows as members, skills as tools.

    agent = from_llamaindex("support", FunctionAgent(tools=tools, llm=llm), description="...")

Its instrumentation reports every request of every model within the run, and each tool that an
agent calls: see `motet.adapters.llamaindex_events`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from llama_index.core.agent.workflow import AgentOutput, AgentStream, AgentWorkflow
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.tools import FunctionTool, ToolMetadata
from llama_index.core.workflow import Workflow
from pydantic import BaseModel
from pydantic_core import to_json
from typing_extensions import Unpack
from workflows.errors import WorkflowCancelledByUser, WorkflowRuntimeError, WorkflowTimeoutError

from motet.adapters.faults import Kinds
from motet.adapters.llamaindex_events import instrument
from motet.adapters.member import (
    MemberRequest,
    SkillOptions,
    as_json,
    fields_of,
    made,
    member,
    prompt_of,
)
from motet.adapters.run import Run
from motet.adapters.skills import SkillTool, skill_tools
from motet.agent import Agent
from motet.call import Call
from motet.client import Motet
from motet.messages import FaultType

__all__ = ["from_llamaindex", "tools_for_llamaindex"]

_KINDS: Kinds = {
    WorkflowTimeoutError: FaultType.DEADLINE_EXCEEDED,
    WorkflowCancelledByUser: FaultType.CANCELLED,
    WorkflowRuntimeError: FaultType.INTERNAL,
}
_CANCELLED_WITHIN_S = 5.0
"""Seconds that a workflow has to end when it is cancelled."""


def from_llamaindex(
    name: str,
    workflow: Workflow | Callable[[Call], Any],
    *,
    description: str,
    skill: str = "ask",
    request: type[BaseModel] | None = None,
    output: Any = None,
    **options: Unpack[SkillOptions],
) -> Agent:
    """An agent, several agents, or any other workflow of LlamaIndex as a member.

    An agent is given the question as its user's message, and its text is streamed. Any other
    workflow is started with the fields of the request.

    Args:
        name: The member's name, lower-case snake case.
        workflow: The agent or the workflow, or a function that makes one of the call.
        description: What it is for, in a sentence that a planner reads.
        skill: The name of its skill.
        request: The skill's input; None is a question.
        output: The type of the answer's `data`; None leaves it open.
        options: Of `Agent.skill`.

    Raises:
        MotetError: The name, the description or an option does not fit.
    """
    instrument()

    async def answering(asked: BaseModel, run: Run) -> tuple[str, Any]:
        runs: Workflow = await made(workflow, Workflow, run.call)
        is_agent = isinstance(runs, BaseWorkflowAgent | AgentWorkflow)
        given: dict[str, Any] = {"user_msg": prompt_of(asked)} if is_agent else fields_of(asked)
        handler = runs.run(**given)
        try:
            async for event in handler.stream_events():
                if isinstance(event, AgentStream):
                    await run.call.stream(event.delta)
            return _answer(await handler)
        finally:
            with suppress(Exception):  # of a workflow that has ended
                await handler.cancel_run(timeout=_CANCELLED_WITHIN_S)

    return member(
        name,
        description,
        answering,
        skill=skill,
        request=request or MemberRequest,
        output=output,
        kinds=_KINDS,
        options=options,
    )


async def tools_for_llamaindex(
    mesh: Call | Motet,
    *,
    skills: Collection[str] | None = None,
    timeout_s: float | None = None,
) -> list[FunctionTool]:
    """The mesh's skills as LlamaIndex's tools.

    A fault is raised as `SkillFailedError`, which an agent makes a tool's output with `is_error`.

    Args:
        mesh: The call that is worked on, or a client outside of one.
        skills: Those wanted, as `agent.skill`; None takes what planners may use.
        timeout_s: Seconds that each may take; None leaves it to the call's deadline.

    Raises:
        MotetError: No living agent has one of `skills`.
    """
    return [_tool(each) for each in await skill_tools(mesh, skills, timeout_s)]


class SkillFailedError(Exception):
    """A skill has failed, as its message says."""


class _Metadata(ToolMetadata):
    """Metadata whose schema is a skill's own."""

    def __init__(self, skill: SkillTool) -> None:
        super().__init__(skill.description, skill.name, fn_schema=None)
        self._schema = skill.schema

    def get_parameters_dict(self) -> dict[str, Any]:
        return self._schema


def _tool(skill: SkillTool) -> FunctionTool:
    async def call(**arguments: Any) -> str:
        told = await skill(arguments)
        if told.failed:
            raise SkillFailedError(told.text)
        return told.text

    return FunctionTool(async_fn=call, metadata=_Metadata(skill))


def _answer(result: Any) -> tuple[str, Any]:
    if isinstance(result, AgentOutput):
        return result.response.content or "", result.structured_response
    if isinstance(result, str):
        return result, None
    data = as_json(result)
    return to_json(data).decode(), data
