"""OpenAI Agents SDK: agents as members, skills as tools.

    agent = from_openai_agents("support", Agent(name="Support"), description="Answers customers")

The run's hooks report requests and tools. They do not reach an agent that another one has as a
tool: what it uses is counted when it ends, and is on the tool's span. The SDK's own tracing, which
sends to OpenAI, is off unless the author's `run_config` says otherwise.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Collection
from typing import Any

from agents import (
    Agent,
    FunctionTool,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelBehaviorError,
    ModelRefusalError,
    ModelResponse,
    OutputGuardrailTripwireTriggered,
    RunConfig,
    RunContextWrapper,
    RunHooks,
    Runner,
    RunResult,
    RunResultStreaming,
    Tool,
    UserError,
)
from agents.items import ItemHelpers
from agents.models import get_default_model
from agents.run_config import ToolErrorFormatterArgs
from agents.tool_context import ToolContext
from pydantic import BaseModel
from pydantic_core import to_json
from typing_extensions import Unpack

from motet.adapters.faults import Kinds
from motet.adapters.member import MemberRequest, SkillOptions, made, member, prompt_of
from motet.adapters.run import Run, current_run
from motet.adapters.skills import SkillTool, skill_tools
from motet.agent import Agent as Member
from motet.call import Call
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import FaultType
from motet.models.pricing import TokenCounts

__all__ = ["from_openai_agents", "tools_for_openai_agents"]

_KINDS: Kinds = {
    MaxTurnsExceeded: FaultType.BUDGET_EXCEEDED,
    ModelBehaviorError: FaultType.MODEL_OUTPUT_INVALID,
    ModelRefusalError: FaultType.MODEL_FAILED,
    InputGuardrailTripwireTriggered: FaultType.REJECTED,
    OutputGuardrailTripwireTriggered: FaultType.REJECTED,
    UserError: FaultType.INTERNAL,
}
_TURNS = 10
"""Requests of one run, as the SDK has it."""


def from_openai_agents(
    name: str,
    agent: Agent[Any] | Callable[[Call], Any],
    *,
    description: str,
    skill: str = "ask",
    request: type[BaseModel] | None = None,
    output: Any = None,
    context: Callable[[Call], Any] | None = None,
    run_config: RunConfig | None = None,
    max_turns: int = _TURNS,
    stream: bool = False,
    **options: Unpack[SkillOptions],
) -> Member:
    """An agent of the OpenAI Agents SDK as a member.

    Args:
        name: The member's name, lower-case snake case.
        agent: The agent, or a function that makes one of the call.
        description: What it is for, in a sentence that a planner reads.
        skill: The name of its skill.
        request: The skill's input, which the agent reads as JSON; None is a question.
        output: The type of the answer's `data`; None takes the agent's output type, where that is
            not text.
        context: Makes the SDK's run context of the call.
        run_config: Of every run; None takes the SDK's without its tracing.
        max_turns: Requests after which a run ends with `budget_exceeded`.
        stream: Whether to stream its text to whoever follows the task.
        options: Of `Agent.skill`.

    Raises:
        MotetError: The name, the description or an option does not fit.
    """
    config = run_config or RunConfig(tracing_disabled=True)

    async def answering(asked: BaseModel, run: Run) -> tuple[str, Any]:
        runs: Agent[Any] = await made(agent, Agent, run.call)
        options: dict[str, Any] = {
            "context": None if context is None else context(run.call),
            "hooks": _Hooks(run, config),
            "run_config": _observed(config, run),
            "max_turns": max_turns,
        }
        result: RunResult | RunResultStreaming
        if stream:
            result = Runner.run_streamed(runs, prompt_of(asked), **options)
            async for event in result.stream_events():
                await run.call.stream(_piece(event))
        else:
            result = await Runner.run(runs, prompt_of(asked), **options)
        if result.interruptions:
            raise FaultError.of(
                "interrupted",
                "The agent waits for an approval of the SDK's, which a member cannot do: ask by "
                "`call.ask` in a tool, or declare the member with `approval=`.",
            )
        answer: Any = result.final_output
        if isinstance(answer, str):
            return answer, None
        return to_json(answer, fallback=str).decode(), answer

    own = getattr(agent, "output_type", None)
    typed = own if isinstance(own, type) and own is not str else None
    return member(
        name,
        description,
        answering,
        skill=skill,
        request=request or MemberRequest,
        output=output or typed,
        kinds=_KINDS,
        options=options,
    )


async def tools_for_openai_agents(
    mesh: Call | Motet,
    *,
    skills: Collection[str] | None = None,
    timeout_s: float | None = None,
) -> list[Tool]:
    """The mesh's skills as the SDK's function tools.

    A fault is the tool's output, which the model is told.

    Args:
        mesh: The call that is worked on, or a client outside of one.
        skills: Those wanted, as `agent.skill`; None takes what planners may use.
        timeout_s: Seconds that each may take; None leaves it to the call's deadline.

    Raises:
        MotetError: No living agent has one of `skills`.
    """
    return [_tool(each) for each in await skill_tools(mesh, skills, timeout_s)]


def _tool(skill: SkillTool) -> FunctionTool:
    async def invoke(context: ToolContext[Any], arguments: str) -> str:
        try:
            given: Any = json.loads(arguments or "{}")
        except json.JSONDecodeError as error:
            return f"Failed: {FaultType.INVALID_INPUT}: the arguments are no JSON: {error}."
        told = await skill(given, context.tool_call_id)
        run = current_run.get()
        if told.failed and run is not None:
            run.tools.note_failure(context.tool_call_id, told.text)
        return told.text

    return FunctionTool(
        name=skill.name,
        description=skill.description,
        params_json_schema=skill.schema,
        on_invoke_tool=invoke,
        strict_json_schema=False,
    )


class _Hooks(RunHooks[Any]):
    """Hears what an agent, and those that it hands over to, do in one run."""

    def __init__(self, run: Run, config: RunConfig) -> None:
        self._run = run
        self._config = config

    async def on_llm_start(
        self,
        context: RunContextWrapper[Any],
        agent: Agent[Any],
        system_prompt: str | None,
        input_items: list[Any],
    ) -> None:
        """A model is asked."""
        provider, model = _model(self._config.model or agent.model)
        length = len(system_prompt or "") + len(json.dumps(input_items, default=str))
        writes = agent.model_settings.max_tokens
        await self._run.requests.ask("model", provider, model, reads=length // 4, writes=writes)

    async def on_llm_end(
        self, context: RunContextWrapper[Any], agent: Agent[Any], response: ModelResponse
    ) -> None:
        """A model has answered."""
        texts = [ItemHelpers.extract_last_text(item) for item in response.output]
        await self._run.requests.answered(
            "model", _counts(response), text="".join(text for text in texts if text)
        )

    async def on_tool_start(
        self, context: RunContextWrapper[Any], agent: Agent[Any], tool: Tool
    ) -> None:
        """A tool begins."""
        call_id, arguments = _tool_call(context)
        self._run.tools.began(call_id or tool.name, tool.name, call_id=call_id, arguments=arguments)

    async def on_tool_end(
        self, context: RunContextWrapper[Any], agent: Agent[Any], tool: Tool, result: object
    ) -> None:
        """A tool has ended."""
        call_id, _ = _tool_call(context)
        usage = context.usage
        used = self._run.requests.catch_up(usage.input_tokens, usage.output_tokens, usage.requests)
        self._run.tools.ended(call_id or tool.name, result=result, used=used)


def _observed(config: RunConfig, run: Run) -> RunConfig:
    """The author's configuration, with what a tool raised noted before its model is told."""
    theirs = config.tool_error_formatter

    async def note(args: ToolErrorFormatterArgs[Any]) -> str | None:
        if args.error is not None:
            run.tools.note_failure(args.call_id, args.error)
        told: Any = None if theirs is None else theirs(args)
        return await told if inspect.isawaitable(told) else told

    return dataclasses.replace(config, tool_error_formatter=note)


def _model(model: Any) -> tuple[str, str]:
    """The provider and the name of a model, from what an agent has for one."""
    name = model if isinstance(model, str) else getattr(model, "model", None)
    parts = str(name or get_default_model()).removeprefix("litellm/").split("/", 1)
    return ("openai", parts[0]) if len(parts) == 1 else (parts[0], parts[1])


def _counts(response: ModelResponse) -> TokenCounts | None:
    usage = response.usage
    if not usage.total_tokens and not usage.input_tokens:
        return None
    return TokenCounts(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_read=usage.input_tokens_details.cached_tokens or 0,
    )


def _tool_call(context: RunContextWrapper[Any]) -> tuple[str | None, str | None]:
    if isinstance(context, ToolContext):
        return context.tool_call_id, context.tool_arguments
    return None, None


def _piece(event: Any) -> str:
    data: Any = getattr(event, "data", None)
    return data.delta if getattr(data, "type", "") == "response.output_text.delta" else ""
