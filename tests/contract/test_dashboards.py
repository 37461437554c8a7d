"""Grafana's dashboards are those that are defined, and name only metrics that Motet has."""

from __future__ import annotations

import json

import pytest

from deploy.grafana.build import DASHBOARDS, FOLDER, text
from deploy.grafana.panels import Dashboard

NAMES = [dashboard.name for dashboard in DASHBOARDS]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=NAMES)
def test_the_files_are_current(dashboard: Dashboard) -> None:
    """`python -m deploy.grafana.build` writes them."""
    assert (FOLDER / f"{dashboard.name}.json").read_text(encoding="utf-8") == text(dashboard)


def test_there_are_no_other_files() -> None:
    assert {path.stem for path in FOLDER.glob("*")} == set(NAMES)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=NAMES)
def test_panels_have_ids_and_places_of_their_own(dashboard: Dashboard) -> None:
    ids = [panel["id"] for panel in dashboard.json()["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard.json()["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_uids_are_what_links_use() -> None:
    loaded = [json.loads(path.read_text()) for path in FOLDER.glob("*.json")]
    assert {page["uid"] for page in loaded} == {f"motet-{name}" for name in NAMES}
