"""What the evaluator announces, its settings, and how it reads a finished task."""

from __future__ import annotations

from typing import Any

import pytest

from motet.errors import SetupError
from motet.messages import (
    Answer,
    CallResult,
    Citation,
    ScoreTaskRequest,
    Task,
    TaskRecord,
    TaskState,
)
from motet.settings import Settings, load_settings
from motet_evaluator.app import agent
from motet_evaluator.settings import EvaluatorSettings
from motet_evaluator.tasks import request_for


def test_nothing_is_for_planners() -> None:
    card = agent.card("instance")
    assert {skill.name: skill.plannable for skill in card.skills} == {
        "evaluate": False,
        "score_task": False,
    }
    assert agent.finished_function is not None


@pytest.mark.parametrize(
    "judge, model, asked",
    [
        ("off", "openai:gpt-4.1-mini", False),
        ("auto", "openai:gpt-4.1-mini", True),
        ("auto", "local:qwen2.5-coder-1.5b", False),
        ("on", "local:qwen2.5-coder-1.5b", True),
    ],
)
def test_when_a_model_judges(
    judge: str, model: str, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTET_EVALUATOR_JUDGE", judge)
    assert load_settings(EvaluatorSettings).judges(Settings(model=model)) is asked


def test_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_EVALUATOR_JUDGE", "perhaps")
    with pytest.raises(SetupError, match="MOTET_EVALUATOR_JUDGE='perhaps' is wrong"):
        load_settings(EvaluatorSettings)


def record(**more: Any) -> TaskRecord:
    citations = (
        Citation(number=1, passage_id="b", source="b.md", title="B", quote="It is 38 m high."),
        Citation(number=2, passage_id="gone", source="g.md", title="G", quote="Oak."),
        Citation(number=3, passage_id="b", source="b.md", title="B", quote="It is old."),
    )
    steps = {
        "s1": {"skill": "retriever.search", "what": "height", "answer": "a guess"},
        "s2": {"skill": "tool_executor.calculate", "what": "sum", "answer": "42"},
    }
    values: dict[str, Any] = {
        "id": "t1",
        "task": Task(goal="How high?"),
        "state": TaskState.SUCCEEDED,
        "answer": Answer(text="38 m [1].", citations=citations, data={"steps": steps}),
    }
    return TaskRecord(**{**values, **more})


def outcome(output: Any, **more: Any) -> CallResult:
    return CallResult(
        task="t1", call="c", agent="retriever", skill="search", ok=True, output=output, **more
    )


PASSAGES = {
    "passages": [
        {"id": "a", "text": "Ferry.", "source": "a.md", "title": "A"},
        {"id": "b", "text": "The tower. It is 38 m high.", "source": "b.md", "title": "B"},
    ]
}


def test_the_ground_of_an_answer_is_what_was_retrieved_and_cited() -> None:
    odd: list[Any] = [None, "text", {"passages": 3}, {"passages": [1, {"id": 3, "text": "x"}]}]
    outcomes = [*map(outcome, odd), outcome(PASSAGES), outcome(PASSAGES)]
    found = request_for(record(), outcomes)
    assert found is not None
    assert [(each.id, each.number, each.text) for each in found.evidence] == [
        ("a", None, "Ferry."),
        ("b", 1, "The tower. It is 38 m high."),
        ("gone", 2, "Oak."),
        ("b", 3, "It is old."),
    ]
    assert found.retrieved == ("a", "b")
    assert found.computed == ("sum: 42",)
    assert found.question == "How high?"


def test_what_is_relevant_may_be_named_by_passages_or_by_documents() -> None:
    def retrieved(*relevant: str) -> tuple[str, ...] | None:
        wanted = ScoreTaskRequest(task="t1", relevant=dict.fromkeys(relevant, 1.0))
        found = request_for(record(), [outcome(PASSAGES)], wanted)
        assert found is not None
        return found.retrieved

    assert retrieved("b.md") == ("a.md", "b.md")
    assert retrieved("b") == ("a", "b")
    assert retrieved("elsewhere") == ("a", "b")


def test_a_task_without_an_answer_or_without_a_goal() -> None:
    failed = request_for(record(state=TaskState.FAILED, answer=None), [])
    assert failed is not None
    assert (failed.answer, failed.answered, failed.evidence) == (None, False, ())
    assert request_for(record(task=None, state=TaskState.FAILED, answer=None), []) is None
