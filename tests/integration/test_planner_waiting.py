"""The real planner waits for a person, and goes on from its checkpoint."""

from __future__ import annotations

from motet.agent import Agent, Call
from motet.messages import Message, PlanMade, Reply, StateChanged, Task, TaskState
from motet.testing import Asked, ScriptedModel, TestMesh
from motet_planner.app import agent as planner


class City(Message):
    city: str


class Sky(Message):
    sky: str


def weather(ran: list[str]) -> Agent:
    agent = Agent("weather", "Weather by city.")

    @agent.skill("now", "The sky over a city.", approval="May the station be asked?")
    async def now(request: City, _call: Call) -> Sky:
        ran.append(request.city)
        return Sky(sky=f"clear over {request.city}")

    @agent.skill("soon", "The sky over a city tomorrow.")
    async def soon(request: City, _call: Call) -> Sky:
        ran.append("tomorrow")
        return Sky(sky=f"rain over {request.city}")

    return agent


def model() -> ScriptedModel:
    def answer(asked: Asked) -> dict[str, object]:
        return {"answer": asked.last, "quotes": [], "status": "answered", "open": []}

    steps = [
        {"skill": "weather.now", "what": "sky over Lund", "needs": []},
        {"skill": "weather.soon", "what": "sky over Lund tomorrow", "needs": []},
    ]
    return ScriptedModel(
        {"plan": {"steps": steps}, "arguments": {"city": "Lund"}, "answer": answer}
    )


async def test_the_plan_goes_on_from_its_checkpoint_on_another_replica(mesh: TestMesh) -> None:
    ran: list[str] = []
    first, second = model(), model()
    await mesh.join(weather(ran))
    replica = await mesh.join(planner, context={"model": first})
    task = await mesh.motet.submit(Task(goal="How is the sky over Lund?", strategy="plan"))
    async for _, event in task.events():
        if isinstance(event, StateChanged) and event.state == TaskState.WAITING:
            break
    (record,) = await task.approvals()
    await mesh.leave(replica, grace_s=0)
    await mesh.drained("TASKS")
    await mesh.drained("CALLS")
    await mesh.join(planner, context={"model": second})

    reply = {"task": task.id, "question": record.id, "decision": "edit", "value": {"city": "Malmö"}}
    await mesh.motet.reply(Reply.model_validate(reply))
    ended = await task.result(30)

    assert ended.state == TaskState.SUCCEEDED, ended.fault
    assert ended.answer is not None
    assert "clear over Malmö" in ended.answer.text
    assert sorted(ran) == ["Malmö", "tomorrow"]
    assert ended.usage.calls == 2
    events = [event async for _, event in task.events()]
    assert len([event for event in events if isinstance(event, PlanMade)]) == 1
    assert first.asked[0].name == "plan"
    assert "plan" not in [each.name for each in second.asked]


async def test_a_no_is_a_failed_step_that_the_plan_can_do_without(mesh: TestMesh) -> None:
    ran: list[str] = []
    await mesh.join(weather(ran))
    await mesh.join(planner, context={"model": model()})
    task = await mesh.motet.submit(Task(goal="How is the sky over Lund?", strategy="plan"))
    async for _, event in task.events():
        if isinstance(event, StateChanged) and event.state == TaskState.WAITING:
            break
    (record,) = await task.approvals()
    await mesh.motet.reply(
        Reply(task=task.id, question=record.id, decision="reject", by="ada", reason="too dear")
    )
    ended = await task.result(30)

    assert ended.state.terminal
    assert "Lund" not in ran
