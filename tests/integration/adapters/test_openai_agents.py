"""Agents of the OpenAI Agents SDK as members, and skills as their tools."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agents import Agent as Assistant
from agents import (
    FunctionTool,
    GuardrailFunctionOutput,
    Model,
    ModelResponse,
    OpenAIChatCompletionsModel,
    input_guardrail,
)
from agents import Usage as SdkUsage
from agents.tool import function_tool
from agents.tool_context import ToolContext
from openai import AsyncOpenAI
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from pydantic import BaseModel

from motet.adapters.openai_agents import from_openai_agents, tools_for_openai_agents
from motet.agent import Agent, Call
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import FaultType, Usage
from motet.testing import TestMesh, assert_tree
from tests.integration.adapters.frameworks import (
    QUESTION,
    Members,
    Script,
    Tool,
    Turn,
    called,
    chats,
    conductor,
    task_of,
    weather,
)
from tests.unit.models.fake_server import FakeServer, completion, serving


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
        usage = SdkUsage(
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


# What is the SDK's own


class Degrees(BaseModel):
    degrees: int


async def test_an_agent_with_an_output_type_gives_data(mesh: TestMesh) -> None:
    script = Script(Turn('{"degrees": 21}'))
    assistant = Assistant(name="Lab", model=ScriptedModel(script), output_type=Degrees)
    member = from_openai_agents("lab", assistant, description="Measures rooms.")
    assert "degrees" in str(member.skills["ask"].card.output_schema)
    await mesh.join(member)

    answer = await mesh.motet.call("lab.ask", {"question": QUESTION})

    assert (answer["text"], answer["data"]) == ('{"degrees":21}', {"degrees": 21})


async def test_who_it_hands_over_to_is_seen_and_paid(mesh: TestMesh) -> None:
    script = Script(Turn(calls=(("transfer_to_expert", {}),)), Turn("21 degrees", reads=300))
    expert = Assistant(name="Expert", model=ScriptedModel(script))
    assistant = Assistant(name="Lab", model=ScriptedModel(script), handoffs=[expert])
    await mesh.join(from_openai_agents("lab", assistant, description="Measures rooms."))

    assert (await mesh.motet.call("lab.ask", {"question": QUESTION}))["text"] == "21 degrees"
    outcome = await mesh.outcome(task_of(mesh), "task")
    assert outcome.usage == Usage(input_tokens=400, output_tokens=40, model_calls=2)
    assert [span.name for span in chats(mesh)] == ["chat scripted-1"] * 2


async def test_what_an_agent_below_a_tool_uses_is_paid_once(mesh: TestMesh) -> None:
    below = Assistant(name="Expert", model=ScriptedModel(Script(Turn("clear", reads=1000))))
    script = Script(Turn(calls=(("expert", {"input": "Look."}),)), Turn("clear"))
    tool = below.as_tool("expert", "Looks at the sky.")
    assistant = Assistant(name="Lab", model=ScriptedModel(script), tools=[tool])
    await mesh.join(from_openai_agents("lab", assistant, description="Looks."))
    await mesh.motet.call("lab.ask", {"question": QUESTION})

    assert_tree(
        await mesh.trace(task_of(mesh)),
        """
        send motet.call.lab.ask
          process motet.call.lab.ask
            invoke_agent lab
              chat scripted-1 [gen_ai.usage.input_tokens=100]
              execute_tool expert [gen_ai.usage.input_tokens=1000 gen_ai.usage.output_tokens=20]
              chat scripted-1 [gen_ai.usage.input_tokens=100]
        """,
    )
    outcome = await mesh.outcome(task_of(mesh), "task")
    assert outcome.usage == Usage(input_tokens=1200, output_tokens=60, model_calls=3)


async def test_too_many_turns_are_a_fault(mesh: TestMesh) -> None:
    script = Script(*[called("Oslo", "thermometer")] * 9)
    assistant = Assistant(
        name="Lab", model=ScriptedModel(script), tools=[function_tool(thermometer)]
    )
    await mesh.join(from_openai_agents("lab", assistant, description="Looks.", max_turns=3))
    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("lab.ask", {"question": QUESTION})
    assert raised.value.fault.type == FaultType.BUDGET_EXCEEDED
    assert len(script.asked) == 3


async def test_a_guardrail_that_trips_is_a_fault(mesh: TestMesh) -> None:
    @input_guardrail
    async def never(*_: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

    assistant = Assistant(
        name="Lab", model=ScriptedModel(Script(Turn("21"))), input_guardrails=[never]
    )
    await mesh.join(from_openai_agents("lab", assistant, description="Is guarded."))
    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("lab.ask", {"question": QUESTION})
    assert (raised.value.fault.type, raised.value.fault.retryable) == (FaultType.REJECTED, False)


async def test_arguments_that_are_no_json_are_told(mesh: TestMesh) -> None:
    await mesh.join(weather([]))
    (tool,) = await tools_for_openai_agents(mesh.motet, skills=["weather.now"])
    assert isinstance(tool, FunctionTool)
    context = ToolContext(
        context=None, tool_name=tool.name, tool_call_id="1", tool_arguments="{city"
    )
    assert "the arguments are no JSON" in await tool.on_invoke_tool(context, "{city")


async def test_a_text_is_streamed(mesh: TestMesh) -> None:
    with serving(FakeServer(answers=[completion("It is 21.")])) as server:
        client = AsyncOpenAI(base_url=server.url, api_key="none")
        model = OpenAIChatCompletionsModel("scripted-1", client)
        await mesh.join(
            from_openai_agents(
                "lab", Assistant(name="Lab", model=model), description="Tells.", stream=True
            )
        )
        await mesh.join(conductor())
        task = await mesh.motet.submit(QUESTION)
        pieces = [event.text async for _, event in task.events() if event.kind == "streamed"]
        record = await task.result(20)
        await client.close()

    assert "".join(pieces) == "It is 21."
    assert record.answer is not None
    assert record.answer.text == "It is 21."
    assert record.usage.tokens == 18


async def thermometer(city: str) -> str:
    """Degrees in a city."""
    return "21"
