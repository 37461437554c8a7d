"""The planning benchmark's figures."""

from __future__ import annotations

from math import isclose

from benchmarks.planning import chosen
from benchmarks.planning.figures import Result, figures, mcnemar, wilson
from benchmarks.planning.world import load


def result(system: str, question: str, right: bool, seconds: float, **more: object) -> Result:
    values = {"kind": "list", "reason": "", "tokens": 100, "text": ""} | more
    return Result(system=system, question=question, right=right, seconds=seconds, **values)


def test_wilson_as_published() -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I.
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = wilson(0, 20)
    assert (low, round(high, 4)) == (0.0, 0.1611)
    assert wilson(0, 0) == (0.0, 1.0)


def test_mcnemar_is_a_binomial_test() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    assert isclose(mcnemar(6, 0), 2 / 2**6)
    assert mcnemar(1, 9) == mcnemar(9, 1)
    assert isclose(mcnemar(9, 1), 2 * (1 + 10) / 2**10)


def test_a_strategy_stands_beside_plain_rag() -> None:
    results = [
        *(result("plan", str(each), each < 3, 6.0, supported=True) for each in range(4)),
        *(result("plain_rag", str(each), each == 3, 4.0, found=0.5) for each in range(4)),
    ]
    found = figures(results, ["plan", "react"])
    plan = found["strategies"]["plan"]
    assert set(found["strategies"]) == {"plan"}
    assert (plan["success"], plan["tokens"], plan["seconds"]) == (75.0, 100, 6.0)
    assert plan["by_kind"] == {"list": {"right": 3, "of": 4}}
    assert plan["wrong_but_supported"] == 1
    assert plan["right_but_unsupported"] == 0
    assert plan["beside_plain_rag"] == {
        "better": 3,
        "worse": 1,
        "p": mcnemar(3, 1),
        "seconds_ratio": 1.5,
    }
    assert found["plain_rag"]["success"] == 25.0
    assert found["plain_rag"]["passages_found"] == 50.0
    assert "bare" not in found


def test_a_limit_takes_of_each_kind() -> None:
    questions = load(None).questions
    assert len({each.kind for each in chosen(questions, None, 8)}) == 8
    assert [each.kind for each in chosen(questions, "list,table", 3)] == ["list", "table", "list"]
    assert chosen(questions, "riddle", None) == []
