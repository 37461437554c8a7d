"""The tool `table_lookup`, and reading tables."""

from __future__ import annotations

import csv
import io
import time
import unicodedata
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


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    text = "\ufeffTown,Size\r\nUlm,120\r\n"
    assert read_table(text).columns == ("Town", "Size")
    assert read_table("\ufeff| Town |\n|---|\n| Ulm |").columns == ("Town",)
    given = {"columns": ["\ufeffTown", "Size"], "rows": [["Ulm", "120"]]}
    assert look(given, where={"Town": "Ulm"}).rows == (("Ulm", "120"),)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_unicode_composes_characters_in_several_ways(form: Any) -> None:
    other = "NFD" if form == "NFC" else "NFC"
    text = unicodedata.normalize(form, "Straße,Größe\nZürich,5\nÅrhus,7\n")
    where = {unicodedata.normalize(other, "Straße"): unicodedata.normalize(other, "zürich")}
    assert look(text, where=where).rows[0][1] == "5"


@pytest.mark.parametrize(
    "cells, value, found",
    [
        (["3,480", "34.8"], "3480", "3,480"),
        (["3480", "34.8"], "3,480", "3480"),
        (["18.5", "18.05"], "18.50", "18.5"),
        (["18.50", "185"], "18.5", "18.50"),
        (["$3,480.00", "80"], "3480", "$3,480.00"),
        (["3.480,50", "2,5"], "2.5", "2,5"),
        (["3.480,50", "1.200"], "1200", "1.200"),
        (["2.5 million", "3 million"], "2500000", "2.5 million"),
        (["3.480", "3480"], "3480", "3480"),
        (["7", "007"], "007", "007"),
        (["-5", "5"], "\u22125", "-5"),
    ],
)
def test_numbers_are_equal_however_they_are_written(
    cells: list[str], value: str, found: str
) -> None:
    table = {"columns": ["n"], "rows": [[cell] for cell in cells]}
    assert look(table, where={"n": value}).rows == ((found,),)


@pytest.mark.parametrize(
    "cell, value",
    [("007", "7"), ("3.48", "348"), ("$5", "€5"), ("12%", "12"), ("1E3", "1000"), ("3,480", "3.48"),
     ("2024-01", "2023")],
)  # fmt: skip
def test_what_only_looks_equal_is_not(cell: str, value: str) -> None:
    assert fault_of({"columns": ["n"], "rows": [[cell]]}, where={"n": value}).type == "not_found"


def test_a_point_with_two_readings_is_told_or_decided_by_the_language() -> None:
    table = {"columns": ["n", "of"], "rows": [["3.480", "a"], ["920", "b"]]}
    found = table_lookup(TableLookupRequest(table=table, where={"n": "3480"}))
    assert found.table.rows == (("3.480", "a"),)
    assert "`3.480` in the column `n` was taken for `3480`" in found.warnings[0]
    for language, value in (("de", "3480"), ("en", "3.48")):
        request = TableLookupRequest(table=table, where={"n": value}, language=language)
        found = table_lookup(request)
        assert (found.table.rows, found.warnings) == ((("3.480", "a"),), ())
    assert "BCP 47" in fault_of(table, where={"n": "3480"}, language="xx").message


@pytest.mark.parametrize(
    "text, columns, row",
    [
        ('"Size, outer, mm";Part\n12;Bolt\n', ("Size, outer, mm", "Part"), ("12", "Bolt")),
        ("Size, outer, mm;Part\n12;Bolt\n", ("Size, outer, mm", "Part"), ("12", "Bolt")),
        ("Part\tSize, mm; outer\nBolt\t12,5\n", ("Part", "Size, mm; outer"), ("Bolt", "12,5")),
        ("Part,Note\nBolt,a; b\n", ("Part", "Note"), ("Bolt", "a; b")),
        ("sep=;\nPart;a,b\nBolt;1,2\n", ("Part", "a,b"), ("Bolt", "1,2")),
        ('Part,Note\nBolt,"first\nsecond"\n', ("Part", "Note"), ("Bolt", "first\nsecond")),
        (
            'Part,Note\r\nBolt,"first\r\n\r\nthird"\r\n',
            ("Part", "Note"),
            ("Bolt", "first\n\nthird"),
        ),
        ('Part,Note\nBolt,"say ""hi"", twice"\n', ("Part", "Note"), ("Bolt", 'say "hi", twice')),
    ],
)
def test_delimiters_and_line_breaks_within_cells(
    text: str, columns: tuple[str, ...], row: tuple[str, ...]
) -> None:
    table = read_table(text)
    assert (table.columns, table.rows) == (columns, (row,))


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
