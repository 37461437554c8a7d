"""A task's events as a mesh published them, for tests of what is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from motet.messages import (
    Answer,
    CallFinished,
    CallRetried,
    CallStarted,
    Citation,
    Event,
    Fault,
    PlanMade,
    PlannedStep,
    Progress,
    StateChanged,
    TaskRecord,
    TaskState,
    Usage,
)

BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
USAGE = Usage(input_tokens=2100, output_tokens=240, calls=3, model_calls=5)


def at(passed_s: float) -> datetime:
    return BEGAN + timedelta(seconds=passed_s)


ANSWER = Answer(
    text="Instrument spending grew by 27.6 % between 2023 and 2024 [1] [2].",
    citations=(
        Citation(
            number=1,
            passage_id="p1",
            source="annual-report-2023.md",
            title="Annual report 2023",
            quote="In 2023 the observatory spent\n1,450,000 euro on instruments. " + "More. " * 80,
            start=1220,
            end=1480,
        ),
        Citation(
            number=2,
            passage_id="p2",
            source="annual-report-2024.md",
            title="Annual report 2024",
            quote="In 2024 it spent 1,850,000 euro.",
            supported=False,
        ),
    ),
)

RECORD = TaskRecord(
    id="t1",
    task=None,
    state=TaskState.SUCCEEDED,
    answer=ANSWER,
    usage=USAGE,
    accepted_at=at(0),
    updated_at=at(12.3),
)

EVENTS: tuple[Event, ...] = (
    StateChanged(task="t1", at=at(0), state=TaskState.SUBMITTED),
    StateChanged(task="t1", at=at(0.1), state=TaskState.PLANNING),
    PlanMade(
        task="t1",
        at=at(2.3),
        steps=(
            PlannedStep(
                id="s1",
                skill="retriever.search",
                purpose="Find what the observatory spent on instruments in 2023",
            ),
            PlannedStep(id="s2", skill="retriever.search", purpose="The same for 2024"),
            PlannedStep(
                id="s3",
                skill="tool_executor.calculate",
                purpose="Growth in per cent",
                needs=("s1", "s2"),
            ),
        ),
    ),
    StateChanged(task="t1", at=at(2.31), state=TaskState.RUNNING),
    CallStarted(
        task="t1", at=at(2.4), call="a", caller="planner", skill="retriever.search", step="s1"
    ),
    CallStarted(
        task="t1", at=at(2.4), call="b", caller="planner", skill="retriever.search", step="s2"
    ),
    CallFinished(
        task="t1",
        at=at(2.5),
        call="a",
        skill="retriever.search",
        ok=True,
        duration_s=0.08,
        usage=Usage(input_tokens=30),
    ),
    CallRetried(
        task="t1",
        at=at(2.5),
        call="b",
        skill="retriever.search",
        attempt=1,
        delay_s=0.5,
        fault=Fault(type="unavailable", message="The store does not answer."),
    ),
    CallStarted(
        task="t1",
        at=at(2.6),
        call="c",
        parent="b",
        caller="retriever",
        skill="tool_executor.calculate",
        step="x",
    ),
    Progress(
        task="t1", at=at(2.7), call="c", skill="tool_executor.calculate", message="halfway there"
    ),
    CallFinished(
        task="t1",
        at=at(2.8),
        call="c",
        skill="tool_executor.calculate",
        ok=False,
        duration_s=0.2,
        fault=Fault(
            type="invalid_input",
            message="The expression divides by zero.",
            cause=Fault(type="internal", message="boom"),
        ),
    ),
    PlanMade(
        task="t1",
        at=at(2.9),
        revision=2,
        reason="step s3 failed",
        steps=(PlannedStep(id="s4", skill="retriever.search", purpose="Look elsewhere"),),
    ),
    StateChanged(task="t1", at=at(5), state=TaskState.EVALUATING),
    StateChanged(task="t1", at=at(125.3), state=TaskState.SUCCEEDED, answer=ANSWER, usage=USAGE),
)
