"""The tool `table_aggregate`: one value over rows, or one for each group."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import FaultError
from motet.messages import Fault, TableAggregateRequest, TableAggregateResult
from motet_tool_executor.table_aggregate import table_aggregate

DEPOTS = """Stock, counted in May:

| Depot | Country | Pallets | Value |
|---|---|---|---|
| Gävle | SE | 1,200 | $30,500.50 |
| Malmö | SE | 85 | $2,000 |
| Turku | FI | n/a | $0.25 |
| Vaasa | FI | 315 | |
"""


def run(table: Any = DEPOTS, **request: Any) -> TableAggregateResult:
    return table_aggregate(TableAggregateRequest(table=table, **request))


def fault_of(table: Any = DEPOTS, **request: Any) -> Fault:
    with pytest.raises(FaultError) as caught:
        run(table, **request)
    return caught.value.fault


@pytest.mark.parametrize(
    "operation, value, exact",
    [
        ("sum", "1600", True),
        ("mean", "533.3333333333333333333333333", False),
        ("median", "315", True),
        ("min", "85", True),
        ("max", "1200", True),
        ("count", "4", True),
    ],
)
def test_operations(operation: str, value: str, exact: bool) -> None:
    result = run(operation=operation, column="pallets")
    assert (result.value, result.exact) == (value, exact)
    numbers = operation != "count"
    assert (result.rows, result.skipped) == ((3, 1) if numbers else (4, 0))
    assert any("`n/a`" in warning for warning in result.warnings) == numbers


def test_money_keeps_its_currency_and_its_cents() -> None:
    result = run(operation="sum", column="Value")
    assert (result.value, result.currency, result.skipped) == ("32500.75", "USD", 1)


def test_rows_are_counted_and_chosen() -> None:
    assert run(operation="count").value == "4"
    assert run(operation="count", column="Value").value == "3"
    assert run(operation="count", where={"country": "se"}).value == "2"
    assert run(operation="sum", column="Pallets", where={"Country": "FI"}).value == "315"


@pytest.mark.parametrize(
    "operator, value, count",
    [(">", "85", "2"), (">=", "85", "3"), ("<", "1200", "2"), ("<=", "1,200", "3"),
     ("=", "85.0", "1"), ("!=", "85", "3")],
)  # fmt: skip
def test_comparisons(operator: str, value: str, count: str) -> None:
    condition = {"column": "Pallets", "operator": operator, "value": value}
    assert run(operation="count", compare=[condition]).value == count


def test_the_rows_of_an_extreme_are_given() -> None:
    result = run(operation="max", column="Pallets")
    assert result.at is not None
    assert [row[0] for row in result.at.rows] == ["Gävle"]
    assert run(operation="sum", column="Pallets").at is None


def test_groups_are_in_their_order_with_their_rows() -> None:
    result = run(operation="sum", column="Pallets", group_by="Country")
    assert result.value is None
    assert result.groups is not None
    assert result.groups.columns == ("Country", "sum(Pallets)", "rows")
    assert result.groups.rows == (("SE", "1285", "2"), ("FI", "315", "1"))
    counted = run(operation="count", group_by="Country").groups
    assert counted is not None
    assert counted.rows == (("SE", "2", "2"), ("FI", "2", "2"))


def test_no_row_is_zero_rows_and_says_why() -> None:
    for operation in ("count", "sum"):
        result = run(operation=operation, column="Pallets", where={"Country": "NO"})
        assert (result.value, result.rows) == ("0", 0)
        assert "`Country` is nowhere `NO`" in result.warnings[0]
    fault = fault_of(operation="mean", column="Pallets", where={"Country": "NO"})
    assert (fault.type, "No row" in fault.message) == ("not_found", True)


def test_the_column_or_the_language_tells_what_a_point_is() -> None:
    text = "n;of\n1.200;a\n85,5;b\n"
    assert run(text, operation="sum", column="n").value == "1285.5"
    unsure = "n;of\n1.200;a\n85;b\n"
    result = run(unsure, operation="sum", column="n")
    assert result.value == "86.2"
    assert "`1.200`" in result.warnings[0]
    told = run(unsure, operation="sum", column="n", language="de")
    assert (told.value, told.warnings) == ("1285", ())


def test_percentages_are_shares() -> None:
    result = run("p,n\n12%,a\n8%,b\n", operation="mean", column="p")
    assert (result.value, result.percentage) == ("0.1", True)


@pytest.mark.parametrize(
    "request_, type, words",
    [
        ({"operation": "sum"}, "invalid_input", "in `column`"),
        ({"operation": "sum", "column": "Palets"}, "not_found", "Did you mean `Pallets`"),
        ({"operation": "count", "group_by": "Land"}, "not_found", "no column `Land`"),
        ({"operation": "count", "where": {"Land": "SE"}}, "not_found", "no column `Land`"),
        ({"operation": "sum", "column": "Depot"}, None, None),
        ({"operation": "max", "column": "Depot"}, "not_found", "has a number"),
        ({"operation": "sum", "column": "n", "table": "n,m\n$5,a\n€6,b"},
         "invalid_input", "USD and EUR"),
        ({"operation": "sum", "column": "n", "table": "n,m\n5%,a\n6,b"},
         "invalid_input", "percentages"),
        ({"operation": "count", "table": "no table"}, "invalid_input", "no table"),
        (
            {"operation": "count",
             "compare": [{"column": "Pallets", "operator": ">", "value": "many"}]},
            "invalid_input", "`many` is no number",
        ),
    ],
)  # fmt: skip
def test_mistakes(request_: dict[str, Any], type: str | None, words: str | None) -> None:
    if type is None:
        result = run(**request_)
        assert (result.value, result.skipped) == ("0", 4)
        assert "hold no number" in result.warnings[0]
        return
    fault = fault_of(**request_)
    assert fault.type == type
    assert words is not None
    assert words in fault.message


@given(
    st.lists(st.decimals(min_value=-(10**9), max_value=10**9, places=2), min_size=1, max_size=20)
)
def test_sums_and_extremes_agree_with_fractions(numbers: list[Any]) -> None:
    exact = [Fraction(number) for number in numbers]
    table = {"columns": ["n"], "rows": [[f"{number:,f}"] for number in numbers]}
    for operation, expected in (("sum", sum(exact)), ("min", min(exact)), ("max", max(exact))):
        assert Fraction(run(table, operation=operation, column="n").value or "") == expected
