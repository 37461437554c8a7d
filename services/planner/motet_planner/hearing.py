"""Hearing: the recordings of a task become a part of its goal before anything is planned.

A task may come with recordings as inputs: a question that was asked aloud, a call. Each is
transcribed by the skill of a living agent that takes `audio`, and the model rewrites the goal so
that it can be understood without them. The goal is kept as it was where that fails in form only; a
recording that nobody can transcribe fails the task, because an answer without it would be a guess.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import cast

from motet.errors import FaultError
from motet.media import is_recording
from motet.messages import BlobRef, FaultType
from motet_planner.catalogue import transcriber_of
from motet_planner.evidence import sentences
from motet_planner.run import Run

__all__ = ["spoken_goal"]

_SAID = 1500
"""Characters of a transcript that the goal is rewritten with: a minute and a half of speech."""
_QUESTION = re.compile(r"\bquestion\b", re.IGNORECASE)
_SHORT = 80
"""Characters of a goal that says no more than to answer a question."""
_GOAL = {
    "type": "object",
    "properties": {"goal": {"type": "string", "minLength": 1, "maxLength": 500}},
    "required": ["goal"],
    "additionalProperties": False,
}


async def spoken_goal(goal: str, inputs: Sequence[BlobRef], run: Run) -> str:
    """The goal with what its recordings say; the goal itself when it has none.

    Raises:
        FaultError: A recording cannot be heard, or nobody speaks in any.
    """
    recordings = [each for each in inputs if is_recording(each.media_type)]
    if not recordings:
        return goal
    heard = await asyncio.gather(*(_heard(n, each, run) for n, each in enumerate(recordings, 1)))
    said = " ".join(text for text in heard if text)
    if not said:
        raise FaultError.of(FaultType.INVALID_INPUT, "Nobody speaks in the task's recording.")
    if (question := _only_question(goal, said)) is not None:
        return question
    reply = await run.ask("goal", _GOAL, max_tokens=120, goal=goal, said=said[:_SAID])
    return cast("str", reply["goal"])


def _only_question(goal: str, said: str) -> str | None:
    """The one question that was asked, where the goal is to answer it; None for all else."""
    questions = [each for each in sentences(said) if each.endswith("?")]
    if len(questions) != 1 or _QUESTION.search(goal) is None or len(goal) > _SHORT:
        return None
    return questions[0]


async def _heard(number: int, recording: BlobRef, run: Run) -> str:
    skill = transcriber_of(run.call.cards())
    if skill is None:
        raise FaultError.of(
            FaultType.UNAVAILABLE,
            "The task has a recording, and no agent that transcribes is running.",
            retryable=True,
        )
    request = {"audio": recording.model_dump(mode="json", exclude_none=True)}
    output = await run.call.delegate(skill, request, step=f"hear{number}")
    return " ".join(str(output.get("text", "")).split())
