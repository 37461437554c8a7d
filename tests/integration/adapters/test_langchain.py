"""LangChain's agents, LangGraph's graphs and deepagents as members; skills as their tools."""

from __future__ import annotations

import asyncio
import gc
import threading
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired

import pytest
from deepagents import create_deep_agent
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, ModelCallLimitMiddleware
from langchain.agents.structured_output import ToolStrategy
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import StructuredTool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from pydantic import BaseModel
from typing_extensions import TypedDict

from motet.adapters.langchain import from_langchain, tools_for_langchain
from motet.agent import Agent, Call
from motet.client import Motet
from motet.errors import FaultError, MotetError
from motet.messages import Budget, FaultType
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
    still,
    task_of,
    weather,
)


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


@pytest.fixture(autouse=True)
def nothing_is_left_unawaited() -> Iterator[None]:
    """Has Python say so within the test that left it."""
    yield
    gc.collect()


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


# Beside agents: graphs, runnables, deepagents, and what is asked synchronously


class Sum(TypedDict):
    left: int
    right: int
    total: NotRequired[int]


class PlainSum(typing.TypedDict):
    """Of a kind that Pydantic refuses on Python 3.11."""

    left: int
    right: Annotated[int, "a reducer would stand here"]
    total: NotRequired[int]


@dataclass
class DataSum:
    left: int
    right: int
    total: int | None = None


class ModelSum(BaseModel):
    left: int
    right: int
    total: int | None = None


def adding(kind: Any) -> Any:
    def add(state: Any) -> dict[str, int]:
        values = state if isinstance(state, dict) else vars(state)
        return {"total": values["left"] + values["right"]}

    graph = StateGraph(kind)
    graph.add_node("add", add)
    graph.add_edge(START, "add")
    return graph.compile()


@pytest.mark.parametrize("kind", [Sum, PlainSum, DataSum, ModelSum])
async def test_a_graph_without_messages_has_a_typed_skill(mesh: TestMesh, kind: Any) -> None:
    agent = from_langchain("sums", adding(kind), description="Adds.", skill="add")
    assert set(agent.skills["add"].card.input_schema["required"]) == {"left", "right"}
    assert set(agent.skills["add"].card.input_schema["properties"]) == {"left", "right", "total"}
    await mesh.join(agent)

    answer = await mesh.motet.call("sums.add", {"left": 2, "right": 40})

    assert answer["data"] == {"left": 2, "right": 40, "total": 42}
    with pytest.raises(FaultError, match="left"):
        await mesh.motet.call("sums.add", {"left": "two", "right": 40})


async def test_a_graph_of_messages_of_any_kind_reads_the_question(mesh: TestMesh) -> None:
    class Talk(typing.TypedDict):
        messages: Annotated[list[Any], add_messages]
        mood: NotRequired[str]

    graph = StateGraph(Talk)
    graph.add_node("say", lambda _: {"messages": [AIMessage("21")]})
    graph.add_edge(START, "say")
    await mesh.join(from_langchain("lab", graph.compile(), description="Talks."))
    assert (await mesh.motet.call("lab.ask", {"question": QUESTION}))["text"] == "21"


def test_a_state_without_a_schema_is_named() -> None:
    class Odd(TypedDict):
        lock: threading.Thread

    graph = StateGraph(Odd)
    graph.add_node("do", lambda _: {})
    graph.add_edge(START, "do")
    with pytest.raises(MotetError, match="What 'odd' reads has no JSON Schema; give `request=`"):
        from_langchain("odd", graph.compile(), description="Is odd.")


async def test_a_chain_has_the_skill_of_its_prompt(mesh: TestMesh) -> None:
    script = Script(Turn("Bonjour"))
    chain = (
        ChatPromptTemplate.from_template("Say {words} in {language}.")
        | ScriptedChat(script=script)
        | StrOutputParser()
    )
    await mesh.join(from_langchain("tongues", chain, description="Translates.", skill="say"))

    answer = await mesh.motet.call("tongues.say", {"words": "hello", "language": "French"})

    assert (answer["text"], answer["data"]) == ("Bonjour", None)
    assert "Say hello in French." in script.asked[0]
    assert [span.name for span in chats(mesh)] == ["chat scripted-1"]


async def test_a_model_alone_reads_the_question(mesh: TestMesh) -> None:
    script = Script(Turn("42"))
    await mesh.join(from_langchain("lab", ScriptedChat(script=script), description="Knows."))
    assert (await mesh.motet.call("lab.ask", {"question": QUESTION}))["text"] == "42"
    assert QUESTION in script.asked[0]


async def test_an_agent_with_an_output_form_gives_data(mesh: TestMesh) -> None:
    class Degrees(BaseModel):
        degrees: int

    script = Script(Turn(calls=(("Degrees", {"degrees": 21}),)))
    agent = create_agent(ScriptedChat(script=script), response_format=ToolStrategy(Degrees))
    member = from_langchain("lab", agent, description="Measures rooms.", output=Degrees)
    assert "degrees" in str(member.skills["ask"].card.output_schema)
    await mesh.join(member)

    assert (await mesh.motet.call("lab.ask", {"question": QUESTION}))["data"] == {"degrees": 21}


async def test_what_a_deep_agent_gives_away_is_seen_and_paid(mesh: TestMesh) -> None:
    ran: list[str] = []
    await mesh.join(weather(ran))
    part = {"description": "Look at the sky.", "subagent_type": "general-purpose"}
    script = Script(
        Turn(calls=(("task", part),)), called("Oslo"), Turn("it is clear"), Turn("clear")
    )

    async def build(call: Call) -> Any:
        return create_deep_agent(ScriptedChat(script=script), await tools_for_langchain(call))

    await mesh.join(from_langchain("lab", build, description="Looks."))

    assert (await mesh.motet.call("lab.ask", {"question": QUESTION}))["text"] == "clear"
    assert ran == ["Oslo"]
    assert_tree(
        await mesh.trace(task_of(mesh)),
        """
        send motet.call.lab.ask
          process motet.call.lab.ask
            invoke_agent lab
              chat scripted-1
              execute_tool task
                chat scripted-1
                execute_tool weather__now
                  send motet.call.weather.now
                    process motet.call.weather.now
                      invoke_agent weather
                chat scripted-1
              chat scripted-1
        """,
    )
    outcome = await mesh.outcome(task_of(mesh), "task")
    assert (outcome.usage.model_calls, outcome.usage.tokens) == (4, 480)


@pytest.mark.parametrize("blocking", [False, True])
async def test_what_is_asked_synchronously_is_paid_and_stopped(
    mesh: TestMesh, blocking: bool
) -> None:
    script = Script(Turn("one"), Turn("two"), Turn("three"))
    model = ScriptedChat(script=script)

    def in_thread(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    async def on_the_loop(state: MessagesState) -> dict[str, Any]:
        return in_thread(state)

    graph = StateGraph(MessagesState)
    graph.add_node("first", on_the_loop if blocking else in_thread)
    graph.add_node("second", on_the_loop if blocking else in_thread)
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    await mesh.join(from_langchain("lab", graph.compile(), description="Thinks."))

    assert (await mesh.motet.call("lab.ask", {"question": QUESTION}))["text"] == "two"
    outcome = await mesh.outcome(task_of(mesh), "task")
    assert (outcome.usage.tokens, outcome.usage.model_calls) == (240, 2)
    assert [span.name for span in chats(mesh)] == ["chat scripted-1"] * 2

    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("lab.ask", {"question": QUESTION}, budget=Budget(tokens=100))
    assert raised.value.fault.type == FaultType.BUDGET_EXCEEDED
    assert len(script.asked) == 3


async def test_a_text_is_streamed_where_the_model_streams(mesh: TestMesh) -> None:
    class Streaming(ScriptedChat):
        streaming: bool = False

        async def _astream(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            for word in ("It ", "is ", "21."):
                yield ChatGenerationChunk(message=AIMessageChunk(word))

    graph = create_agent(Streaming(script=None, streaming=True))
    await mesh.join(from_langchain("lab", graph, description="Measures rooms."))
    await mesh.join(conductor())

    task = await mesh.motet.submit(QUESTION)
    pieces = [event.text async for _, event in task.events() if event.kind == "streamed"]

    assert "".join(pieces) == "It is 21."
    record = await task.result(20)
    # What the model did not count is estimated.
    assert record.usage.output_tokens == len("It is 21.") // 4 + 1


@pytest.mark.parametrize(
    "middleware, kind",
    [
        ([ModelCallLimitMiddleware(run_limit=1, exit_behavior="error")], "budget_exceeded"),
        ([HumanInTheLoopMiddleware(interrupt_on={"thermometer": True})], "interrupted"),
    ],
)
async def test_what_langchain_says_itself_is_a_fault(
    mesh: TestMesh, middleware: list[Any], kind: str
) -> None:
    turn = Turn(calls=(("thermometer", {"room": "north"}),))
    agent = create_agent(
        ScriptedChat(script=Script(turn, turn)), [tool_of(still)], middleware=middleware
    )
    await mesh.join(from_langchain("lab", agent, description="Measures rooms."))
    with pytest.raises(FaultError) as raised:
        await mesh.motet.call("lab.ask", {"question": QUESTION})
    assert (raised.value.fault.type, raised.value.fault.retryable) == (kind, False)


async def test_a_graph_that_goes_round_is_a_fault(mesh: TestMesh) -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("round", lambda _: {})
    graph.add_edge(START, "round")
    graph.add_edge("round", "round")
    await mesh.join(from_langchain("lab", graph.compile(), description="Goes round."))
    with pytest.raises(FaultError, match=r"(?i)recursion limit") as raised:
        await mesh.motet.call("lab.ask", {"question": QUESTION})
    assert raised.value.fault.type == FaultType.BUDGET_EXCEEDED


async def test_a_function_that_makes_no_runnable_is_named(mesh: TestMesh) -> None:
    await mesh.join(from_langchain("lab", lambda _call: "nothing", description="Is broken."))
    with pytest.raises(FaultError, match=r"lab\.ask: the function that makes its agent gave str"):
        await mesh.motet.call("lab.ask", {"question": QUESTION})


async def test_tools_are_called_in_threads_too(mesh: TestMesh) -> None:
    await mesh.join(weather([]))
    (tool,) = await tools_for_langchain(mesh.motet, skills=["weather.now"])
    assert "clear over Oslo" in await asyncio.to_thread(tool.invoke, {"city": "Oslo"})
    with pytest.raises(RuntimeError, match="synchronously on the event loop"):
        tool.invoke({"city": "Oslo"})
