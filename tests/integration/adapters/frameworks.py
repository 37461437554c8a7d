"""What holds of every framework's members and tools: each framework's tests inherit `Members`."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

import pytest

from motet.agent import Agent, Call
from motet.client import Motet
from motet.errors import FaultError, MotetError
from motet.messages import Answer, Budget, FaultType, Message, Reply, Task, Usage
from motet.telemetry import names
from motet.telemetry.record import SpanRecord
from motet.testing import ScriptedModel, TestMesh, assert_tree
from motet_planner.app import agent as planner

QUESTION = "How warm is it in the room with the north window, and is that more than yesterday?"


@dataclass(frozen=True)
class Turn:
    """What a model says: a text, or the tools that it calls."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    reads: int = 100
    writes: int = 20


class Script:
    """A model's turns, and what it was asked: behind every framework's fake model."""

    def __init__(self, *turns: Turn | Exception) -> None:
        self._turns = list(turns)
        self._ids = count(1)
        self.asked: list[str] = []
        """The conversation of each request, as text."""

    def next(self, conversation: object) -> Turn:
        self.asked.append(str(conversation))
        turn = self._turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        return turn

    def call_id(self) -> str:
        """An id that no other tool call has, as providers give them."""
        return f"call-{next(self._ids)}"


Tool = Callable[[str], Awaitable[str]]


class City(Message):
    city: str


def weather(ran: list[str]) -> Agent:
    agent = Agent("weather", "Weather by city.")

    @agent.skill("now", "The sky over a city.")
    async def now(request: City, _call: Call) -> dict[str, str]:
        ran.append(request.city)
        if request.city == "Atlantis":
            raise FaultError.of(FaultType.NOT_FOUND, "There is no such city.")
        return {"sky": f"clear over {request.city}"}

    @agent.skill("asked", "The sky, once somebody agreed.", approval="May I look?")
    async def asked(request: City, _call: Call) -> dict[str, str]:
        ran.append(request.city)
        return {"sky": f"rain over {request.city}"}

    @agent.skill("clean", "Cleans the sensors.", plannable=False)
    async def clean(request: City, _call: Call) -> str:
        return "clean"

    return agent


def conductor() -> Agent:
    """Does a task by asking the member, as a planner would."""
    agent = Agent("planner", "Does tasks.")

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        answer = await call.delegate("lab.ask", {"question": task.goal}, step="ask")
        return Answer(text=answer["text"])

    return agent


def called(city: str, skill: str = "weather__now") -> Turn:
    return Turn(calls=((skill, {"city": city}),))


class Members(ABC):
    """A framework."""

    model: ClassVar[str] = "scripted-1"
    """The name that the framework tells of its fake model."""
    told_of_an_error: ClassVar[str | None]
    """What the framework tells its model of what a tool raises; None where it fails."""

    @abstractmethod
    def lab(self, script: Script, thermometer: Tool, **options: Any) -> Agent:
        """The agent `lab` with the skill `ask` and the tool `thermometer(room: str)`."""

    @abstractmethod
    def with_skills(self, script: Script, skills: list[str] | None = None) -> Agent:
        """The agent `lab` whose tools are the mesh's skills."""

    @abstractmethod
    async def tools(self, mesh: Call | Motet, **options: Any) -> dict[str, Any]:
        """The mesh's skills as the framework's tools, by name."""

    @abstractmethod
    async def use(self, tool: Any, arguments: dict[str, Any]) -> str:
        """What the framework tells its model of a tool, called outside of any agent."""

    # As a member

    async def test_a_planner_finds_it_by_its_card_and_asks_it(self, mesh: TestMesh) -> None:
        await mesh.join(self.lab(Script(Turn("21 degrees")), still))
        model = ScriptedModel(
            {
                "act": [
                    [{"name": "lab__ask", "args": {"question": QUESTION}}],
                    "It is 21 degrees in the room.",
                ]
            }
        )
        await mesh.join(planner, context={"model": model})

        task = await mesh.motet.submit(Task(goal=QUESTION, strategy="deep"))
        record = await task.result(40)

        assert record.answer is not None, record.fault
        assert record.answer.data["steps"].popitem()[1]["skill"] == "lab.ask"
        offered = {
            each["function"]["name"]: each["function"] for each in model.asked[0].schema["tools"]
        }  # type: ignore[index]
        assert offered["lab__ask"]["description"] == "Measures rooms."
        # What the member's model has used is the task's.
        assert record.usage.input_tokens >= 100

    async def test_requests_and_tools_are_in_the_trace_and_in_the_usage(
        self, mesh: TestMesh
    ) -> None:
        rooms: list[str] = []

        async def thermometer(room: str) -> str:
            rooms.append(room)
            return "21"

        script = Script(
            Turn(calls=(("thermometer", {"room": "north"}),)), Turn("21 degrees", reads=150)
        )
        await mesh.join(self.lab(script, thermometer))

        answer = await mesh.motet.call("lab.ask", {"question": QUESTION})

        assert (answer["text"], rooms) == ("21 degrees", ["north"])
        assert QUESTION in script.asked[0]
        assert "21" in script.asked[1]
        task = task_of(mesh)
        assert_tree(
            await mesh.trace(task),
            f"""
            send motet.call.lab.ask
              process motet.call.lab.ask
                invoke_agent lab
                  chat {self.model} [gen_ai.usage.input_tokens=100 gen_ai.usage.output_tokens=20]
                  execute_tool thermometer [gen_ai.tool.name=thermometer]
                  chat {self.model} [gen_ai.usage.input_tokens=150 gen_ai.usage.output_tokens=20]
            """,
        )
        (outcome,) = [await mesh.outcome(task, "task")]
        assert outcome.usage == Usage(input_tokens=250, output_tokens=40, model_calls=2)

    async def test_a_budget_that_is_used_up_stops_it_before_the_next_request(
        self, mesh: TestMesh
    ) -> None:
        script = Script(Turn(calls=(("thermometer", {"room": "north"}),)), Turn("21 degrees"))
        await mesh.join(self.lab(script, still))

        with pytest.raises(FaultError) as raised:
            await mesh.motet.call("lab.ask", {"question": QUESTION}, budget=Budget(tokens=125))

        assert raised.value.fault.type == FaultType.BUDGET_EXCEEDED
        assert not raised.value.fault.retryable
        assert len(script.asked) == 1

    async def test_what_was_over_the_budget_is_a_fault(self, mesh: TestMesh) -> None:
        await mesh.join(self.lab(Script(Turn("21 degrees", reads=900)), still))
        with pytest.raises(FaultError) as raised:
            await mesh.motet.call("lab.ask", {"question": QUESTION}, budget=Budget(tokens=500))
        assert raised.value.fault.type == FaultType.BUDGET_EXCEEDED

    async def test_a_cancellation_reaches_what_runs(self, mesh: TestMesh) -> None:
        running, stopped = asyncio.Event(), asyncio.Event()

        async def thermometer(room: str) -> str:
            running.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped.set()
                raise
            raise AssertionError("it waits for ever")

        script = Script(Turn(calls=(("thermometer", {"room": "north"}),)), Turn("21 degrees"))
        await mesh.join(self.lab(script, thermometer))
        call = asyncio.create_task(mesh.motet.call("lab.ask", {"question": QUESTION}))
        async with asyncio.timeout(20):
            await running.wait()
            call.cancel()
            await stopped.wait()
            await mesh.drained("CALLS")

        assert len(script.asked) == 1

    async def test_a_model_that_cannot_be_reached_is_asked_again(self, mesh: TestMesh) -> None:
        script = Script(ConnectionError("no route"), Turn("21 degrees"))
        await mesh.join(self.lab(script, still))

        answer = await mesh.motet.call("lab.ask", {"question": QUESTION})

        assert answer["text"] == "21 degrees"
        (failed,) = [span for span in chats(mesh) if names.ERROR_TYPE in span.attributes]
        assert failed.name == f"chat {self.model}"

    async def test_a_model_that_refuses_is_a_fault_that_says_why(self, mesh: TestMesh) -> None:
        script = Script(ValueError("the key is wrong"), Turn("21 degrees"))
        await mesh.join(self.lab(script, still))

        with pytest.raises(FaultError, match="the key is wrong") as raised:
            await mesh.motet.call("lab.ask", {"question": QUESTION})

        assert raised.value.fault.type == FaultType.MODEL_FAILED
        assert len(script.asked) == 1

    async def test_a_tool_that_fails(self, mesh: TestMesh) -> None:
        async def thermometer(room: str) -> str:
            raise LookupError("no such room")

        script = Script(Turn(calls=(("thermometer", {"room": "north"}),)), Turn("I cannot say"))
        await mesh.join(self.lab(script, thermometer, max_attempts=1))
        asking = mesh.motet.call("lab.ask", {"question": QUESTION})

        if self.told_of_an_error is not None:
            assert (await asking)["text"] == "I cannot say"
            assert self.told_of_an_error in script.asked[1]
        else:
            with pytest.raises(FaultError, match="no such room") as raised:
                await asking
            assert raised.value.fault.type == FaultType.INTERNAL
        tool = await span_of(mesh, "execute_tool thermometer")
        assert names.ERROR_TYPE in tool.attributes

    # Skills as its tools

    async def test_a_skill_is_delegated_below_its_tool(self, mesh: TestMesh) -> None:
        ran: list[str] = []
        await mesh.join(weather(ran))
        script = Script(called("Oslo"), Turn("clear"))
        await mesh.join(self.with_skills(script))

        answer = await mesh.motet.call("lab.ask", {"question": QUESTION})

        assert (answer["text"], ran) == ("clear", ["Oslo"])
        assert "clear over Oslo" in script.asked[1]
        task = task_of(mesh)
        assert_tree(
            await mesh.trace(task),
            f"""
            send motet.call.lab.ask
              process motet.call.lab.ask
                invoke_agent lab
                  chat {self.model}
                  execute_tool weather__now
                    send motet.call.weather.now
                      process motet.call.weather.now
                        invoke_agent weather
                  chat {self.model}
            """,
        )

    async def test_an_attempt_that_runs_anew_does_no_step_twice(self, mesh: TestMesh) -> None:
        ran: list[str] = []
        await mesh.join(weather(ran))
        await mesh.join(
            self.with_skills(
                Script(
                    called("Oslo"),
                    called("Bergen"),
                    called("Oslo"),
                    ConnectionError("no route"),
                    called("Oslo"),
                    called("Bergen"),
                    called("Oslo"),
                    Turn("clear"),
                )
            )
        )

        answer = await mesh.motet.call("lab.ask", {"question": QUESTION})

        # Asked for twice on purpose, it runs twice; asked for by a second attempt, it does not.
        assert (answer["text"], ran) == ("clear", ["Oslo", "Bergen", "Oslo"])

    async def test_a_fault_of_a_skill_is_told_to_the_model(self, mesh: TestMesh) -> None:
        await mesh.join(weather([]))
        script = Script(called("Atlantis"), Turn("no such place"))
        await mesh.join(self.with_skills(script))

        answer = await mesh.motet.call("lab.ask", {"question": QUESTION})

        assert answer["text"] == "no such place"
        assert "not_found" in script.asked[1]
        assert "There is no such city." in script.asked[1]
        tool = await span_of(mesh, "execute_tool weather__now")
        assert names.ERROR_TYPE in tool.attributes

    async def test_arguments_that_do_not_fit_are_told_and_not_delegated(
        self, mesh: TestMesh
    ) -> None:
        ran: list[str] = []
        await mesh.join(weather(ran))
        script = Script(Turn(calls=(("weather__now", {"city": 7}),)), Turn("sorry"))
        await mesh.join(self.with_skills(script))

        assert (await mesh.motet.call("lab.ask", {"question": QUESTION}))["text"] == "sorry"
        assert "is not of type" in script.asked[1]
        assert (ran, await mesh.motet.dead()) == ([], [])

    async def test_a_budget_of_calls_ends_the_run(self, mesh: TestMesh) -> None:
        ran: list[str] = []
        await mesh.join(weather(ran))
        script = Script(called("Oslo"), called("Bergen"), Turn("clear"))
        await mesh.join(self.with_skills(script))

        with pytest.raises(FaultError) as raised:
            await mesh.motet.call("lab.ask", {"question": QUESTION}, budget=Budget(calls=1))

        assert raised.value.fault.type == FaultType.BUDGET_EXCEEDED
        assert (ran, len(script.asked)) == (["Oslo"], 2)

    async def test_a_skill_that_asks_a_person_waits_and_goes_on(self, mesh: TestMesh) -> None:
        ran: list[str] = []
        await mesh.join(weather(ran))
        asked = called("Oslo", "weather__asked")
        await mesh.join(self.with_skills(Script(asked, asked, Turn("rain"))))
        await mesh.join(conductor())

        task = await mesh.motet.submit(QUESTION)
        async for _, event in task.events():
            if event.kind == "asked":
                break
        (question,) = await task.approvals()
        assert ran == []
        await mesh.motet.reply(Reply(task=task.id, question=question.id, decision="approve"))
        record = await task.result(40)

        assert record.answer is not None, record.fault
        assert (record.answer.text, ran) == ("rain", ["Oslo"])

    async def test_skills_that_nobody_has_are_a_clear_error(self, mesh: TestMesh) -> None:
        await mesh.join(weather([]))
        with pytest.raises(
            MotetError, match=r"No living agent has weather.tomorrow; .*weather.now"
        ):
            await self.tools(mesh.motet, skills=["weather.tomorrow"])

    async def test_outside_of_a_call_skills_are_called_through_the_client(
        self, mesh: TestMesh
    ) -> None:
        ran: list[str] = []
        await mesh.join(weather(ran))

        tools = await self.tools(mesh.motet, timeout_s=20)

        assert set(tools) == {"weather__asked", "weather__now"}
        assert "clear over Oslo" in await self.use(tools["weather__now"], {"city": "Oslo"})
        assert "no such city" in await self.use(tools["weather__now"], {"city": "Atlantis"})
        assert ran == ["Oslo", "Atlantis"]


async def still(room: str) -> str:
    return "21"


def chats(mesh: TestMesh) -> list[SpanRecord]:
    return [span for span in mesh.spans() if span.name.startswith("chat ")]


def task_of(mesh: TestMesh) -> str:
    (task,) = {
        str(span.attributes[names.TASK]) for span in mesh.spans() if names.TASK in span.attributes
    }
    return task


async def span_of(mesh: TestMesh, name: str) -> SpanRecord:
    await mesh.trace(task_of(mesh))
    (span,) = [span for span in mesh.spans() if span.name == name]
    return span
