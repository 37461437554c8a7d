"""What docs/how-to/install-on-kubernetes.md names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from motet.bus.permissions import AgentRole
from motet.bus.users import accounts_by_password, tenant
from motet.settings import Settings
from tests.helm.chart import CHART, Chart

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "install-on-kubernetes.md"
TEXT = PAGE.read_text("utf-8")
SECTIONS = "|".join(yaml.safe_load((CHART / "values.yaml").read_text("utf-8")))
NAMED = sorted(set(re.findall(rf"`((?:{SECTIONS})(?:\.\w+)+)", TEXT)))


@pytest.mark.parametrize("name", NAMED)
def test_a_value_that_is_named_is_one(name: str) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    for part in name.split("."):
        if part.startswith("MOTET_"):
            return
        assert part in values, name
        values = values[part]


def test_the_agent_of_ones_own_is_installed(chart: Chart) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    values = yaml.safe_load(block)
    accounts = accounts_by_password([tenant(Settings(), [AgentRole("weather", ("now",))])])
    objects = chart.render({**values, "nats": {"accounts": accounts}})
    assert "motet-weather" in objects.names("Deployment")
