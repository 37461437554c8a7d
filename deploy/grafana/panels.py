"""Panels of Grafana 12 dashboards, as little as they need: what is left out is Grafana's default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Dashboard", "Panel", "Row", "stat", "table"]

Json = dict[str, Any]

PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
_WIDTH = 24


@dataclass(frozen=True)
class Panel:
    """One picture; each query has the legend of its series."""

    title: str
    queries: dict[str, str]
    """Legend to PromQL."""
    unit: str = "short"
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    width: int = 12
    height: int = 8
    about: str = ""
    stacked: bool = False
    red_from: float | None = None
    """The value from which a stat is red."""

    def json(self, number: int, x: int, y: int) -> Json:
        """The panel at a place of the grid."""
        instant = self.kind != "timeseries"
        defaults: Json = {"unit": self.unit, "min": 0}
        if self.kind == "timeseries":
            stacking = {"mode": "normal" if self.stacked else "none", "group": "A"}
            defaults["custom"] = {"fillOpacity": 20 if self.stacked else 8, "stacking": stacking}
        if self.red_from is not None:
            steps = [{"color": "green", "value": None}, {"color": "red", "value": self.red_from}]
            defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.about,
            "datasource": PROMETHEUS,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": self._options(),
            "targets": [
                {
                    "refId": chr(ord("A") + index),
                    "datasource": PROMETHEUS,
                    "expr": query,
                    "legendFormat": legend,
                    "instant": instant,
                    "range": not instant,
                    "format": "table" if self.kind == "table" else "time_series",
                    # Dots that open a trace; only buckets and counters have them.
                    "exemplar": not instant and ("_bucket" in query or "_total" in query),
                }
                for index, (legend, query) in enumerate(self.queries.items())
            ],
            **({"transformations": [_WITHOUT_TIME]} if self.kind == "table" else {}),
        }

    def _options(self) -> Json:
        match self.kind:
            case "stat":
                return {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "none"}
            case "table":
                return {"showHeader": True}
            case "timeseries":
                return {
                    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                    "tooltip": {"mode": "multi", "sort": "desc"},
                }


_WITHOUT_TIME: Json = {"id": "organize", "options": {"excludeByName": {"Time": True}}}


def stat(title: str, query: str, unit: str = "short", **more: Any) -> Panel:
    """A number."""
    return Panel(title, {title: query}, unit, "stat", **{"width": 4, "height": 4, **more})


def table(title: str, query: str, **more: Any) -> Panel:
    """A list of what there is now."""
    return Panel(title, {"": query}, kind="table", **more)


@dataclass(frozen=True)
class Row:
    """Panels below a heading."""

    title: str
    panels: list[Panel]


@dataclass(frozen=True)
class Dashboard:
    """A page."""

    name: str
    """Its file, and `motet-<name>` its uid."""
    title: str
    about: str
    rows: list[Row]
    choices: dict[str, str] = field(default_factory=dict[str, str])
    """Variables of the page, each with the query of its values."""

    def json(self) -> Json:
        """The page as Grafana keeps it."""
        return {
            "uid": f"motet-{self.name}",
            "title": self.title,
            "description": self.about,
            "tags": ["motet"],
            "schemaVersion": 41,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [
                {
                    "type": "dashboards",
                    "title": "Motet",
                    "tags": ["motet"],
                    "asDropdown": True,
                    "keepTime": True,
                    "includeVars": False,
                }
            ],
            "annotations": {"list": []},
            "templating": {"list": [_choice(name, query) for name, query in self.choices.items()]},
            "panels": list(self._placed()),
        }

    def _placed(self) -> list[Json]:
        placed: list[Json] = []
        y = 0
        for row in self.rows:
            grid = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
            number = len(placed) + 1
            heading = {"id": number, "type": "row", "title": row.title, "collapsed": False}
            placed.append({**heading, "gridPos": grid, "panels": []})
            y, x, tallest = y + 1, 0, 0
            for panel in row.panels:
                if x + panel.width > _WIDTH:
                    y, x, tallest = y + tallest, 0, 0
                placed.append(panel.json(len(placed) + 1, x, y))
                x, tallest = x + panel.width, max(tallest, panel.height)
            y += tallest
        return placed


def _choice(name: str, query: str) -> Json:
    return {
        "name": name,
        "type": "query",
        "label": name,
        "datasource": PROMETHEUS,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }
