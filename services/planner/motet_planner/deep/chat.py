"""Chat: the mesh's model as LangChain wants it, so that what deepagents asks is paid and traced.

Invariants:

- Every request goes through `ChatModel.act`: budget, span, fallbacks and faults are the same as of
  all others.
- Every message has an id that no other has, also where a server gives equal ones: the steps that
  it delegates are named by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

from motet.messages import new_id
from motet_planner.run import Run

__all__ = ["MeshChat"]


class MeshChat(BaseChatModel):
    """The model of a run. Only its asynchronous methods exist."""

    act: Callable[..., Any]
    """`ChatModel.act`."""
    check: Callable[[], None]
    """Raises when the task must not go on."""
    max_tokens: int

    @classmethod
    def of(cls, run: Run) -> MeshChat:
        """The model of a run, with the window that it is summarised by."""
        window = min(run.settings.deep_window, run.model.window or run.settings.deep_window)
        return cls(
            act=run.model.act,
            check=run.call.check,
            max_tokens=run.settings.deep_tokens,
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
        self.check()
        said: AIMessage = await self.act(
            messages, kwargs.get("tools", ()), max_tokens=self.max_tokens
        )
        message = said.model_copy(update={"id": new_id()})
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("a mesh's model is asked asynchronously")
