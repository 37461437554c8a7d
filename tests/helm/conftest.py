"""Where helm cannot be had, a test says so and is skipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.helm.chart import VALUES, Chart, ChartError, Objects
from tests.tools.built import built


@pytest.fixture(scope="session")
def chart() -> Chart:
    """The chart, with a helm of the version that tests are made for."""
    return Chart(built("helm") / "helm")


@pytest.fixture
def objects(chart: Chart) -> Objects:
    """What the chart's defaults install."""
    return chart.render()


@pytest.fixture(params=[None, *VALUES], ids=lambda path: path.stem if path else "defaults")
def any_objects(request: pytest.FixtureRequest, chart: Chart) -> Objects:
    """What one set of values installs."""
    return chart.render(request.param)


@pytest.fixture
def refused(chart: Chart) -> Callable[[dict[str, Any]], str]:
    """What an operator reads whose values are refused."""

    def why(values: dict[str, Any]) -> str:
        with pytest.raises(ChartError) as raised:
            chart.render(values)
        return str(raised.value)

    return why
