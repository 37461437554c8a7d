"""`motet eval`: datasets, gates and tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from motet.cli.eval_dataset import DatasetError, EvalItem, read_dataset
from motet.cli.eval_report import EvalOutcome, Gate, report, summaries
from motet.cli.evaluate import gates_of
from motet.messages import (
    Evaluation,
    Fault,
    Measurements,
    Score,
    Scored,
    ScoreFailed,
    ScoreNotApplicable,
)

FAULT = Fault(type="broken", message="Broken.")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "name, text",
    [
        (
            "a.jsonl",
            (
                '{"question": " How high? ", "reference": 38, "relevant": ["a", "b"], "id": 7}\n\n'
                '{"goal": "Who?", "relevant": {"c": 2}}\n'
            ),
        ),
        (
            "a.json",
            (
                '[{"goal": "How high?", "reference": "38", "relevant": ["a", "b"], "id": "7"},'
                ' {"question": "Who?", "relevant": {"c": 2}, "more": 1}]'
            ),
        ),
        (
            "b.json",
            (
                '{"items": [{"goal": "How high?", "reference": "38", "relevant": "a;b", "id": 7},'
                ' {"goal": "Who?", "relevant": {"c": 2}}]}'
            ),
        ),
    ],
)
def test_json_datasets(name: str, text: str, tmp_path: Path) -> None:
    first, second = read_dataset(write(tmp_path, name, text))
    assert (first.goal, first.reference, first.id) == ("How high?", "38", "7")
    assert first.relevant == {"a": 1.0, "b": 1.0}
    assert (second.goal, second.reference, second.relevant) == ("Who?", None, {"c": 2.0})


def test_a_csv_dataset(tmp_path: Path) -> None:
    text = '\ufeffquestion,reference,relevant\n"How high, then?",38,a; b\nWho?,,\n'
    first, second = read_dataset(write(tmp_path, "a.csv", text))
    assert (first.goal, first.reference) == ("How high, then?", "38")
    assert first.relevant == {"a": 1.0, "b": 1.0}
    assert (second.goal, second.reference, second.relevant) == ("Who?", None, {})


def test_the_first_items(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"goal": "a"}\n{"goal": "b"}\n')
    assert [item.goal for item in read_dataset(path, 1)] == ["a"]


@pytest.mark.parametrize(
    "name, text, said",
    [
        ("a.jsonl", '{"goal": "a"}\nx\n', "line 2: this is no JSON"),
        ("a.jsonl", '{"goal": ""}\n', "line 1: goal: String should have at least 1 character"),
        ("a.jsonl", '{"reference": "x"}\n', "line 1: goal: Field required"),
        ("a.jsonl", '{"goal": "a", "relevant": {"x": -1}}\n', "relevant.x: "),
        ("a.jsonl", '{"goal": "a", "relevant": {"x": NaN}}\n', "relevant.x: "),
        ("a.jsonl", "3\n", "line 1: "),
        ("a.jsonl", "", "has no items"),
        ("a.json", '{"goal": "a"}', "it is no list"),
        ("a.json", "[" * 100_000, "this is no JSON"),
        ("a.csv", "answer\nx\n", "line 2: goal: Field required"),
    ],
)
def test_a_dataset_that_does_not_fit(name: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=said):
        read_dataset(write(tmp_path, name, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_dataset(tmp_path / "none.jsonl")
    (tmp_path / "a.jsonl").write_bytes(b"\xff")
    with pytest.raises(DatasetError, match="not UTF-8"):
        read_dataset(tmp_path / "a.jsonl")


def scored(value: float) -> Score:
    return Scored(value=value, method="deterministic", reason="")


def outcome(goal: str, fault: Fault | None = None, **scores: Score) -> EvalOutcome:
    evaluation = Evaluation(
        scores=scores,
        judged={"faithfulness": Scored(value=0.5, method="judge", reason="")},
        measurements=Measurements(latency_s=2.0, tokens=1000),
    )
    return EvalOutcome(EvalItem.read({"goal": goal}, ""), "t", None, evaluation, fault)


OUTCOMES = [
    outcome("How high is the tower?", faithfulness=scored(1.0), mrr=scored(0.5)),
    outcome("Who built it?", faithfulness=scored(0.5), mrr=ScoreNotApplicable(reason="")),
    outcome("Why?", FAULT, faithfulness=ScoreFailed(method="deterministic", fault=FAULT)),
    EvalOutcome(EvalItem.read({"goal": "Where?"}, ""), "t", fault=FAULT),
]


def test_means_are_over_what_was_scored_and_the_rest_is_counted() -> None:
    found = summaries(OUTCOMES)
    assert found["faithfulness"].json() == {
        "mean": 0.75,
        "min": 0.5,
        "max": 1.0,
        "scored": 2,
        "failed": 1,
        "not_applicable": 0,
    }
    assert found["mrr"].not_applicable == 1
    assert found["judged.faithfulness"].values == (0.5, 0.5, 0.5)
    assert found["tokens"].mean == 1000
    assert "cost_usd" not in found
    assert json.dumps([each.json() for each in OUTCOMES])


def test_gates() -> None:
    found = summaries(OUTCOMES)
    assert Gate("mrr", 0.5).met(found["mrr"])
    assert not Gate("mrr", 0.51).met(found["mrr"])
    assert Gate("latency_s", 2.0, at_most=True).met(found["latency_s"])
    assert not Gate("latency_s", 1.9, at_most=True).met(found["latency_s"])
    # What could not be made everywhere is not met, whatever the mean of the rest.
    assert not Gate("faithfulness", 0.1).met(found["faithfulness"])
    assert "could not be made 1 times" in Gate("faithfulness", 0.1).said(found["faithfulness"])
    assert not Gate("ndcg@10", 0.0).met(found.get("ndcg@10"))
    assert Gate("ndcg@10", 0.5).said(None) == "ndcg@10 has no value; it must be >= 0.5"


def test_gates_of_the_command_line() -> None:
    assert gates_of(["mrr=0.5", "judged.faithfulness=1"], at_most=False) == [
        Gate("mrr", 0.5),
        Gate("judged.faithfulness", 1.0),
    ]
    assert gates_of(["latency_s=3"], at_most=True) == [Gate("latency_s", 3.0, at_most=True)]
    for wrong in ("beauty=1", "mrr", "mrr=x", "mrr=nan", "judged.latency_s=1"):
        with pytest.raises(typer.Exit) as ended:
            gates_of([wrong], at_most=False)
        assert ended.value.exit_code == 2


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_tables(columns: int) -> None:
    console = Console(width=columns, force_terminal=False)
    with console.capture() as shown:
        console.print(report(console, OUTCOMES))
    lines: Any = shown.get().splitlines()
    assert max(map(len, lines)) <= columns
    assert columns < 80 or any("tower" in line for line in lines)
    assert any(line.split()[:2] == ["faithfulness", "0.750"] for line in lines)
