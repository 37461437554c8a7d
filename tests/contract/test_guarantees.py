"""Each promise on the page of guarantees names a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/guarantees.md"

_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")
_PROMISES = re.compile(r"## What is promised\n(.*?)\n## What is not promised", re.DOTALL)


def test_every_test_that_is_named_exists() -> None:
    named = _TEST.findall(PAGE.read_text())
    assert len(named) > 20
    for path, test in named:
        source = (ROOT / path).read_text()
        assert not test or re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), test


def test_every_promise_names_a_test() -> None:
    found = _PROMISES.search(PAGE.read_text())
    assert found is not None
    rows = [line for line in found[1].splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not row.startswith("| promise")]
    assert len(promises) > 15
    assert [row for row in promises if not _TEST.search(row) and "chaos (`" not in row] == []
