"""LangChain's agents, LangGraph's graphs and deepagents as members; skills as their tools."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool

from motet.adapters.langchain import from_langchain, tools_for_langchain
from motet.agent import Agent, Call
from motet.client import Motet
from tests.integration.adapters.frameworks import Members, Script, Tool


class ScriptedChat(BaseChatModel):
    """A chat model of LangChain's, by a script."""

    script: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {"ls_provider": "scripted", "ls_model_name": "scripted-1", "ls_model_type": "chat"}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(**kwargs)

    def _generate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        turn = self.script.next([message.text for message in messages])
        message = AIMessage(
            turn.text,
            tool_calls=[
                {"name": name, "args": args, "id": self.script.call_id()}
                for name, args in turn.calls
            ],
            usage_metadata={
                "input_tokens": turn.reads,
                "output_tokens": turn.writes,
                "total_tokens": turn.reads + turn.writes,
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        return self._generate(messages)


def tool_of(thermometer: Tool) -> StructuredTool:
    return StructuredTool.from_function(
        coroutine=thermometer, name="thermometer", description="Degrees in a room."
    )


class TestAgents(Members):
    told_of_an_error = None

    def lab(self, script: Script, thermometer: Tool, **options: Any) -> Agent:
        agent = create_agent(ScriptedChat(script=script), [tool_of(thermometer)])
        return from_langchain("lab", agent, description="Measures rooms.", **options)

    def with_skills(self, script: Script, skills: list[str] | None = None) -> Agent:
        async def build(call: Call) -> Any:
            return create_agent(
                ScriptedChat(script=script), await tools_for_langchain(call, skills=skills)
            )

        return from_langchain("lab", build, description="Measures rooms.")

    async def tools(self, mesh: Call | Motet, **options: Any) -> dict[str, Any]:
        return {tool.name: tool for tool in await tools_for_langchain(mesh, **options)}

    async def use(self, tool: Any, arguments: dict[str, Any]) -> str:
        message: ToolMessage = await tool.ainvoke(
            {"type": "tool_call", "id": "1", "name": tool.name, "args": arguments}
        )
        assert message.status == ("error" if "Failed" in message.text else "success")
        return message.text
