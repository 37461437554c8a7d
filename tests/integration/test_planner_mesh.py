"""The planner in a mesh: real NATS, a scripted model, a retriever of one passage."""

from __future__ import annotations

from pydantic import BaseModel

from motet.agent import Agent, Call
from motet.bus import Bucket
from motet.bus.topology import Header
from motet.messages import Passage, PlanMade, SearchRequest, SearchResult, Task, TaskState
from motet.testing import Asked, ScriptedModel, TestMesh
from motet_planner.app import agent as planner
from motet_planner.checkpoints import KEPT_S
from motet_planner.evidence import mark_of

TEXT = "The tower is 38 metres high. It was finished in 1902."
PASSAGE = Passage(
    id="p1", source="tower.md", title="The tower", text=TEXT, position=0, start=0, end=len(TEXT)
)
MARK = mark_of("p1")


def said(text: str) -> dict[str, object]:
    """An answer in the form of the strategy `plan`."""
    return {"answer": text, "quotes": [], "status": "answered", "open": []}


class City(BaseModel):
    city: str


class Sky(BaseModel):
    sky: str


def retriever() -> Agent:
    agent = Agent("retriever", "Finds passages.")

    @agent.skill("search", "Finds passages in documents.")
    async def search(_request: SearchRequest, _call: Call) -> SearchResult:
        return SearchResult(passages=(PASSAGE,))

    return agent


def weather() -> Agent:
    agent = Agent("weather", "Weather by city.")

    @agent.skill("now", "The sky over a city.")
    async def now(request: City, _call: Call) -> Sky:
        return Sky(sky=f"clear over {request.city}")

    return agent


def plan(skill: str, what: str) -> dict[str, object]:
    return {"steps": [{"skill": skill, "what": what, "needs": []}]}


async def test_a_task_is_planned_delegated_and_answered_with_citations(mesh: TestMesh) -> None:
    model = ScriptedModel(
        {
            "plan": plan("retriever.search", "height of the tower"),
            "answer": said(f"The tower is 38 metres high [{MARK}]."),
        }
    )
    await mesh.join(retriever())
    await mesh.join(planner, context={"model": model})

    task = await mesh.motet.submit(Task(goal="How high is the tower?", strategy="plan"))
    events = [event async for _, event in task.events()]
    record = await task.result(20)

    assert record.state == TaskState.SUCCEEDED
    assert record.answer is not None
    assert record.answer.text == "The tower is 38 metres high [1]."
    assert record.answer.citations[0].quote in TEXT
    assert record.usage.model_calls == len(model.asked)
    assert [event.steps[0].id for event in events if isinstance(event, PlanMade)] == ["s1"]


async def test_only_the_last_checkpoint_of_an_ended_task_is_kept(mesh: TestMesh) -> None:
    model = ScriptedModel({"plan": {"steps": []}, "answer": said("Good evening!")})
    await mesh.join(planner, context={"model": model})
    await mesh.join(retriever())

    task = await mesh.motet.submit(Task(goal="Good evening", strategy="plan"))
    await task.result(20)

    kept = await Bucket(mesh.bus, "checkpoints").items(task.id)
    assert [item.key.split(".")[-1] for item in kept] == ["state"]
    # Nor is there a mark for each of the others, which nobody would ever remove.
    stream = f"KV_{mesh.bus.topology.bucket('checkpoints')}"
    state = (await mesh.bus.js.stream_info(stream)).state
    assert state.messages == 1
    message = await mesh.bus.js.get_msg(stream, state.last_seq)
    assert (message.headers or {})[Header.TTL] == f"{KEPT_S}s"


async def test_of_a_task_that_failed_no_checkpoint_is_left(mesh: TestMesh) -> None:
    await mesh.join(planner, context={"model": ScriptedModel({})})

    record = await (await mesh.motet.submit("Good evening")).result(20)

    assert record.state == TaskState.FAILED
    stream = f"KV_{mesh.bus.topology.bucket('checkpoints')}"
    assert (await mesh.bus.js.stream_info(stream)).state.messages == 0


async def test_an_agent_that_joins_is_planned_with_and_one_that_left_is_not(
    mesh: TestMesh,
) -> None:
    offered: list[str] = []

    def chosen(asked: Asked) -> dict[str, object]:
        skills = asked.messages[0][1]
        offered.append(skills)
        return plan("weather.now", "sky over Lund") if "weather.now" in skills else {"steps": []}

    model = ScriptedModel(
        {
            "plan": chosen,
            "arguments": {"city": "Lund"},
            "answer": lambda asked: said(asked.last),
        }
    )
    await mesh.join(planner, context={"model": model})
    joined = await mesh.join(weather())
    first = await (await mesh.motet.submit(Task(goal="sky?", strategy="plan"))).result(20)
    await mesh.leave(joined)
    second = await (await mesh.motet.submit(Task(goal="sky?", strategy="plan"))).result(20)

    assert first.answer is not None
    assert "clear over Lund" in first.answer.text
    assert second.state == TaskState.SUCCEEDED
    assert "weather.now" in offered[0]
    assert "weather.now" not in "".join(offered[1:])
