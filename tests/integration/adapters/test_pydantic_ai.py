"""Pydantic AI's agents as members, and skills as their tools."""

from __future__ import annotations

from typing import Any

from pydantic_ai import Agent as Assistant
from pydantic_ai import RunContext
from pydantic_ai import Tool as AssistantTool
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RequestUsage, RunUsage

from motet.adapters.pydantic_ai import from_pydantic_ai, tools_for_pydantic_ai
from motet.agent import Agent, Call
from motet.client import Motet
from tests.integration.adapters.frameworks import Members, Script, Tool


def model_of(script: Script) -> FunctionModel:
    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        turn = script.next(messages)
        calls = [ToolCallPart(name, args, script.call_id()) for name, args in turn.calls]
        return ModelResponse(
            parts=calls or [TextPart(turn.text)],
            usage=RequestUsage(input_tokens=turn.reads, output_tokens=turn.writes),
        )

    return FunctionModel(answer, model_name="scripted-1")


class TestAgents(Members):
    told_of_an_error = None

    def lab(self, script: Script, thermometer: Tool, **options: Any) -> Agent:
        tool = AssistantTool(thermometer, name="thermometer", description="Degrees in a room.")
        assistant = Assistant(model_of(script), tools=[tool])
        return from_pydantic_ai("lab", assistant, description="Measures rooms.", **options)

    def with_skills(self, script: Script, skills: list[str] | None = None) -> Agent:
        async def build(call: Call) -> Any:
            tools = await tools_for_pydantic_ai(call, skills=skills)
            return Assistant(model_of(script), tools=tools)

        return from_pydantic_ai("lab", build, description="Measures rooms.")

    async def tools(self, mesh: Call | Motet, **options: Any) -> dict[str, Any]:
        return {tool.name: tool for tool in await tools_for_pydantic_ai(mesh, **options)}

    async def use(self, tool: Any, arguments: dict[str, Any]) -> str:
        context: Any = RunContext(deps=None, model=TestModel(), usage=RunUsage())
        try:
            return str(await tool.function(context, **arguments))
        except ToolFailed as failed:
            return failed.message
