"""The audit sees what is wrong: each finding, made by hand, is counted under its own name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from opentelemetry.context import Context

from benchmarks.chaos.audit import Audit, keep_revisions
from benchmarks.chaos.plan import REPLY, SHAPES, TaskPlan
from motet.bus import TASK_CALL, Bucket, Events, Ledger, TaskBook
from motet.messages import (
    Answer,
    ApprovalRecord,
    CallResult,
    Fault,
    Question,
    Reply,
    Task,
    TaskRecord,
    TaskState,
)
from motet.settings import Settings
from motet.telemetry import Telemetry, extract, inject, setup
from motet.testing import TestMesh


class World:
    """Tasks as a run leaves them."""

    def __init__(self, mesh: TestMesh, telemetry: Telemetry, folder: Path) -> None:
        self.mesh = mesh
        self.telemetry = telemetry
        self.folder = folder
        self.effects = folder / "effects.jsonl"
        self.book = TaskBook(mesh.bus)
        self.ledger = Ledger(mesh.bus)
        self.events = Events(mesh.bus)
        self.tasks: list[TaskPlan] = []

    def plan(self, shape: str, calls: int | None = None) -> TaskPlan:
        task = TaskPlan(f"t{len(self.tasks)}", shape, calls=calls)
        self.tasks.append(task)
        return task

    async def take_up(self, task: TaskPlan) -> None:
        with self.telemetry.tracer.span("root", context=Context()):
            carried: dict[str, str] = {}
            inject(carried)
        await self.book.create(
            TaskRecord(
                id=task.id,
                task=Task(goal="x"),
                state=TaskState.RUNNING,
                traceparent=carried["traceparent"],
            )
        )

    async def end(self, task: TaskPlan, state: TaskState) -> None:
        ok = state == TaskState.SUCCEEDED
        fault = None if ok else Fault(type="refused", message="No.")
        answer = Answer(text="done") if ok else None
        record = await self.book.change(task.id, state=state, answer=answer, fault=fault)
        await self.events.publish_state(record)
        await self.ledger.settle(task.id, TASK_CALL, outcome(task.id, TASK_CALL), 0)

    def act(self, task: TaskPlan, *names: str) -> None:
        with self.effects.open("a") as file:
            for name in names:
                file.write(json.dumps({"key": "k", "task": task.id, "name": name}) + "\n")

    async def ask(self, task: TaskPlan, *said: str) -> None:
        """A question of a task, and each reply that it ever had."""
        bucket = Bucket(self.mesh.bus, "approvals")
        record = ApprovalRecord(
            id="q",
            task=task.id,
            call="task",
            skill="a.s",
            question=Question(kind="answer", prompt="What?"),
        )
        await bucket.put(record.key, record.model_dump_json().encode())
        for value in said:
            reply = Reply(task=task.id, question="q", decision="respond", value=value)
            replied = record.model_copy(update={"reply": reply})
            await bucket.put(record.key, replied.model_dump_json().encode())

    async def done(self, shape: str) -> TaskPlan:
        """A task of which nothing is wrong."""
        task = self.plan(shape)
        await self.take_up(task)
        self.act(task, *SHAPES[shape].effects)
        if SHAPES[shape].asks:
            await self.ask(task, REPLY)
            self.act(task, REPLY)
        (state,) = SHAPES[shape].ends
        await self.end(task, state)
        return task

    async def trace_of(self, task: TaskPlan) -> str:
        record = await self.book.get(task.id)
        assert record is not None
        assert record.traceparent is not None
        return record.traceparent.split("-")[1]

    async def audit(self) -> dict[str, int]:
        """What was found, without what is zero."""
        assert self.telemetry.flush()
        spans = self.folder / "spans"
        audit = await Audit.of(self.mesh.bus, self.tasks, self.effects, spans)
        figures = audit.figures(len(self.tasks), {})
        return {key: figures[key] for key in list(figures)[1:-1] if figures[key]}


def outcome(task: str, call: str) -> bytes:
    result = CallResult(task=task, call=call, agent="a", skill="s", ok=True)
    return result.model_dump_json().encode()


@pytest.fixture
async def world(mesh: TestMesh, tmp_path: Path) -> AsyncIterator[World]:
    await keep_revisions(mesh.bus)
    settings = Settings(data_dir=tmp_path, spans_dir=tmp_path / "spans")
    telemetry = setup("audited", settings)
    yield World(mesh, telemetry, tmp_path)
    await telemetry.shutdown()


async def test_nothing_wrong(world: World) -> None:
    for shape in SHAPES:
        await world.done(shape)
    succeeding = [shape for shape in SHAPES.values() if TaskState.SUCCEEDED in shape.ends]
    others = len(SHAPES) - len(succeeding)
    assert others > 5
    assert await world.audit() == {"succeeded": len(succeeding), "failed_as_expected": others}


async def test_lost(world: World) -> None:
    world.plan("parallel")
    without_effect = world.plan("retried")
    await world.take_up(without_effect)
    await world.end(without_effect, TaskState.SUCCEEDED)
    otherwise = world.plan("parallel")
    await world.take_up(otherwise)
    await world.end(otherwise, TaskState.FAILED)
    untold = world.plan("refused")
    await world.take_up(untold)
    await world.book.change(untold.id, state=TaskState.FAILED)
    assert await world.audit() == {"lost": 4, "broken_traces": 1}


async def test_another_number_of_calls_than_the_budget_has(world: World) -> None:
    for effects in (1, 2, 3):
        task = world.plan("runaway", calls=2)
        await world.take_up(task)
        world.act(task, *"abc"[:effects])
        await world.end(task, TaskState.FAILED)
    branches = world.plan("runaway_branches", calls=1)
    await world.take_up(branches)
    for call in "ab":
        await world.ledger.settle(branches.id, call, outcome(branches.id, call), 0)
    await world.end(branches, TaskState.FAILED)
    assert await world.audit() == {"failed_as_expected": 1, "lost": 3}


async def test_replies(world: World) -> None:
    unheard = world.plan("unanswered")
    await world.ask(unheard)
    other = world.plan("unanswered")
    await world.ask(other, f"{REPLY}yes")
    world.act(other, f"{REPLY}no")
    undone = world.plan("unanswered")
    await world.ask(undone, f"{REPLY}yes")
    for task in (unheard, other, undone):
        await world.take_up(task)
        await world.end(task, TaskState.SUCCEEDED)
    forbidden = await world.done("rejected")
    world.act(forbidden, f"{REPLY}a")
    assert await world.audit() == {"lost": 4}


async def test_two_replies(world: World) -> None:
    task = await world.done("unanswered")
    await world.ask(task, f"{REPLY}other")
    assert await world.audit() == {"succeeded": 1, "duplicated_outcomes": 1}


async def test_a_task_that_still_waits(world: World) -> None:
    task = world.plan("asked")
    await world.take_up(task)
    await world.book.change(task.id, state=TaskState.WAITING)
    assert await world.audit() == {"stuck": 1}


async def test_stuck(world: World) -> None:
    await world.take_up(world.plan("parallel"))
    await world.mesh.bus.store(world.mesh.bus.topology.call("a", "b"), b"{}")
    assert await world.audit() == {"stuck": 2}


async def test_duplicated_outcomes(world: World) -> None:
    task = await world.done("parallel")
    results = Bucket(world.mesh.bus, "results")
    await results.put(f"{task.id}.c", outcome(task.id, "c"))
    await results.put(f"{task.id}.c", outcome(task.id, "c"))
    record = await world.book.get(task.id)
    assert record is not None
    changed = record.model_copy(update={"state": TaskState.FAILED})
    await Bucket(world.mesh.bus, "tasks").put(task.id, changed.model_dump_json().encode())
    await world.events.publish_state(changed)
    assert await world.audit() == {"succeeded": 1, "duplicated_outcomes": 3}


async def test_duplicated_effects(world: World) -> None:
    world.act(await world.done("parallel"), "a")
    assert await world.audit() == {"succeeded": 1, "duplicated_effects": 1}


async def test_broken_traces(world: World) -> None:
    tracer = world.telemetry.tracer
    one, other = [await world.done("refused"), await world.done("refused")]
    trace = await world.trace_of(one)
    tracer.start_span("second root", Context(), trace_id=int(trace, 16)).end()
    trace = await world.trace_of(other)
    unknown = extract({"traceparent": f"00-{trace}-{'1' * 16}-01"})
    tracer.start_span("orphan", unknown).end()
    assert await world.audit() == {"failed_as_expected": 2, "broken_traces": 2}
