"""Tasks on record: what was written before is read, and what comes after is passed by."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from motet.messages import SearchRequest, Task, TaskRecord

OLD = {
    "id": "t1",
    "task": {"id": "t1", "goal": "How high?", "strategy": "plan", "inputs": [], "v": 1},
    "state": "succeeded",
    "answer": {"text": "38 m", "data": {"steps": 1}, "v": 1},
    "v": 1,
}


def test_a_record_from_before_is_read() -> None:
    record = TaskRecord.model_validate_json(json.dumps(OLD))
    assert record.task is not None
    task = record.task
    assert (task.session, task.answer_schema, task.language, task.length) == (None,) * 4
    assert SearchRequest.model_validate({"query": "x"}).scope == "all"


def test_what_a_later_version_adds_is_passed_by() -> None:
    task = Task.model_validate({"goal": "x", "mood": "merry", "session": "talk"})
    assert task.session == "talk"
    assert "mood" not in task.model_dump()


@pytest.mark.parametrize("tag", ["de", "pt-BR", "zh-Hant-TW", "es-419", "DE", "sr-Latn"])
def test_a_language_is_a_tag(tag: str) -> None:
    assert Task(goal="x", language=tag).language == tag


@pytest.mark.parametrize("tag", ["", "d", "German", "de_DE", "de-", "de\n", "x" * 40])
def test_a_language_is_nothing_else(tag: str) -> None:
    with pytest.raises(ValidationError):
        Task(goal="x", language=tag)
