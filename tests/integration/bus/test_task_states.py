"""A task's states against a model: the first terminal one stands, and is told once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from motet.bus import Events, TaskBook
from motet.errors import FaultError
from motet.messages import Evaluation, FaultType, Task, TaskRecord, TaskState
from tests.integration.bus.stateful import MeshMachine, check

TASKS = st.sampled_from(["a", "b"])
STATES = st.sampled_from(list(TaskState))


class TaskMachine(MeshMachine):
    """Writers that know nothing of each other; the model is a dictionary of records."""

    def __init__(self) -> None:
        super().__init__()
        self.book = TaskBook(self.mesh.bus)
        self.events = Events(self.mesh.bus)
        self.records: dict[str, TaskRecord] = {}
        self.told: defaultdict[str, set[tuple[TaskState, int]]] = defaultdict(set)

    def id(self, task: str) -> str:
        return f"{task}-{self.run}"

    @rule(task=TASKS, sequence=st.integers(1, 3))
    def submit(self, task: str, sequence: int) -> None:
        record = TaskRecord(
            id=self.id(task), task=Task(goal="x"), state=TaskState.SUBMITTED, sequence=sequence
        )
        standing = self.do(self.book.create(record))
        assert standing == self.records.setdefault(task, record)

    @rule(task=TASKS, states=st.lists(STATES, min_size=1, max_size=4), attempts=st.integers(1, 3))
    def change(self, task: str, states: list[TaskState], attempts: int) -> None:
        """Several at once: whoever is first, a terminal state among them is the last."""

        async def all_at_once() -> list[TaskRecord | BaseException]:
            changes = (
                self.book.change(self.id(task), state=state, attempts=attempts) for state in states
            )
            return await asyncio.gather(*changes, return_exceptions=True)

        outcomes = self.do(all_at_once())
        if task not in self.records:
            for outcome in outcomes:
                assert isinstance(outcome, FaultError)
                assert outcome.fault.type == FaultType.NOT_FOUND
            return
        before = self.records[task]
        after = self.do(self.book.get(self.id(task)))
        assert after is not None
        assert after in outcomes
        if before.state.terminal:
            assert outcomes == [before] * len(states)
        elif any(state.terminal for state in states):
            assert after.state.terminal
            assert after.state in states
        else:
            assert after.state in states
        self.records[task] = after

    @rule(task=TASKS, judge=st.sampled_from(["one", "two"]))
    def evaluate(self, task: str, judge: str) -> None:
        before = self.records.get(task)
        evaluating = self.book.evaluate(self.id(task), Evaluation(judge=judge))
        if before is None or not before.state.terminal:
            with pytest.raises(FaultError) as raised:
                self.do(evaluating)
            expected = FaultType.NOT_FOUND if before is None else FaultType.INVALID_INPUT
            assert raised.value.fault.type == expected
            return
        after = self.do(evaluating)
        if before.evaluation is not None:
            assert after == before
        else:
            assert after == before.model_copy(update={"evaluation": Evaluation(judge=judge)})
        self.records[task] = after

    @rule(task=TASKS)
    def tell(self, task: str) -> None:
        """Whoever finds a record tells its state; a terminal one is told once in all."""
        record = self.records.get(task)
        if record is not None:
            self.do(self.events.publish_state(record))
            self.told[task].add((record.state, 0 if record.state.terminal else record.attempts))

    @invariant()
    def the_book_holds_what_the_model_holds(self) -> None:
        for task in ("a", "b"):
            assert self.do(self.book.get(self.id(task))) == self.records.get(task)

    def teardown(self) -> None:
        bus = self.mesh.bus
        for task, told in self.told.items():
            subject = bus.topology.event(self.id(task), "state")
            stream = bus.topology.stream("EVENTS")
            info = self.do(bus.js.stream_info(stream, subjects_filter=subject))
            assert (info.state.subjects or {})[subject] == len(told)


def test_the_first_terminal_state_stands_and_is_told_once(nats_url: str, tmp_path: Path) -> None:
    check(TaskMachine, nats_url, tmp_path)
