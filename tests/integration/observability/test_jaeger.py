"""A task's trace in a real Jaeger is the tree that tests assert in the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from motet.agent import Call
from motet.errors import FaultError
from motet.messages import Answer, Task
from motet.telemetry import names
from motet.testing import Flaky, ScriptedModel, TestMesh, assert_connected, assert_tree, with_fault
from tests.integration.bus.agents import Done, Order, planner, worker
from tests.integration.bus.questions import WHICH, asked, respond
from tests.integration.observability import backends
from tests.integration.observability.conftest import Traced

pytestmark = pytest.mark.timeout(120)

TREE = """
    send motet.task.submit
      process motet.task.submit [attempt=1 suspended=True]
        invoke_agent planner
          chat scripted [gen_ai.operation.name=chat]
          send motet.call.worker.work [step=flaky agent=worker skill=work]
            process motet.call.worker.work [attempt=1 error=tired link=none]
              invoke_agent worker [error=tired]
            process motet.call.worker.work [attempt=2 error=none link=retry]
              invoke_agent worker
          send motet.call.guide.work [step=asks]
            process motet.call.guide.work [suspended=True]
              invoke_agent guide
      process motet.task.resume [attempt=1 link=resume]
        invoke_agent planner
          chat scripted
          send motet.call.guide.work [step=asks]
            process motet.call.guide.work [link=resume]
              invoke_agent guide
"""
SPANS = TREE.count("\n") - 1


async def troubled(mesh: TestMesh) -> str:
    """A task that asks a model, has a step tried again, and waits for a person; its id."""
    model = ScriptedModel({"text": "hm"})

    async def plan(task: Task, call: Call) -> Answer:
        await model.text([("user", "what now?")], max_tokens=5)
        await call.delegate("worker.work", {}, step="flaky")
        await call.delegate("guide.work", {}, step="asks")
        return Answer(text="")

    async def work(request: Order, call: Call) -> Done:
        return Done(text="")

    async def guide(request: Order, call: Call) -> Done:
        return Done(text=str((await call.ask(WHICH)).value))

    tired = FaultError.of("tired", "Tired.", retryable=True)
    await mesh.join(with_fault(worker(work), "work", Flaky(tired)))
    await mesh.join(worker(guide, "guide"))
    await mesh.join(planner(plan))
    task = await mesh.motet.submit("go")
    (question,) = await asked(mesh, task.id)
    await mesh.motet.reply(respond(question))
    record = await task.result(20)
    assert record.state == "succeeded", record.fault
    return task.id


async def test_a_run_is_found_by_its_task_and_is_the_tree_that_it_is_here(
    traced: Traced, tmp_path: Path
) -> None:
    async with backends.jaeger(tmp_path / "jaeger") as jaeger, traced(jaeger.otlp) as mesh:
        task = await troubled(mesh)
        assert_tree(await mesh.trace(task), TREE)
        tree = await jaeger.task(task, SPANS)
        assert_tree(tree, TREE)
        assert await jaeger.search({names.TASK: "another"}) == []

        first, second = tree.find("process motet.call.worker.work")
        (link,) = second.span.links
        assert (link.trace_id, link.span_id) == (first.span.trace_id, first.span.span_id)
        assert first.span.status == "error"
        assert {node.span.service for node in tree.walk()} == {
            "motet-test",
            "motet-planner",
            "motet-worker",
            "motet-guide",
        }
        (sent,) = tree.find("send motet.task.submit")
        assert sent.span.kind == "producer"
        assert first.get(names.MESSAGING_SYSTEM) == names.MESSAGING_SYSTEM_NATS


async def test_traces_that_are_kept_on_disk_outlive_jaeger(traced: Traced, tmp_path: Path) -> None:
    async with (
        backends.jaeger(tmp_path / "jaeger", store="on_disk") as jaeger,
        traced(jaeger.otlp) as mesh,
    ):
        task = await troubled(mesh)
        await jaeger.task(task, SPANS)
    async with backends.jaeger(tmp_path / "jaeger", store="on_disk") as jaeger:
        assert_connected(await jaeger.task(task, SPANS))
