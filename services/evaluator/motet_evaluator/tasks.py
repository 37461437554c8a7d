"""Finished tasks as something to evaluate: what was asked, what was answered, and on what ground.

The ground is in the ledger: every outcome of the task's calls that holds passages was evidence, in
the order in which it came. What tools gave is in the answer's own data.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import ValidationError

from motet.agent import Call
from motet.errors import FaultError
from motet.messages import (
    Answer,
    CallResult,
    Citation,
    EvaluateRequest,
    Evidence,
    FaultType,
    ScoreTaskRequest,
    TaskRecord,
    TaskState,
)

__all__ = ["ended_task", "request_for", "task_outcomes"]

log = logging.getLogger(__name__)

_MOST_PASSAGES = 200
_MOST_COMPUTED = 100
_TEXT = 20_000
_COMPUTED = "tool_executor."
"""Whose results are facts, not readings of a model."""


async def task_outcomes(call: Call, task: str) -> list[CallResult]:
    """The outcomes of a task's calls, in the order in which they came."""
    found: list[CallResult] = []
    for item in await call.bucket("results").items(task):
        if json.loads(item.value).get("kind") != "result":
            continue
        try:
            result = CallResult.model_validate_json(item.value)
        except ValidationError:
            continue
        if result.ok and result.blob is not None:
            try:
                output = json.loads(await call.blobs.get(result.blob))
            except FaultError as error:
                log.warning("the outcome of call %s is gone: %s", result.call, error)
                continue
            result = result.model_copy(update={"output": output})
        found.append(result)
    return sorted(found, key=lambda result: result.finished_at)


async def ended_task(call: Call, task: str) -> TaskRecord:
    """The record of a task that has ended.

    Raises:
        FaultError: `not_found`, `invalid_input` when it has not ended.
    """
    item = await call.bucket("tasks").get(task)
    if item is None:
        raise FaultError.of(FaultType.NOT_FOUND, f"There is no task {task!r}.")
    record = TaskRecord.model_validate_json(item.value)
    if not record.state.terminal:
        raise FaultError.of(
            FaultType.INVALID_INPUT, f"Task {task!r} has not ended: {record.state}."
        )
    return record


def request_for(
    record: TaskRecord, outcomes: Iterable[CallResult], wanted: ScoreTaskRequest | None = None
) -> EvaluateRequest | None:
    """What to evaluate of a finished task; None when its submission could not be read.

    Args:
        record: The task.
        outcomes: Of its calls.
        wanted: What is known beside it, such as a right answer.
    """
    if record.task is None:
        return None
    answer = record.answer if record.state == TaskState.SUCCEEDED else None
    retrieved = _passages(outcomes)
    return EvaluateRequest(
        question=_question(record.task.goal, record.answer),
        answer=None if answer is None else answer.text,
        answered=answer is not None and answer.answered,
        evidence=_evidence(retrieved, answer.citations if answer else ()),
        computed=() if answer is None else _computed(answer),
        retrieved=_ranking(retrieved, wanted.relevant if wanted else {}),
        reference=wanted.reference if wanted else None,
        relevant=wanted.relevant if wanted else {},
        metrics=wanted.metrics if wanted else (),
        judge=wanted.judge if wanted else None,
        usage=record.usage,
        latency_s=max(0.0, (record.updated_at - record.accepted_at).total_seconds()),
    )


def _question(goal: str, answer: Answer | None) -> str:
    """What was asked: with what its recordings say, where the planner tells."""
    heard = answer.data.get("goal") if answer is not None else None
    return heard if isinstance(heard, str) and heard.strip() else goal


def _ranking(retrieved: Mapping[str, Evidence], relevant: Mapping[str, float]) -> tuple[str, ...]:
    """What was retrieved, named as the relevant is: by passages, or by documents."""
    sources = {each.source for each in retrieved.values() if each.source}
    if sources & relevant.keys() and not retrieved.keys() & relevant.keys():
        return tuple(dict.fromkeys(each.source or each.id for each in retrieved.values()))
    return tuple(retrieved)


def _passages(outcomes: Iterable[CallResult]) -> dict[str, Evidence]:
    """What was retrieved, by id, in order."""
    found: dict[str, Evidence] = {}
    for result in outcomes:
        output: Any = result.output
        passages = output.get("passages") if result.ok and isinstance(output, dict) else None
        for passage in cast("list[Any]", passages) if isinstance(passages, list) else ():
            if not isinstance(passage, dict):
                continue
            evidence = _passage(cast("Mapping[str, Any]", passage))
            if evidence is not None and len(found) < _MOST_PASSAGES:
                found.setdefault(evidence.id, evidence)
    return found


def _passage(passage: Mapping[str, Any]) -> Evidence | None:
    text, name = passage.get("text"), passage.get("id")
    if not isinstance(text, str) or not isinstance(name, str):
        return None
    return Evidence(
        id=name[:1024],
        text=text[:_TEXT],
        title=str(passage.get("title") or "")[:1024],
        source=str(passage.get("source") or "")[:1024],
    )


def _evidence(
    retrieved: Mapping[str, Evidence], citations: Iterable[Citation]
) -> tuple[Evidence, ...]:
    """What was retrieved, with the numbers of what is cited; what only a citation shows, last."""
    found = dict(retrieved)
    for citation in citations:
        known = found.get(citation.passage_id)
        if known is None or known.number is not None:
            known = Evidence(
                id=citation.passage_id[:1024],
                text=citation.quote[:_TEXT],
                title=citation.title[:1024],
                source=citation.source[:1024],
            )
            key = f"{citation.number} {citation.passage_id}"
        else:
            key = citation.passage_id
        found[key] = known.model_copy(update={"number": citation.number})
    return tuple(found.values())


def _computed(answer: Answer) -> tuple[str, ...]:
    """What tools gave, as statements."""
    steps = answer.data.get("steps")
    if not isinstance(steps, dict):
        return ()
    said: list[str] = []
    for step in cast("dict[str, Any]", steps).values():
        if isinstance(step, dict) and str(step.get("skill", "")).startswith(_COMPUTED):
            each = cast("dict[str, Any]", step)
            said.append(f"{each.get('what', '')}: {each.get('answer', '')}"[:_TEXT])
    return tuple(said[:_MOST_COMPUTED])
