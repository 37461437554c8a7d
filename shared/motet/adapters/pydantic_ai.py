"""Pydantic AI: agents as members, skills as tools.

    agent = from_pydantic_ai("support", Agent("openai:gpt-4.1-mini"), description="Helps")

A capability of the run's own wraps each request and each tool. An agent that a tool runs is paid
where it is given the run's usage (`usage=ctx.usage`): then its tokens are on the tool's span.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Collection
from typing import Any

from pydantic import BaseModel
from pydantic_ai import DeferredToolRequests, RunContext, Tool
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.exceptions import (
    ContentFilterError,
    ToolFailed,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UserError,
)
from pydantic_ai.messages import (
    AgentStreamEvent,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
)
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.settings import ModelSettings, merge_model_settings
from pydantic_ai.tools import ToolDefinition
from pydantic_core import to_json
from typing_extensions import Unpack

from motet.adapters.faults import Kinds
from motet.adapters.member import MemberRequest, SkillOptions, made, member, prompt_of
from motet.adapters.run import Run
from motet.adapters.skills import SkillTool, skill_tools
from motet.agent import Agent as Member
from motet.call import Call
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import FaultType
from motet.models.pricing import TokenCounts

__all__ = ["from_pydantic_ai", "tools_for_pydantic_ai"]

_KINDS: Kinds = {
    UsageLimitExceeded: FaultType.BUDGET_EXCEEDED,
    ContentFilterError: FaultType.MODEL_FAILED,
    UnexpectedModelBehavior: FaultType.MODEL_OUTPUT_INVALID,
    UserError: FaultType.INTERNAL,
}


def from_pydantic_ai(
    name: str,
    agent: AbstractAgent[Any, Any] | Callable[[Call], Any],
    *,
    description: str,
    skill: str = "ask",
    request: type[BaseModel] | None = None,
    output: Any = None,
    deps: Callable[[Call], Any] | None = None,
    stream: bool = False,
    **options: Unpack[SkillOptions],
) -> Member:
    """An agent of Pydantic AI as a member.

    Args:
        name: The member's name, lower-case snake case.
        agent: The agent, or a function that makes one of the call.
        description: What it is for, in a sentence that a planner reads.
        skill: The name of its skill.
        request: The skill's input, which the agent reads as JSON; None is a question.
        output: The type of the answer's `data`; None takes the agent's output type, where that is
            not text.
        deps: Makes the agent's dependencies of the call.
        stream: Whether to stream its text to whoever follows the task.
        options: Of `Agent.skill`.

    Raises:
        MotetError: The name, the description or an option does not fit.
    """

    async def answering(asked: BaseModel, run: Run) -> tuple[str, Any]:
        runs: AbstractAgent[Any, Any] = await made(agent, AbstractAgent, run.call)

        async def heard(_: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
            async for event in events:
                await run.call.stream(_piece(event))

        result = await runs.run(
            prompt_of(asked),
            deps=None if deps is None else deps(run.call),
            capabilities=[_Observer(run)],
            event_stream_handler=heard if stream else None,
        )
        if isinstance(result.output, DeferredToolRequests):
            raise FaultError.of(
                "interrupted",
                "The agent defers tool calls to a person, for whom a member cannot wait so: ask by "
                "`call.ask` in a tool, or declare the member with `approval=`.",
            )
        if isinstance(result.output, str):
            return result.output, None
        return to_json(result.output, fallback=str).decode(), result.output

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


async def tools_for_pydantic_ai(
    mesh: Call | Motet,
    *,
    skills: Collection[str] | None = None,
    timeout_s: float | None = None,
) -> list[Tool[Any]]:
    """The mesh's skills as Pydantic AI's tools: for `Agent(tools=...)`, or a `FunctionToolset`.

    A fault becomes `ToolFailed`, which the model is told.

    Args:
        mesh: The call that is worked on, or a client outside of one.
        skills: Those wanted, as `agent.skill`; None takes what planners may use.
        timeout_s: Seconds that each may take; None leaves it to the call's deadline.

    Raises:
        MotetError: No living agent has one of `skills`.
    """
    return [_tool(each) for each in await skill_tools(mesh, skills, timeout_s)]


def _tool(skill: SkillTool) -> Tool[Any]:
    async def call(ctx: RunContext[Any], **arguments: Any) -> Any:
        told = await skill(arguments, ctx.tool_call_id)
        if told.failed:
            raise ToolFailed(told.text)
        return told.output

    return Tool.from_schema(call, skill.name, skill.description, skill.schema, takes_ctx=True)


class _Observer(AbstractCapability[Any]):
    """Wraps what an agent does in one run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def wrap_model_request(
        self,
        ctx: RunContext[Any],
        *,
        request_context: ModelRequestContext,
        handler: Callable[[ModelRequestContext], Any],
    ) -> ModelResponse:
        """A request to the model."""
        key, model = object(), request_context.model
        settings = request_context.model_settings or ModelSettings()
        fits = await self._run.requests.ask(
            key,
            model.system,
            model.model_name,
            reads=len(str(request_context.messages)) // 4,
            writes=settings.get("max_tokens"),
        )
        if fits is not None:
            request_context.model_settings = merge_model_settings(
                settings, ModelSettings(max_tokens=fits)
            )
        try:
            response: ModelResponse = await handler(request_context)
        except BaseException as error:
            await self._run.requests.failed(key, error)
            raise
        await self._run.requests.answered(
            key,
            _counts(response),
            text=response.text or "",
            model=response.model_name,
            finish=response.finish_reason,
        )
        return response

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: Callable[[dict[str, Any]], Any],
    ) -> Any:
        """A tool's execution."""
        with self._run.tools.running(
            tool_def.name, call_id=call.tool_call_id, arguments=args
        ) as tool:
            result = await handler(args)
            tool.result = result
            usage = ctx.usage
            tool.used = self._run.requests.catch_up(
                usage.input_tokens, usage.output_tokens, usage.requests
            )
            return result


def _counts(response: ModelResponse) -> TokenCounts | None:
    usage = response.usage
    if not usage.has_values():
        return None
    return TokenCounts(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_read=usage.cache_read_tokens,
        cache_write=usage.cache_write_tokens,
    )


def _piece(event: AgentStreamEvent) -> str:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""
