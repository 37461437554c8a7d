"""What docs/how-to/install-without-internet.md says of the chart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.helm.chart import Chart, containers

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "install-without-internet.md").read_text()
(BLOCK,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
VALUES: dict[str, Any] = yaml.safe_load(BLOCK)


def test_every_image_is_from_the_registry_of_ones_own(chart: Chart) -> None:
    mirror = VALUES["global"]["imageRegistry"]
    images = {
        each["image"] for _, pod in chart.render(VALUES).with_pods() for each in containers(pod)
    }
    assert all(image.startswith(f"{mirror}/") for image in images)
    named = re.findall(rf"`({re.escape(mirror)}/\S+:\S+)`", PAGE)
    assert len(named) == 2
    assert set(named) <= images


def test_no_policy_lets_anything_out_but_names(chart: Chart) -> None:
    for policy in chart.render(VALUES).of("NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            inside = rule.get("to") and all(set(peer) == {"podSelector"} for peer in rule["to"])
            assert inside or {each["port"] for each in rule["ports"]} == {53}, policy["metadata"]


def test_with_a_model_by_key_it_would(chart: Chart) -> None:
    values = {"model": {"existingSecret": "keys"}}
    blocks = [
        peer["ipBlock"]
        for policy in chart.render(values).of("NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        for peer in rule.get("to", [])
        if "ipBlock" in peer
    ]
    assert blocks
