"""Examples: goals with what a right outcome must have, for `motet demo`."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from motet.errors import SetupError
from motet.messages import TaskRecord, TaskState

__all__ = ["Example", "Expectation", "read_examples"]


class Expectation(BaseModel):
    """What a right outcome has; what is left out is not asked."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    answered: bool = True
    """Whether the documents hold an answer; where not, the outcome must say so."""
    contains: tuple[str, ...] = ()
    """What the answer's text must have in it, as whole words and numbers, case aside."""
    sources: tuple[str, ...] = ()
    """Documents of which each must be cited, with words that are in them."""


class Example(BaseModel):
    """A goal, and what is expected."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    goal: str
    expect: Expectation
    spoken: bool = False
    """Whether the goal is asked aloud: submitted as a recording that the mesh's own voice made."""

    def wrong(self, record: TaskRecord) -> str | None:
        """Why an outcome is not right; None when it is."""
        answer = record.answer
        if record.state != TaskState.SUCCEEDED or answer is None:
            return f"the task {record.state.value}"
        if answer.answered != self.expect.answered:
            return "it should say that it cannot be answered" if answer.answered else "no answer"
        for wanted in self.expect.contains:
            if not _has(answer.text, wanted):
                return f"the answer lacks {wanted!r}"
        cited = {each.source for each in answer.citations if each.supported is not False}
        for source in self.expect.sources:
            if source not in cited:
                return f"{source} is not cited"
        return None


def _has(text: str, wanted: str) -> bool:
    """Whether `wanted` is in the text, and not within a longer word or number."""
    whole = rf"(?<!\w)(?<!\d[.,]){re.escape(wanted)}(?!\w)(?![.,]\d)"
    return re.search(whole, text, re.IGNORECASE) is not None


def read_examples(file: Path) -> list[Example]:
    """Reads a list of examples.

    Raises:
        SetupError: The file is not there, or not of this form.
    """
    try:
        return TypeAdapter(list[Example]).validate_json(file.read_bytes())
    except OSError as error:
        raise SetupError(
            f"{file} cannot be read ({error.strerror}): run the demo where Motet's repository is, "
            "or say with --examples where its examples are."
        ) from None
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise SetupError(f"{file} is not a list of examples: {where}: {problem['msg']}.") from None
