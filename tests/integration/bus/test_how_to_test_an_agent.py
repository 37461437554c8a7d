"""The snippets of docs/how-to/test-an-agent.md, as an agent author would run them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "test-an-agent.md"
SNIPPET = re.compile(r"```python\n# ([\w.]+)(, continued)?\n(.*?)```", re.DOTALL)


def test_the_snippets_pass(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for name, continued, code in SNIPPET.findall(PAGE.read_text(encoding="utf-8")):
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
        timeout=55,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "6 passed" in ran.stdout
