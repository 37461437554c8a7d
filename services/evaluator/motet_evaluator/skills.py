"""What the evaluator does: evaluates on request, and scores each task that has ended."""

from __future__ import annotations

from typing import Annotated

from faststream import Context

from motet.agent import Agent, Call
from motet.errors import FaultError
from motet.messages import (
    EvaluateRequest,
    Evaluation,
    FaultType,
    ScoreTaskRequest,
    TaskRecord,
)
from motet_evaluator.evaluate import Evaluator
from motet_evaluator.settings import EvaluatorSettings
from motet_evaluator.tasks import ended_task, request_for, task_outcomes

__all__ = ["declare"]

_AT_ONCE = 4
"""Answers that one process works on at once; the work is on one core."""


def declare(agent: Agent) -> None:
    """Declares the skills on `agent`; its lifespan opens what they need."""

    @agent.skill(
        "evaluate",
        "Scores an answer against its question, its evidence and, if given, a right answer.",
        plannable=False,
        concurrency=_AT_ONCE,
    )
    async def evaluate(
        request: EvaluateRequest, call: Call, evaluator: Annotated[Evaluator, Context()]
    ) -> Evaluation:
        evaluation = await evaluator.evaluate(request)
        return evaluation.model_copy(update={"usage": call.usage})

    @agent.skill(
        "score_task",
        "Scores a task that has ended against a right answer, or what is relevant to it.",
        plannable=False,
        concurrency=_AT_ONCE,
    )
    async def score_task(
        request: ScoreTaskRequest, call: Call, evaluator: Annotated[Evaluator, Context()]
    ) -> Evaluation:
        record = await ended_task(call, request.task)
        outcomes = await task_outcomes(call, request.task)
        wanted = request_for(record, outcomes, request)
        if wanted is None:
            raise FaultError.of(
                FaultType.INVALID_INPUT, f"The submission of {request.task!r} could not be read."
            )
        evaluation = await evaluator.evaluate(wanted)
        return evaluation.model_copy(update={"usage": call.usage})

    @agent.on_finished(concurrency=_AT_ONCE)
    async def score_finished(
        record: TaskRecord,
        call: Call,
        evaluator: Annotated[Evaluator, Context()],
        evaluator_settings: Annotated[EvaluatorSettings, Context()],
    ) -> None:
        if not evaluator_settings.score_tasks:
            return
        evaluation = record.evaluation
        if evaluation is None:
            request = request_for(record, await task_outcomes(call, record.id))
            if request is None:
                return
            evaluation = await evaluator.evaluate(request)
            evaluation = evaluation.model_copy(update={"usage": call.usage})
        # Again where it was stored before: the event may not have been.
        await call.evaluate(evaluation)
