"""Each promise on the page of guarantees, and each defence on that of threats, names a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {
    "guarantees.md": ("## What is promised", "## What is not promised"),
    "threat-model.md": ("## What is defended", "## What is not defended"),
}
"""Pages of docs/explanation, and between which headings each row of a table names a test."""

_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")
_HEADS = ("| promise", "| it tries to")


def text(page: str) -> str:
    return (ROOT / "docs" / "explanation" / page).read_text("utf-8")


def rows(page: str) -> list[str]:
    first, last = PAGES[page]
    found = re.search(rf"^{first}\n(.*?)^{last}\n", text(page), re.DOTALL | re.MULTILINE)
    assert found is not None
    return [
        line
        for line in found[1].splitlines()
        if line.startswith("| ") and not line.startswith(_HEADS)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_exists(page: str) -> None:
    named = _TEST.findall(text(page))
    assert len(named) > 20
    for path, test in named:
        source = (ROOT / path).read_text()
        assert not test or re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), test


@pytest.mark.parametrize("page", PAGES)
def test_every_promise_names_a_test(page: str) -> None:
    promises = rows(page)
    assert len(promises) > 15
    assert [row for row in promises if not _TEST.search(row) and "chaos (`" not in row] == []


@pytest.mark.parametrize("page", PAGES)
def test_pictures_and_pages_that_are_named_are_there(page: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)", text(page)):
        assert (ROOT / "docs" / "explanation" / link).exists(), link
