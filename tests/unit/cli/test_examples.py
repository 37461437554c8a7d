"""The verdict on an example is strict, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from motet.cli.examples import Example, Expectation, read_examples
from motet.errors import SetupError
from motet.messages import Answer, TaskState
from tests.unit.cli.recorded import RECORD

GROWTH = Example(
    goal="How much did it grow?",
    expect=Expectation(contains=("27.6 %",), sources=("annual-report-2023.md",)),
)


def test_a_right_outcome_is_right() -> None:
    assert GROWTH.wrong(RECORD) is None


@pytest.mark.parametrize(
    "expect, why",
    [
        ({"contains": ["28 %"]}, "the answer lacks '28 %'"),
        ({"sources": ["annual-report-2024.md"]}, "annual-report-2024.md is not cited"),
        ({"answered": False}, "it should say that it cannot be answered"),
    ],
)
def test_a_wrong_outcome_says_why(expect: dict[str, object], why: str) -> None:
    example = Example.model_validate({"goal": "g", "expect": expect})
    assert example.wrong(RECORD) == why


@pytest.mark.parametrize(
    "text, right",
    [
        ("It grew by 30 %.", True),
        ("It grew by 30%, from 1,200.", True),
        ("By 30.", True),
        ("By **30** per cent", True),
        ("By 130 %", False),
        ("By 30.5 %", False),
        ("By 2.30 %", False),
        ("1,230 to 30,000", False),
        ("in 2030", False),
    ],
)
def test_a_number_is_not_found_within_another(text: str, right: bool) -> None:
    example = Example(goal="g", expect=Expectation(contains=("30",)))
    record = RECORD.model_copy(update={"answer": Answer(text=text)})
    assert (example.wrong(record) is None) == right


def test_a_task_that_failed_is_wrong_whatever_it_says() -> None:
    failed = RECORD.model_copy(update={"state": TaskState.FAILED})
    assert GROWTH.wrong(failed) == "the task failed"


def test_an_abstention_is_wrong_where_an_answer_is_expected() -> None:
    silent = RECORD.model_copy(update={"answer": Answer(text="I do not know", answered=False)})
    assert GROWTH.wrong(silent) == "no answer"


def test_examples_that_are_not_there_or_wrong_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="--examples"):
        read_examples(tmp_path / "tasks.json")
    (tmp_path / "tasks.json").write_text('[{"goal": "g", "expect": {"contain": ["x"]}}]')
    with pytest.raises(SetupError, match=r"0\.expect\.contain"):
        read_examples(tmp_path / "tasks.json")
