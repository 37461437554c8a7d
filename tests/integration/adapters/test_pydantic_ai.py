"""Pydantic AI's agents as members, and skills as their tools."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent as Assistant
from pydantic_ai import RunContext
from pydantic_ai import Tool as AssistantTool
from pydantic_ai.agent import WrapperAgent
from pydantic_ai.exceptions import ModelHTTPError, ToolFailed
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RequestUsage, RunUsage, UsageLimits

from motet.adapters.pydantic_ai import from_pydantic_ai, tools_for_pydantic_ai
from motet.agent import Agent, Call
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import Budget, FaultType, Principal, Usage
from motet.testing import TestMesh, assert_tree
from tests.integration.adapters.frameworks import (
    QUESTION,
    Members,
    Script,
    Tool,
    Turn,
    called,
    conductor,
    task_of,
)


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


# What is Pydantic AI's own


class Degrees(BaseModel):
    degrees: int


def text_of(*turns: Turn | Exception) -> tuple[Script, FunctionModel]:
    script = Script(*turns)
    return script, model_of(script)


async def test_an_agent_with_an_output_type_gives_data(mesh: TestMesh) -> None:
    _, model = text_of(Turn(calls=(("final_result", {"degrees": 21}),)))
    member = from_pydantic_ai(
        "lab", Assistant(model, output_type=Degrees), description="Measures rooms."
    )
    assert "degrees" in str(member.skills["ask"].card.output_schema)
    await mesh.join(member)

    answer = await mesh.motet.call("lab.ask", {"question": QUESTION})

    assert answer["data"] == {"degrees": 21}


async def test_the_agent_is_given_what_is_made_of_the_call(mesh: TestMesh) -> None:
    script, model = text_of(
        Turn(calls=(("whose", {}),)), Turn("yours"), Turn(calls=(("whose", {}),)), Turn("yours")
    )
    assistant = Assistant(model, deps_type=str)

    @assistant.tool
    async def whose(ctx: RunContext[str]) -> str:
        return f"tenant {ctx.deps}"

    await mesh.join(
        from_pydantic_ai(
            "lab",
            assistant,
            description="Knows whose it is.",
            request=Degrees,
            deps=lambda call: call.principal.tenant,
        )
    )
    await mesh.motet.call("lab.ask", Degrees(degrees=4), principal=Principal(tenant="red"))

    assert '{"degrees": 4}' in script.asked[0]
    assert "tenant red" in script.asked[1]


async def test_what_an_agent_below_a_tool_uses_is_paid_once(mesh: TestMesh) -> None:
    _, below = text_of(Turn("clear", reads=1000))
    _, model = text_of(Turn(calls=(("look", {}),)), Turn("clear"))
    expert, assistant = Assistant(below), Assistant(model)

    @assistant.tool
    async def look(ctx: RunContext[None]) -> str:
        return (await expert.run("Look.", usage=ctx.usage)).output

    await mesh.join(from_pydantic_ai("lab", assistant, description="Looks."))
    await mesh.motet.call("lab.ask", {"question": QUESTION})

    assert_tree(
        await mesh.trace(task_of(mesh)),
        """
        send motet.call.lab.ask
          process motet.call.lab.ask
            invoke_agent lab
              chat scripted-1 [gen_ai.usage.input_tokens=100]
              execute_tool look [gen_ai.usage.input_tokens=1000 gen_ai.usage.output_tokens=20]
              chat scripted-1 [gen_ai.usage.input_tokens=100]
        """,
    )
    outcome = await mesh.outcome(task_of(mesh), "task")
    assert outcome.usage == Usage(input_tokens=1200, output_tokens=60, model_calls=3)


async def test_a_budget_that_is_short_limits_the_answer(mesh: TestMesh) -> None:
    limits: list[int | None] = []

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        limits.append((info.model_settings or {}).get("max_tokens"))
        return ModelResponse(
            parts=[TextPart("21")], usage=RequestUsage(input_tokens=100, output_tokens=20)
        )

    assistant = Assistant(FunctionModel(answer), model_settings={"temperature": 0.0})
    await mesh.join(from_pydantic_ai("lab", assistant, description="Measures rooms."))
    await mesh.motet.call("lab.ask", {"question": QUESTION}, budget=Budget(tokens=1000))
    await mesh.motet.call("lab.ask", {"question": QUESTION})

    assert limits[0] is not None
    assert 0 < limits[0] < 1000
    assert limits[1] is None


async def test_a_text_is_streamed(mesh: TestMesh) -> None:
    async def words(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for word in ("It ", "is ", "21."):
            yield word

    assistant = Assistant(FunctionModel(stream_function=words))
    await mesh.join(from_pydantic_ai("lab", assistant, description="Tells.", stream=True))
    await mesh.join(conductor())

    task = await mesh.motet.submit(QUESTION)
    pieces = [event.text async for _, event in task.events() if event.kind == "streamed"]

    assert "".join(pieces) == "It is 21."
    assert (await task.result(20)).usage.output_tokens > 0


@pytest.mark.parametrize(
    "turns, options, kind",
    [
        ([called("Oslo", "thermometer")] * 9, {"request_limit": 2}, FaultType.BUDGET_EXCEEDED),
        ([Turn(calls=(("no_such_tool", {}),))] * 9, {}, FaultType.MODEL_OUTPUT_INVALID),
    ],
)
async def test_what_pydantic_ai_says_itself_is_a_fault(
    mesh: TestMesh, turns: list[Turn], options: dict[str, Any], kind: FaultType
) -> None:
    _, model = text_of(*turns)

    class Limited(WrapperAgent[None, str]):
        async def run(self, *args: Any, **kwargs: Any) -> Any:
            return await super().run(*args, **kwargs, usage_limits=UsageLimits(**options))

    async def thermometer(city: str) -> str:
        return "21"

    assistant = Limited(Assistant(model, tools=[thermometer]))
    await mesh.join(from_pydantic_ai("lab", assistant, description="Measures rooms."))
    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("lab.ask", {"question": QUESTION})
    assert (raised.value.fault.type, raised.value.fault.retryable) == (kind, False)


async def test_a_server_that_is_down_is_tried_again_and_a_key_that_is_wrong_is_not(
    mesh: TestMesh,
) -> None:
    script, model = text_of(
        ModelHTTPError(503, "scripted-1"), Turn("21"), ModelHTTPError(401, "scripted-1")
    )
    await mesh.join(from_pydantic_ai("lab", Assistant(model), description="Measures rooms."))
    assert (await mesh.motet.call("lab.ask", {"question": QUESTION}))["text"] == "21"
    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("lab.ask", {"question": QUESTION})
    assert raised.value.fault.type == FaultType.MODEL_FAILED
    assert len(script.asked) == 3
