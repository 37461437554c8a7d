"""The snippets of the how-tos on agents, as an agent author would run them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[3] / "docs" / "how-to"
SNIPPET = re.compile(r"```python\n# ([\w.]+)(, continued)?\n(.*?)```", re.DOTALL)


# Most of it is loading four frameworks.
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "page, tests",
    [("test-an-agent", 6), ("ask-a-person", 3), ("bring-an-agent-of-another-framework", 6)],
)
def test_the_snippets_pass(tmp_path: Path, page: str, tests: int) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    files: dict[str, str] = {}
    for name, continued, code in SNIPPET.findall(text):
        assert bool(continued) == (name in files)
        files[name] = files.get(name, "") + code
    for name, code in files.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")

    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:langsmith_plugin",
            "-p",
            "no:cacheprovider",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{tests} passed" in ran.stdout
