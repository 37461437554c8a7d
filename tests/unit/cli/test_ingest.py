"""What `motet ingest` takes on its command line, and how it sums up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from motet.cli.ingest import _fields
from motet.cli.main import app
from motet.cli.runs import is_suspicious, summary
from motet.messages import IngestResult


@pytest.mark.parametrize(
    "pairs, fields",
    [
        (["year=2024", "draft=false", "of=Ann"], {"year": 2024, "draft": False, "of": "Ann"}),
        (
            ["version=1.5", 'code="1.5"', "range=1-5"],
            {"version": 1.5, "code": "1.5", "range": "1-5"},
        ),
        (["tag=a", "tag=b"], {"tag": ("a", "b")}),
        (
            ["empty=", "equation=a=b", "list=[1]", "no=NaN"],
            {"empty": "", "equation": "a=b", "list": "[1]", "no": "NaN"},
        ),
        ([], {}),
    ],
)
def test_fields_are_numbers_truths_or_text(pairs: list[str], fields: dict[str, Any]) -> None:
    found = _fields(pairs)
    assert found == fields
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in fields.items()
    }


@pytest.mark.parametrize(
    "options, said",
    [
        (["--field", "year"], "name=value"),
        (["--field", "a b=1"], "A document cannot have this"),
        (["--label", "no spaces"], "Nobody can be called that"),
        (["--label", "staff", "--access", "board"], "nobody with that access would see it"),
        (["--tenant", "a b"], "Nobody can be called that"),
        (["--sync"], "is a file"),
        (["--watch"], "is a file"),
    ],
)
def test_wrong_options_are_told_before_anything_is_done(
    tmp_path: Path, options: list[str], said: str
) -> None:
    file = tmp_path / "a.md"
    file.write_text("text")
    done = CliRunner().invoke(app, ["ingest", str(file), *options])
    assert done.exit_code == 2
    assert said in done.stderr


def test_the_folder_that_we_are_in_is_synchronised_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["ingest", ".", "--sync"])
    assert done.exit_code == 2
    assert repr(str(tmp_path)) in done.stderr


@pytest.mark.parametrize(
    "gone, left, suspicious",
    [(1, 0, True), (1, 1, False), (3, 1, False), (5, 5, False), (6, 5, True), (6, 4, True)],
)
def test_most_of_a_folder_does_not_go_unasked(gone: int, left: int, suspicious: bool) -> None:
    assert is_suspicious(gone, left) == suspicious


def test_a_summary_counts_each_kind() -> None:
    def item(status: str, passages: int) -> IngestResult.Item:
        return IngestResult.Item.model_validate(
            {"source": "s", "status": status, "passages": passages}
        )

    items = [item("added", 3), item("added", 4), item("unchanged", 2)]
    assert summary(items) == "3 documents: 2 added, 1 unchanged; 9 passages"
    assert summary([]) == "0 documents; 0 passages"
