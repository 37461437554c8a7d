"""Scripts of a model are read for their arithmetic, and never run."""

from __future__ import annotations

from decimal import Decimal

import pytest

from motet_planner.plan.script import Computation, computation_of


@pytest.mark.parametrize(
    "lines, expression, variables",
    [
        (("answer = 2467 - 2310",), "2467 - 2310", {}),
        (("a = 12.5", "b = -3", "answer = a * b"), "a * b", {"a": "12.5", "b": "-3"}),
        (("a = 1,912,000", "answer = a / 2"), "a / 2", {"a": "1912000"}),
        (("a = 4", "b = 5", "c = a + b", "answer = 2 * c"), "2 * (a + b)", {"a": "4", "b": "5"}),
        (("a = [4, 5]", "answer = sum(a) / len(a)"), "sum(4, 5) / 2", {}),
        (("a = 4", "unused = 7", "answer = round(a / 3, 2)"), "a / 3", {"a": "4"}),
        (
            ("# in words", "a = 4  # four", "import os", "answer = max(a, 9)"),
            "max(a, 9)",
            {"a": "4"},
        ),
        (("answer = -(4 + 5) ** 2",), "-((4 + 5) ** 2)", {}),
    ],
)
def test_arithmetic_is_taken_from_it(
    lines: tuple[str, ...], expression: str, variables: dict[str, str]
) -> None:
    made = computation_of("\n".join(("Here it is:", "```python", *lines, "```")))

    assert made is not None
    assert made.request == {"expression": expression, "variables": variables}


@pytest.mark.parametrize(
    "line",
    [
        "answer = 5",
        "answer = 'two'",
        "answer = True + True",
        "answer = answer + 1",
        "answer = nowhere * 2",
        "answer = __import__('os').system('true') + 1",
        "answer = [1, 2][0] + 1",
        "total = 1 + 2",
        "answer = 1 + ",
        "",
        "answer = " + "(" * 300 + "1 + 1" + ")" * 300,
        "answer = " + "-" * 5000 + "1",
    ],
)
def test_anything_else_computes_nothing(line: str) -> None:
    assert computation_of(line) is None


def test_names_that_stand_for_each_other_end() -> None:
    assert computation_of("a = b + 1\nb = a + 1\nanswer = a + b") is None


def test_formulas_that_double_each_other_end_soon() -> None:
    lines = ["a0 = b + c", *(f"a{n} = a{n - 1} + a{n - 1}" for n in range(1, 50))]

    assert computation_of("\n".join(["b = 1", "c = 2", *lines, "answer = a49 + 1"])) is None


def test_the_working_shows_the_figures() -> None:
    made = Computation("(new - old) / old", {"new": Decimal(450), "old": Decimal(400)})

    assert made.working == "(450 - 400) / 400"


@pytest.mark.parametrize(
    "text, is_told",
    [
        ("It is 12.9 percent.", True),
        ("Es sind 12,88 %.", True),
        ("About 13.", True),
        ("It is 12.8 percent.", False),
        ("A few.", False),
    ],
)
def test_a_result_is_told_to_as_many_digits_as_one_likes(text: str, *, is_told: bool) -> None:
    assert Computation("21 / 163 * 100").is_told("12.883436", text) is is_told
