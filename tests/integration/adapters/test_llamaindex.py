"""LlamaIndex's agents and workflows as members, and skills as their tools."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage, ChatResponse, LLMMetadata
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import FunctionTool

from motet.adapters.llamaindex import SkillFailedError, from_llamaindex, tools_for_llamaindex
from motet.agent import Agent, Call
from motet.client import Motet
from tests.integration.adapters.frameworks import Members, Script, Tool

# Workflows look at every attribute of themselves, also at those that Pydantic has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


class ScriptedLLM(FunctionCallingLLM):
    """A model of LlamaIndex's, by a script."""

    script: Any
    model: str = "scripted-1"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            is_function_calling_model=True, is_chat_model=True, model_name=self.model
        )

    def _answer(self, messages: Sequence[ChatMessage]) -> ChatResponse:
        turn = self.script.next([message.content for message in messages])
        calls = [
            ToolSelection(tool_id=self.script.call_id(), tool_name=name, tool_kwargs=arguments)
            for name, arguments in turn.calls
        ]
        return ChatResponse(
            message=ChatMessage(
                role="assistant", content=turn.text, additional_kwargs={"calls": calls}
            ),
            delta=turn.text,
            additional_kwargs={"prompt_tokens": turn.reads, "completion_tokens": turn.writes},
        )

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._answer(messages)

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        async def pieces() -> AsyncGenerator[ChatResponse, None]:
            yield self._answer(messages)

        return pieces()

    def _prepare_chat_with_tools(
        self, tools: Any, user_msg: Any = None, chat_history: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        return {"messages": list(chat_history or []) + ([user_msg] if user_msg else [])}

    def get_tool_calls_from_response(self, response: ChatResponse, **_: Any) -> list[ToolSelection]:
        calls: list[ToolSelection] = response.message.additional_kwargs.get("calls", [])
        return calls

    def chat(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    stream_chat = complete = stream_complete = acomplete = astream_complete = chat  # type: ignore[assignment]


class TestAgents(Members):
    told_of_an_error = "no such room"

    def lab(self, script: Script, thermometer: Tool, **options: Any) -> Agent:
        tool = FunctionTool.from_defaults(async_fn=thermometer, name="thermometer")
        agent = FunctionAgent(tools=[tool], llm=ScriptedLLM(script=script))
        return from_llamaindex("lab", agent, description="Measures rooms.", **options)

    def with_skills(self, script: Script, skills: list[str] | None = None) -> Agent:
        async def build(call: Call) -> Any:
            tools: Any = await tools_for_llamaindex(call, skills=skills)
            return FunctionAgent(tools=tools, llm=ScriptedLLM(script=script))

        return from_llamaindex("lab", build, description="Measures rooms.")

    async def tools(self, mesh: Call | Motet, **options: Any) -> dict[str, Any]:
        tools = await tools_for_llamaindex(mesh, **options)
        return {tool.metadata.get_name(): tool for tool in tools}

    async def use(self, tool: FunctionTool, arguments: dict[str, Any]) -> str:
        try:
            return str(await tool.acall(**arguments))
        except SkillFailedError as failed:
            return str(failed)
