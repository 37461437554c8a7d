"""Chat: the mesh's model as LangChain wants it, so that what an agent asks is paid and traced.

Invariants:

- Every request goes through `ChatModel`: budget, span, fallbacks and faults are the same as of all
  others.
- Every message has an id that no other has, also where a server gives equal ones: the steps that
  it delegates are named by it.
- A message that says nothing and calls nothing is asked for once more, then the task fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

from motet.errors import FaultError
from motet.messages import FaultType, new_id
from motet_planner.agents.constrained import next_message
from motet_planner.run import Run

__all__ = ["MeshChat"]


class MeshChat(BaseChatModel):
    """The model of a run. Only its asynchronous methods exist."""

    model: Any
    """The run's `Model`."""
    check: Callable[[], None]
    """Raises when the task must not go on."""
    heard: Callable[[str], Awaitable[None]]
    """Takes what the model says while it is written."""
    native: bool
    """Whether the model calls tools in its provider's own form."""
    max_tokens: int

    @classmethod
    def of(cls, run: Run) -> MeshChat:
        """The model of a run, with the window that its conversation is summarised by."""
        window = min(run.settings.window_tokens, run.model.window or run.settings.window_tokens)
        return cls(
            model=run.model,
            check=run.call.check,
            heard=run.call.stream,
            native=run.capability.calls_tools,
            max_tokens=run.settings.message_tokens,
            profile={"max_input_tokens": window, "tool_calling": True},
        )

    @property
    def _llm_type(self) -> str:
        return "motet"

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[Any, AIMessage]:
        """The model with tools; it decides itself whether to call one."""
        del tool_choice
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del stop, run_manager
        tools: Sequence[dict[str, Any]] = kwargs.get("tools", ())
        said = await self._asked(messages, tools)
        if not said.text.strip() and not said.tool_calls:
            again = HumanMessage("Your last message was empty. Call a tool, or answer.")
            said = await self._asked([*messages, again], tools)
        if not said.text.strip() and not said.tool_calls:
            raise FaultError.of(
                FaultType.MODEL_OUTPUT_INVALID,
                "The model answered nothing, twice: it said no word and called no tool. Try another "
                "model (MOTET_MODEL), or give it fallbacks (MOTET_MODEL_FALLBACKS).",
            )
        message = said.model_copy(update={"id": new_id()})
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _asked(
        self, messages: list[BaseMessage], tools: Sequence[dict[str, Any]]
    ) -> AIMessage:
        self.check()
        if tools and not self.native:
            return await next_message(self.model, messages, tools, max_tokens=self.max_tokens)
        asked = self.model.act(messages, tools, max_tokens=self.max_tokens, heard=self.heard)
        said = cast("AIMessage", await asked)
        if refusal := said.additional_kwargs.get("refusal"):
            raise FaultError.of(
                FaultType.MODEL_FAILED,
                f"The model refused: {refusal} Word the goal otherwise, or take another model "
                "(MOTET_MODEL).",
            )
        return said

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("a mesh's model is asked asynchronously")
