"""LlamaIndex's agents and workflows as members, and skills as their tools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.llms import ChatMessage, ChatResponse, LLMMetadata, MockLLM
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
from pydantic import BaseModel

from motet.adapters.llamaindex import SkillFailedError, from_llamaindex, tools_for_llamaindex
from motet.agent import Agent, Call
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import Budget, FaultType, Usage
from motet.testing import TestMesh
from tests.integration.adapters.frameworks import (
    QUESTION,
    Members,
    Script,
    Tool,
    Turn,
    chats,
    conductor,
    task_of,
)

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


# What is LlamaIndex's own


class Looking(StartEvent):
    place: str
    times: int = 1


class Looks(Workflow):
    """Asks its model itself."""

    def __init__(self, llm: Any, **options: Any) -> None:
        super().__init__(**options)
        self.llm = llm

    @step
    async def look(self, event: Looking) -> StopEvent:
        answers = [
            (await self.llm.achat([ChatMessage(f"Look at {event.place}.")])).message.content
            for _ in range(event.times)
        ]
        return StopEvent(result={"answers": answers})


class LookRequest(BaseModel):
    place: str
    times: int = 1


async def test_a_workflow_is_started_with_the_fields_of_its_request(mesh: TestMesh) -> None:
    script = Script(Turn("clear"), Turn("cloudy"))
    workflow = Looks(ScriptedLLM(script=script))
    await mesh.join(
        from_llamaindex("sky", workflow, description="Looks.", skill="look", request=LookRequest)
    )

    answer = await mesh.motet.call("sky.look", {"place": "Oslo", "times": 2})

    assert answer["data"] == {"answers": ["clear", "cloudy"]}
    assert "Look at Oslo." in script.asked[0]
    outcome = await mesh.outcome(task_of(mesh), "task")
    assert outcome.usage == Usage(input_tokens=200, output_tokens=40, model_calls=2)


async def test_a_workflow_is_stopped_within_a_step(mesh: TestMesh) -> None:
    script = Script(*[Turn("clear")] * 9)
    workflow = Looks(ScriptedLLM(script=script))
    await mesh.join(
        from_llamaindex("sky", workflow, description="Looks.", skill="look", request=LookRequest)
    )
    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("sky.look", {"place": "Oslo", "times": 9}, budget=Budget(tokens=300))
    assert raised.value.fault.type == FaultType.BUDGET_EXCEEDED
    assert len(script.asked) <= 3


class Streams(Looks):
    @step
    async def look(self, event: Looking) -> StopEvent:
        message = [ChatMessage(f"Look at {event.place}.")]
        together = await asyncio.gather(*(self.llm.astream_chat(message) for _ in range(2)))
        pieces = [[piece.delta async for piece in stream] for stream in together]
        return StopEvent(result=" ".join(str(len(each)) for each in pieces))


async def test_a_method_that_stands_on_another_one_is_one_request(mesh: TestMesh) -> None:
    # `MockLLM` streams a chat by streaming a completion.
    workflow = Streams(MockLLM(max_tokens=5))
    await mesh.join(
        from_llamaindex("sky", workflow, description="Looks.", skill="look", request=LookRequest)
    )
    await mesh.motet.call("sky.look", {"place": "Oslo"})
    outcome = await mesh.outcome(task_of(mesh), "task")
    assert outcome.usage.model_calls == 2
    assert len(chats(mesh)) == 2


async def test_a_text_is_streamed(mesh: TestMesh) -> None:
    await mesh.join(
        from_llamaindex(
            "lab", FunctionAgent(llm=ScriptedLLM(script=Script(Turn("21")))), description="Tells."
        )
    )
    await mesh.join(conductor())
    task = await mesh.motet.submit(QUESTION)
    pieces = [event.text async for _, event in task.events() if event.kind == "streamed"]
    assert "".join(pieces) == "21"


async def test_agents_that_hand_over_are_one_member(mesh: TestMesh) -> None:
    script = Script(
        Turn(calls=(("handoff", {"to_agent": "expert", "reason": "it knows"}),)), Turn("21")
    )
    model = ScriptedLLM(script=script)
    first = FunctionAgent(name="desk", description="Takes.", llm=model, can_handoff_to=["expert"])
    expert = FunctionAgent(name="expert", description="Knows.", llm=model)
    agents = AgentWorkflow(agents=[first, expert], root_agent="desk")
    await mesh.join(from_llamaindex("lab", agents, description="Measures rooms."))

    assert (await mesh.motet.call("lab.ask", {"question": QUESTION}))["text"] == "21"
    assert [span.name for span in mesh.spans() if span.name.startswith(("chat", "execute"))] == [
        "chat scripted-1",
        "execute_tool handoff",
        "chat scripted-1",
    ]


async def test_a_workflow_that_takes_too_long_is_a_fault(mesh: TestMesh) -> None:
    class Waits(Workflow):
        @step
        async def wait(self, event: StartEvent) -> StopEvent:
            await asyncio.Event().wait()
            return StopEvent()

    await mesh.join(from_llamaindex("lab", Waits(timeout=0.1), description="Waits."))
    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("lab.ask", {"question": QUESTION})
    assert raised.value.fault.type == FaultType.DEADLINE_EXCEEDED


async def test_nothing_is_heard_outside_of_a_run() -> None:
    from_llamaindex("lab", Looks(MockLLM()), description="Looks.")
    script = Script(Turn("clear"))
    answer = await ScriptedLLM(script=script).achat([ChatMessage("Look.")])
    assert answer.message.content == "clear"
