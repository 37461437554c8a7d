"""The values of docs/explanation/sizing.md are taken by the chart; a smaller volume is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.helm.chart import Chart

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "sizing.md").read_text("utf-8")


def test_the_example_fits(chart: Chart, refused: Callable[[dict[str, Any]], str]) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    values = yaml.safe_load(block)
    assert chart.render(values).of("StatefulSet")
    values["nats"]["persistence"]["size"] = "150Gi"
    assert "too little" in refused(values)
