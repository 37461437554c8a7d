"""LangChain, LangGraph and deepagents: runnables, agents and graphs as members, skills as tools.

    agent = from_langchain("support", create_agent(model, tools), description="Answers customers")

What runs below reports by LangChain's callbacks, sub-agents and sub-graphs too, whether it is asked
asynchronously, in a thread, or so that it blocks the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

from langchain.agents.middleware.model_call_limit import ModelCallLimitExceededError
from langchain.agents.middleware.tool_call_limit import ToolCallLimitExceededError
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.exceptions import ContextOverflowError, OutputParserException
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langgraph.errors import GraphRecursionError
from pydantic import BaseModel
from typing_extensions import Unpack

from motet.adapters.faults import Kinds
from motet.adapters.langchain_inputs import Runs, answer_of, input_of, request_of
from motet.adapters.member import SkillOptions, made, member
from motet.adapters.model_requests import on_a_loop
from motet.adapters.run import Run
from motet.adapters.skills import SkillTool, Told, skill_tools
from motet.agent import Agent
from motet.call import Call
from motet.client import Motet
from motet.errors import FaultError, Suspended
from motet.messages import FaultType
from motet.models.pricing import TokenCounts

__all__ = ["from_langchain", "tools_for_langchain"]

_KINDS: Kinds = {
    GraphRecursionError: FaultType.BUDGET_EXCEEDED,
    ModelCallLimitExceededError: FaultType.BUDGET_EXCEEDED,
    ToolCallLimitExceededError: FaultType.BUDGET_EXCEEDED,
    ContextOverflowError: FaultType.TOO_LARGE,
    OutputParserException: FaultType.MODEL_OUTPUT_INVALID,
}


def from_langchain(
    name: str,
    agent: Runs | Callable[[Call], Any],
    *,
    description: str,
    skill: str = "ask",
    request: type[BaseModel] | None = None,
    output: Any = None,
    **options: Unpack[SkillOptions],
) -> Agent:
    """A runnable, an agent or a graph as a member.

    A graph with `messages` in its state is given the question as a message, and answers with its
    last one; `data` is its structured response. A runnable that reads a text is given the question.
    Any other has a typed request, its own input, and `data` is what it gives.

    Args:
        name: The member's name, lower-case snake case.
        agent: The runnable, or a function that makes one of the call, such as with
            `tools_for_langchain(call)`.
        description: What it is for, in a sentence that a planner reads.
        skill: The name of its skill.
        request: The skill's input; None takes the runnable's own, or a question.
        output: The type of the answer's `data`; None leaves it open.
        options: Of `Agent.skill`.

    Raises:
        MotetError: The name, the description or an option does not fit.
    """

    async def answering(asked: BaseModel, run: Run) -> tuple[str, Any]:
        runnable: Runs = await made(agent, Runnable, run.call)
        # A thread of the attempt's own, for graphs that have a checkpointer.
        thread = f"{run.call.idempotency_key}.{run.call.attempt}"
        result = await runnable.ainvoke(
            input_of(runnable, asked),
            {
                "callbacks": [_OnLoop(run), _AtOnce(run)],
                "configurable": {"thread_id": thread},
            },
        )
        return answer_of(result)

    return member(
        name,
        description,
        answering,
        skill=skill,
        request=request or request_of(agent, name),
        output=output,
        kinds=_KINDS,
        options=options,
    )


async def tools_for_langchain(
    mesh: Call | Motet,
    *,
    skills: Collection[str] | None = None,
    timeout_s: float | None = None,
) -> list[BaseTool]:
    """The mesh's skills as LangChain's tools, for LangGraph and deepagents as well.

    A fault becomes a tool message with the status `error`.

    Args:
        mesh: The call that is worked on, or a client outside of one.
        skills: Those wanted, as `agent.skill`; None takes what planners may use.
        timeout_s: Seconds that each may take; None leaves it to the call's deadline.

    Raises:
        MotetError: No living agent has one of `skills`.
    """
    return [_tool(each) for each in await skill_tools(mesh, skills, timeout_s)]


def _tool(skill: SkillTool) -> BaseTool:
    def given(told: Told) -> tuple[str, Any]:
        if told.failed:
            raise ToolException(told.text)
        return told.text, told.output

    async def call(**arguments: Any) -> tuple[str, Any]:
        return given(await skill(arguments))

    def wait(**arguments: Any) -> tuple[str, Any]:
        return given(skill.wait(arguments))

    return StructuredTool(
        name=skill.name,
        description=skill.description,
        args_schema=skill.schema,
        coroutine=call,
        func=wait,
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


# What happens meanwhile


class _OnLoop(AsyncCallbackHandler):
    """Hears of what runs on the call's event loop, and of what blocks it."""

    run_inline = True  # so that a tool runs in the context that its beginning leaves
    raise_error = True

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def _here(self) -> bool:
        """Whether this is the call's event loop.

        LangChain runs asynchronous handlers of what is asked synchronously on a loop of its own,
        and drops what they raise: `_AtOnce` refuses before.
        """
        return asyncio.get_running_loop() is self._run.loop

    async def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        **known: Any,
    ) -> None:
        """A chat model is asked."""
        await self._asked(run_id, _asked(serialized, messages, known))

    async def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **known: Any
    ) -> None:
        """A model that completes a text is asked."""
        await self._asked(run_id, _asked(serialized, prompts, known))

    async def _asked(self, run_id: UUID, asked: dict[str, Any]) -> None:
        # The run keeps a refusal, and `_AtOnce` raises it: LangChain has made the coroutines of all
        # handlers by now, and would leave the next one's without anybody who awaits it.
        with suppress(FaultError, Suspended):
            if self._here:
                await self._run.requests.ask(run_id, **asked)
            elif not self._run.requests.asks(run_id):
                self._run.requests.ask_now(run_id, **asked)

    async def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        """A model that streams has written a piece."""
        piece = token if isinstance(token, str) else AIMessage(token).text
        if piece and self._here:
            await self._run.call.stream(piece)

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """A model has answered."""
        generation = response.generations[0][0]
        message = generation.message if isinstance(generation, ChatGeneration) else None
        said: dict[str, Any] = {} if message is None else message.response_metadata
        answered: dict[str, Any] = {
            "text": generation.text + ("" if message is None else _calls(message)),
            "model": said.get("model_name") or said.get("model"),
            "finish": said.get("finish_reason") or said.get("stop_reason"),
        }
        counts = _counts(message)
        if self._here:
            await self._run.requests.answered(run_id, counts, **answered)
        else:
            self._run.requests.answered_now(run_id, counts, **answered)

    async def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A model has failed."""
        if self._here:
            await self._run.requests.failed(run_id, error)
        else:
            self._run.requests.failed_now(run_id, error)

    async def on_tool_start(
        self, serialized: dict[str, Any], input_str: str, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """A tool begins."""
        self._run.tools.began(
            run_id,
            str((serialized or {}).get("name") or "unknown"),
            call_id=kwargs.get("tool_call_id"),
            arguments=kwargs.get("inputs") or input_str,
            attach=self._here,
        )

    async def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool has given something."""
        failed = isinstance(output, ToolMessage) and output.status == "error"
        shown = output.text if isinstance(output, BaseMessage) else output
        self._run.tools.ended(run_id, result=shown, error=str(shown) if failed else None)

    async def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """A tool has raised something."""
        self._run.tools.ended(run_id, error=error)


class _AtOnce(BaseCallbackHandler):
    """Refuses requests: after `_OnLoop`, or alone where one is made synchronously."""

    run_inline = True
    raise_error = True

    def __init__(self, run: Run) -> None:
        self._run = run

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        **known: Any,
    ) -> None:
        """A chat model is asked."""
        self._asked(run_id, _asked(serialized, messages, known))

    def on_llm_start(
        self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **known: Any
    ) -> None:
        """A model that completes a text is asked."""
        self._asked(run_id, _asked(serialized, prompts, known))

    def _asked(self, run_id: UUID, asked: dict[str, Any]) -> None:
        self._run.check()
        if not on_a_loop():
            self._run.requests.ask_now(run_id, **asked)
        elif not self._run.requests.asks(run_id):
            self._run.requests.afford(asked["provider"], asked["model"], asked["reads"])

    def on_tool_start(self, *args: Any, **kwargs: Any) -> None:
        """A tool begins."""
        self._run.check()


def _asked(
    serialized: dict[str, Any] | None,
    prompts: list[str] | list[list[BaseMessage]],
    known: dict[str, Any],
) -> dict[str, Any]:
    """The arguments of `ModelRequests.ask`, of what LangChain tells."""
    length = sum(
        len(each)
        if isinstance(each, str)
        else sum(len(message.text) + len(_calls(message)) for message in each)
        for each in prompts
    )
    tools = (known.get("invocation_params") or {}).get("tools")
    about = known.get("metadata") or {}
    path = (serialized or {}).get("id") or ["unknown"]
    return {
        "provider": str(about.get("ls_provider") or "langchain"),
        "model": str(about.get("ls_model_name") or path[-1]),
        "reads": (length + len(str(tools or ""))) // 4,
        "writes": about.get("ls_max_tokens"),
    }


def _calls(message: BaseMessage) -> str:
    """The tool calls of a message, to estimate its length."""
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    return str([(call["name"], call["args"]) for call in calls]) if calls else ""


def _counts(message: BaseMessage | None) -> TokenCounts | None:
    usage = message.usage_metadata if isinstance(message, AIMessage) else None
    if usage is None:
        return None
    details = usage.get("input_token_details", {})
    return TokenCounts(
        input=usage["input_tokens"],
        output=usage["output_tokens"],
        cache_read=details.get("cache_read") or 0,
        cache_write=details.get("cache_creation") or 0,
    )
