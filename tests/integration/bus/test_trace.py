"""One task is one trace, asserted parent by parent."""

from __future__ import annotations

import asyncio
import itertools

from motet.agent import Agent, Call
from motet.errors import FaultError
from motet.messages import Answer, PlanMade, PlannedStep, Task
from motet.telemetry import names
from motet.testing import Flaky, ScriptedModel, TestMesh, assert_tree, with_fault
from tests.integration.bus.agents import Done, Order, echo, planner, worker

TIRED = FaultError.of("tired", "Tired.", retryable=True)


async def run(mesh: TestMesh, goal: str = "go") -> str:
    task = await mesh.motet.submit(goal)
    record = await task.result(20)
    assert record.state == "succeeded", record.fault
    return task.id


async def test_parallel_steps_are_children_of_who_delegates_them(mesh: TestMesh) -> None:
    async def pass_on(request: Order, call: Call) -> Done:
        return await call.delegate("worker.work", request, Done, step="below")

    async def plan(task: Task, call: Call) -> Answer:
        async with asyncio.TaskGroup() as group:
            for step in ("a", "b"):
                group.create_task(call.delegate("boss.work", {"text": step}, step=step))
        await call.delegate("worker.work", {"text": "c"}, step="c")
        return Answer(text="")

    await mesh.join(worker(echo))
    await mesh.join(worker(pass_on, "boss"))
    await mesh.join(planner(plan))

    assert_tree(
        await mesh.trace(await run(mesh)),
        """
        send motet.task.submit
          process motet.task.submit [attempt=1 link=none]
            invoke_agent planner
              * send motet.call.boss.work [step=a agent=boss skill=work]
                process motet.call.boss.work [agent=boss skill=work attempt=1]
                  invoke_agent boss [skill=work]
                    send motet.call.worker.work [step=below]
                      process motet.call.worker.work
                        invoke_agent worker
              * send motet.call.boss.work [step=b]
                process motet.call.boss.work
                  invoke_agent boss
                    send motet.call.worker.work [step=below]
                      process motet.call.worker.work
                        invoke_agent worker
              send motet.call.worker.work [step=c]
                process motet.call.worker.work
                  invoke_agent worker
        """,
    )


async def test_a_retried_step_has_an_attempt_each_linked_to_the_one_before(
    mesh: TestMesh,
) -> None:
    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("worker.work", {}, step="one")
        return Answer(text="")

    await mesh.join(with_fault(worker(echo), "work", Flaky(TIRED, RuntimeError("no"))))
    await mesh.join(planner(plan))

    tree = await mesh.trace(await run(mesh))

    assert_tree(
        tree,
        """
        send motet.task.submit
          process motet.task.submit
            invoke_agent planner
              send motet.call.worker.work
                process motet.call.worker.work [attempt=1 error=tired link=none]
                  invoke_agent worker [error=tired]
                process motet.call.worker.work [attempt=2 error=internal link=retry]
                  invoke_agent worker [error=internal]
                process motet.call.worker.work [attempt=3 error=none link=retry]
                  invoke_agent worker [error=none]
        """,
    )
    attempts = tree.find("process motet.call.worker.work")
    for earlier, later in itertools.pairwise(attempts):
        (link,) = later.span.links
        assert (link.trace_id, link.span_id) == (earlier.span.trace_id, earlier.span.span_id)


async def test_a_task_that_is_tried_again_is_one_tree(mesh: TestMesh) -> None:
    """The step's outcome stands, so the second attempt only asks for it."""

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("worker.work", {}, step="one")
        if call.attempt == 1:
            raise RuntimeError("the planner trips")
        return Answer(text="")

    await mesh.join(worker(echo))
    await mesh.join(planner(plan))

    assert_tree(
        await mesh.trace(await run(mesh)),
        """
        send motet.task.submit
          process motet.task.submit [attempt=1 link=none error=internal]
            invoke_agent planner [error=RuntimeError]
              send motet.call.worker.work
                process motet.call.worker.work
                  invoke_agent worker
          process motet.task.submit [attempt=2 link=retry error=none]
            invoke_agent planner
              send motet.call.worker.work
        """,
    )


async def test_a_plan_that_is_made_anew_is_one_tree(mesh: TestMesh) -> None:
    """A planner in a nutshell: asks a model for steps, and again when one failed."""
    model = ScriptedModel({"plan": [{"steps": ["broken"]}, {"steps": ["worker"]}]})

    async def plan(task: Task, call: Call) -> Answer:
        done: list[str] = []
        for revision in (1, 2):
            made = await model.structured(
                [("user", task.goal)], {"type": "object"}, name="plan", max_tokens=20
            )
            steps = [PlannedStep(id=s, skill=f"{s}.work", purpose="") for s in made["steps"]]
            await call.publish(PlanMade(task=call.task, revision=revision, steps=tuple(steps)))
            try:
                for step in steps:
                    done.append(step.id)
                    await call.delegate(step.skill, {}, step=f"{revision}.{step.id}")
            except FaultError:
                continue
            return Answer(text=" ".join(done))
        raise AssertionError

    await mesh.join(worker(echo))
    broken = Flaky(FaultError.of("broken", "It is broken."))
    await mesh.join(with_fault(worker(echo, "broken"), "work", broken))
    await mesh.join(planner(plan))

    assert_tree(
        await mesh.trace(await run(mesh)),
        """
        send motet.task.submit
          process motet.task.submit [error=none]
            invoke_agent planner [error=none]
              chat scripted
              send motet.call.broken.work [step=1.broken]
                process motet.call.broken.work [error=broken]
                  invoke_agent broken [error=broken]
              chat scripted
              send motet.call.worker.work [step=2.worker]
                process motet.call.worker.work
                  invoke_agent worker
        """,
    )


async def test_a_call_outside_of_a_task_is_a_tree_of_its_own(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))
    await mesh.motet.call("worker.work", {})

    (task,) = {str(span.attributes[names.TASK]) for span in mesh.spans()}
    assert task.startswith("direct-")
    assert_tree(
        await mesh.trace(task),
        """
        send motet.call.worker.work
          process motet.call.worker.work
            invoke_agent worker
        """,
    )


async def test_what_a_handler_does_beside_delegating_is_below_it(mesh: TestMesh) -> None:
    agent = Agent("thinker", "Thinks.")
    model = ScriptedModel({"text": "hm"})

    @agent.skill("think", "Thinks.")
    async def think(request: Order, call: Call) -> str:
        return await model.text([("user", "think")], max_tokens=5)

    await mesh.join(agent)
    await mesh.motet.call("thinker.think", {}, str)

    (task,) = {str(span.attributes[names.TASK]) for span in mesh.spans() if span.parent_id is None}
    assert_tree(
        await mesh.trace(task),
        """
        send motet.call.thinker.think
          process motet.call.thinker.think
            invoke_agent thinker
              chat scripted [gen_ai.usage.output_tokens=0]
        """,
    )


async def test_unsampled_traces_are_carried_on_and_not_recorded(mesh: TestMesh) -> None:
    await mesh.join(worker(echo))

    async def plan(task: Task, call: Call) -> Answer:
        await call.delegate("worker.work", {}, step="one")
        return Answer(text="")

    await mesh.join(planner(plan))
    unsampled = f"00-{'a' * 32}-{'b' * 16}-00"
    await mesh.bus.store(
        mesh.bus.topology.task_submit, b'{"goal": "go", "id": "t"}', {"traceparent": unsampled}
    )
    record = await mesh.motet.task("t").result(10)

    assert record.state == "succeeded"
    assert record.traceparent == unsampled
    assert [span for span in mesh.spans() if span.attributes.get(names.TASK) == "t"] == []
