"""The tool `table_lookup`, and reading tables."""

from __future__ import annotations

import csv
import io
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import FaultError
from motet.messages import Fault, Table, TableLookupRequest
from motet_tool_executor.table_lookup import table_lookup
from motet_tool_executor.tables import TableError, read_table

MARKDOWN = """Sales by quarter, in thousands:

| **Quarter** | Region | Net Revenue |
|:--|---|--:|
| Q1 | North | $1,250 |
| Q2 | North | 980 |
| Q2 | South |

More | text
"""
CSV = 'Quarter,Region,Net Revenue\nQ1,North,"1,250"\nQ2,North,980\nQ2,South,\n'


def look(table: Any = MARKDOWN, **request: Any) -> Table:
    return table_lookup(TableLookupRequest(table=table, **request)).table


def fault_of(table: Any = MARKDOWN, **request: Any) -> Fault:
    with pytest.raises(FaultError) as caught:
        look(table, **request)
    return caught.value.fault


def test_a_markdown_table_is_found_in_a_text() -> None:
    table = look()
    assert table.columns == ("Quarter", "Region", "Net Revenue")
    assert table.rows == (("Q1", "North", "$1,250"), ("Q2", "North", "980"), ("Q2", "South", ""))


def test_where_and_select_compare_without_case_and_spaces() -> None:
    table = look(where={"quarter": " q 2", "REGION": "north"}, select=["netrevenue"])
    assert table == Table(columns=("Net Revenue",), rows=(("980",),))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv_with_any_separator(separator: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows(csv.reader(io.StringIO(CSV)))
    table = look(text.getvalue(), where={"Quarter": "Q1"})
    assert table.rows == (("Q1", "North", "1,250"),)


def test_a_table_given_as_such() -> None:
    table = {"columns": ["a", "b"], "rows": [["1", "2"], ["3"]]}
    assert look(table, where={"b": ""}).rows == (("3", ""),)


def test_columns_may_be_repeated_and_reordered() -> None:
    table = look(where={"Quarter": "Q1"}, select=["Region", "Quarter", "Region"])
    assert table.rows == (("North", "Q1", "North"),)


def test_escaped_bars_stay_in_their_cell() -> None:
    assert read_table("| a | b |\n|-|-|\n| x \\| y | `z` |").rows == (("x | y", "z"),)
    assert read_table("a | b\n- | -\n1 | 2\n").rows == (("1", "2"),)


@pytest.mark.parametrize(
    "request_, type, words",
    [
        ({"where": {"Quater": "Q1"}}, "not_found", "Did you mean `Quarter`?"),
        ({"select": ["Revenue"]}, "not_found", "only `Quarter`, `Region`, `Net Revenue`"),
        ({"where": {"Quarter": "Q5"}}, "not_found", "There are `Q1`, `Q2`."),
        ({"where": {"Quarter": "Q1", "Region": "South"}}, "not_found", "only other rows have it"),
        ({"where": {"Quarter": "Q1", "Region": "West"}}, "not_found", "no row has it"),
        ({"table": "hello"}, "invalid_input", "no table"),
        ({"table": " \n"}, "invalid_input", "empty"),
        ({"table": "a,b\n1,2,3"}, "invalid_input", "Row 1 of the table has 3 cells for 2 columns"),
        ({"table": 'a,b\n"1,2'}, "invalid_input", "not valid CSV"),
        ({"table": "a,A\n1,2", "where": {"a": "1"}}, "invalid_input", "2 columns with the name"),
        ({"table": "a,b", "where": {"a": "1"}}, "not_found", "has no rows"),
        ({"table": {"columns": ["a"], "rows": [["1", "2"]]}}, "invalid_input", "Row 1"),
        ({"table": ",".join(map(str, range(300)))}, "invalid_input", "300 columns"),
        ({"table": "a,b\n" + "1,2\n" * 10_001}, "invalid_input", "more than 10,000 rows"),
        ({"table": "x," * 500_001}, "invalid_input", "more than 1,000,000 characters"),
    ],
)
def test_a_fault_says_what_there_is(request_: dict[str, Any], type: str, words: str) -> None:
    fault = fault_of(**request_)
    assert fault.type == type
    assert words in fault.message


def test_a_value_among_many_has_its_closest_matches() -> None:
    cities = ["Berlin", "Bern", "Bergen", *(f"City {number}" for number in range(50))]
    fault = fault_of(
        "City,Size\n" + "\n".join(f"{city},1" for city in cities), where={"City": "Berlni"}
    )
    assert fault.detail["matches"][0] == "Berlin"
    assert "Did you mean `Berlin`" in fault.message


@pytest.mark.parametrize(
    "table",
    [
        "|" * 1_000_000,
        " " * 999_000 + "-|x",
        "|" + " " * 999_000 + "\n-",
        "|\n" + "-" * 999_000,
        ("|-\n" * 333_000),
        "**" * 400_000 + "|b\n-|-",
        '"' * 999_000,
        "a," + "x" * 999_000,
        "a,b\n" + "1" * 100 + ",2\n" * 9_900,
    ],
)
def test_hostile_tables_end_soon(table: str) -> None:
    started = time.process_time()
    with pytest.raises(FaultError):
        look(table, where={"a": "y" * 1_000})
    assert time.process_time() - started < 3


cells = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="|\\*_`-\"'"),
    min_size=1,
    max_size=8,
)
tables = st.integers(min_value=1, max_value=4).flatmap(
    lambda width: st.tuples(
        st.lists(cells, min_size=width, max_size=width),
        st.lists(st.lists(cells, min_size=width, max_size=width), max_size=5),
    )
)


@given(tables)
def test_written_markdown_is_read_back(table: tuple[list[str], list[list[str]]]) -> None:
    columns, rows = table
    lines = [columns, ["---"] * len(columns), *rows]
    read = read_table("\n".join("| " + " | ".join(line) + " |" for line in lines))
    assert read.columns == tuple(columns)
    assert read.rows == tuple(map(tuple, rows))


@given(tables.filter(lambda table: len(table[0]) > 1))
def test_written_csv_is_read_back(table: tuple[list[str], list[list[str]]]) -> None:
    columns, rows = table
    # The first line tells the separator: let commas be the most frequent in it.
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow([column.replace(";", "") or "x" for column in columns])
    writer.writerows(rows)
    assert read_table(text.getvalue()).rows == tuple(map(tuple, rows))


pieces = st.sampled_from(["|", "-", "---", "\n", ",", ";", '"', "a", " ", "\\", ":", "\t", "**"])


@given(st.text(max_size=200) | st.lists(pieces, max_size=60).map("".join))
def test_any_text_is_a_table_or_refused(text: str) -> None:
    with suppress(TableError):
        table = read_table(text)
        assert all(len(row) == len(table.columns) for row in table.rows)
