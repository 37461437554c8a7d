"""Tools of others that tests start: see `install.sh`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

__all__ = ["built"]

_INSTALL = Path(__file__).with_name("install.sh")


def built(name: str) -> Path:
    """The folder of a tool's commands; where it is not built, the test is skipped and says so."""
    found = subprocess.run(
        [_INSTALL, "--built", name], capture_output=True, text=True, timeout=30, check=False
    )
    if found.returncode == 3:
        pytest.skip(found.stderr.strip())
    assert found.returncode == 0, found.stderr
    return Path(found.stdout.strip())
