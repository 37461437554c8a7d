"""Alert rules: what sets each off, and that each has a page that says what to do."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools.built import built

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/rules/motet.yml"
CASES = Path(__file__).with_name("motet.test.yml")


def alerts() -> dict[str, Any]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", RULES),
        ("check", "config", "--syntax-only", ROOT / "deploy/prometheus/prometheus.yml"),
        ("test", "rules", CASES),
    ],
    ids=["rules", "config", "cases"],
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str | Path, ...]) -> None:
    promtool = built("prometheus") / "promtool"
    ran = subprocess.run(
        [promtool, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_each_alert_has_a_case_that_sets_it_off() -> None:
    cases = yaml.safe_load(CASES.read_text())["tests"]
    fired = {
        case["alertname"]
        for test in cases
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == set(alerts())


def test_each_alert_has_a_page_and_each_page_names_its_alerts() -> None:
    told: dict[str, set[str]] = {}
    for name, rule in alerts().items():
        told.setdefault(rule["annotations"]["runbook_url"], set()).add(name)
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs/runbooks").glob("*.md")}
    assert pages == set(told)
    for page, names in told.items():
        heading = (ROOT / page).read_text().partition("\n")[0]
        assert set(heading.removeprefix("# ").split(", ")) == names


def test_the_guide_lists_every_alert() -> None:
    guide = (ROOT / "docs/how-to/monitor.md").read_text()
    assert [name for name in alerts() if name not in guide] == []
