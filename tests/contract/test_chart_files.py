"""The chart's files are what the code and `deploy/` say: a chart can read nothing outside of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helm.chart import CHART
from tests.helm.mesh_file import PATH, text

DEPLOY = CHART.parents[1] / "deploy"
COPIED = ["nats/nats.conf", "collector", "jaeger", "prometheus/rules", "grafana/dashboards"]


def contents(path: Path) -> dict[str, bytes]:
    """What is in a file, or in all files of a folder."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return {str(each.relative_to(path)): each.read_bytes() for each in files}


@pytest.mark.parametrize("path", COPIED)
def test_what_is_copied_is_current(path: str) -> None:
    assert contents(CHART / "files" / path) == contents(DEPLOY / path), "run helm/copy-files.sh"


def test_what_it_knows_of_the_mesh_is_current() -> None:
    assert PATH.read_text("utf-8") == text(), "run `python -m tests.helm.mesh_file`"
