"""Answers in the form of a JSON Schema that the submitter gave.

The form is filled in from the answer and its evidence, by constrained output, so that any strategy
can have one. What comes out fulfils the schema, or there is a fault that says which part does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from motet.errors import FaultError
from motet.json_schema import form_problem, object_form, problems
from motet.messages import FaultType
from motet.text.fencing import fence
from motet_planner.run import Run

__all__ = ["check_schema", "fulfil"]

_SHOWN_PROBLEMS = 5


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuses a schema that cannot be the form of an answer.

    Raises:
        FaultError: `invalid_input`: it refers outside of itself, is not of an object, is too large,
            or no JSON Schema.
    """
    wrong = form_problem(schema)
    if wrong is not None:
        raise FaultError.of(
            FaultType.INVALID_INPUT, f"The task's `answer_schema` cannot be used: {wrong}."
        )


async def fulfil(
    schema: Mapping[str, Any], answer: str, evidence: str, run: Run, *, goal: str = ""
) -> dict[str, Any]:
    """What an answer says, in the form of a schema.

    Args:
        schema: The form, which `check_schema` takes.
        answer: The answer's text.
        evidence: What it stands on; it may have details that the answer leaves out.
        run: The attempt.
        goal: What was wanted.

    Raises:
        FaultError: `model_output_invalid` when the model gives nothing that fits, after repairs;
            `invalid_input` as `check_schema`.
    """
    check_schema(schema)
    try:
        value = await run.ask(
            "data",
            object_form(schema),
            max_tokens=run.settings.message_tokens,
            goal=fence(goal, label="goal"),
            answer=fence(answer, label="answer"),
            evidence=fence(evidence, label="evidence"),
        )
    except FaultError as error:
        if error.fault.type != FaultType.MODEL_OUTPUT_INVALID:
            raise
        raise FaultError.of(
            FaultType.MODEL_OUTPUT_INVALID,
            "The answer could not be put into the form of the task's `answer_schema`. "
            f"{error.fault.message} Ask for less in the schema, or set MOTET_MODEL to a more "
            "capable model.",
            cause=error.fault,
            **error.fault.detail,
        ) from None
    wrong = [
        f"{'.'.join(map(str, place)) or 'the object'}: {message}"
        for place, message in problems(schema, value)
    ]
    if wrong:
        raise FaultError.of(
            FaultType.MODEL_OUTPUT_INVALID,
            "The answer does not fulfil the task's `answer_schema`: "
            f"{'; '.join(wrong[:_SHOWN_PROBLEMS])}.",
            problems=wrong,
        )
    return value
