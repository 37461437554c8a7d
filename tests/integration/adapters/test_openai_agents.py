"""Agents of the OpenAI Agents SDK as members, and skills as their tools."""

from __future__ import annotations

import json
from typing import Any

from agents import Agent as Assistant
from agents import FunctionTool, Model, ModelResponse, Usage
from agents.tool import function_tool
from agents.tool_context import ToolContext
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from motet.adapters.openai_agents import from_openai_agents, tools_for_openai_agents
from motet.agent import Agent, Call
from motet.client import Motet
from tests.integration.adapters.frameworks import Members, Script, Tool


class ScriptedModel(Model):
    """A model of the SDK's, by a script."""

    def __init__(self, script: Script) -> None:
        self.model = "scripted-1"
        self._script = script

    async def get_response(
        self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any
    ) -> ModelResponse:
        turn = self._script.next(input)
        said: list[Any] = [
            ResponseFunctionToolCall(
                type="function_call",
                name=name,
                arguments=json.dumps(arguments),
                call_id=self._script.call_id(),
            )
            for name, arguments in turn.calls
        ]
        text = ResponseOutputText(type="output_text", text=turn.text, annotations=[])
        message = ResponseOutputMessage(
            id="1", type="message", role="assistant", status="completed", content=[text]
        )
        usage = Usage(
            requests=1,
            input_tokens=turn.reads,
            output_tokens=turn.writes,
            total_tokens=turn.reads + turn.writes,
        )
        return ModelResponse(output=said or [message], usage=usage, response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class TestAgents(Members):
    told_of_an_error = "An error occurred while running the tool"

    def lab(self, script: Script, thermometer: Tool, **options: Any) -> Agent:
        tool = function_tool(thermometer, name_override="thermometer")
        assistant = Assistant(name="Lab", model=ScriptedModel(script), tools=[tool])
        return from_openai_agents("lab", assistant, description="Measures rooms.", **options)

    def with_skills(self, script: Script, skills: list[str] | None = None) -> Agent:
        async def build(call: Call) -> Any:
            tools = await tools_for_openai_agents(call, skills=skills)
            return Assistant(name="Lab", model=ScriptedModel(script), tools=tools)

        return from_openai_agents("lab", build, description="Measures rooms.")

    async def tools(self, mesh: Call | Motet, **options: Any) -> dict[str, Any]:
        return {tool.name: tool for tool in await tools_for_openai_agents(mesh, **options)}

    async def use(self, tool: FunctionTool, arguments: dict[str, Any]) -> str:
        written = json.dumps(arguments)
        context = ToolContext(
            context=None, tool_name=tool.name, tool_call_id="1", tool_arguments=written
        )
        return str(await tool.on_invoke_tool(context, written))
