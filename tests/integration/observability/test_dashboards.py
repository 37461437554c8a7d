"""After a day's work every panel of every dashboard has something to show.

The mesh, the collector, Jaeger and Prometheus are real; Grafana itself is not: it cannot be had
where these tests run.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.build import DASHBOARDS
from motet.bus import queue_watch
from tests.integration.observability import backends
from tests.integration.observability.conftest import Traced
from tests.integration.observability.day import days_work

pytestmark = pytest.mark.timeout(180)


def queries() -> list[tuple[str, str]]:
    """Every query, with the name of its panel; over the day rather than over a moment."""
    found: list[tuple[str, str]] = []
    for dashboard in DASHBOARDS:
        for panel in dashboard.json()["panels"]:
            for target in panel.get("targets", ()):
                query = target["expr"].replace("$__rate_interval", "2m")
                query = query.replace("$agent", ".*").replace("$tenant", ".*")
                found.append((f"{dashboard.name}: {panel['title']}", query))
    return found


async def range_of(prometheus: str, query: str, since: float) -> list[Any]:
    """The series of a query from `since` on, as a panel asks for them."""
    answer = await backends.get(
        f"{prometheus}/api/v1/query_range",
        query=query,
        start=str(since),
        end=str(time.time()),
        step="1",
    )
    assert answer["status"] == "success", answer
    return list(answer["data"]["result"])


async def test_every_panel_shows_something_and_its_dots_open_traces(
    traced: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_watch, "LOOK_S", 0.2)
    # Metrics leave less often than they are read, as in production: exemplars are of an interval.
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1500")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    began = time.time()
    async with (
        backends.jaeger(tmp_path / "jaeger") as jaeger,
        backends.collector(tmp_path / "collector", jaeger.otlp_grpc) as collector,
        backends.prometheus(tmp_path / "prometheus", collector) as prometheus,
    ):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.otlp)
        async with traced(collector.otlp) as mesh:
            await days_work(mesh, tmp_path / "cache")

            async def missing() -> list[str]:
                found = await asyncio.gather(
                    *(range_of(prometheus, query, began) for _, query in queries())
                )
                return [
                    panel for (panel, _), series in zip(queries(), found, strict=True) if not series
                ]

            async def complete() -> bool:
                return not await missing()

            await backends.until(complete, 60)
            assert await missing() == []

            exemplars = await backends.get(
                f"{prometheus}/api/v1/query_exemplars",
                query="motet_call_handler_time_seconds_bucket",
                start=str(began),
                end=str(time.time()),
            )
            (trace, *_) = [
                exemplar["labels"]["trace_id"]
                for series in exemplars["data"]
                for exemplar in series["exemplars"]
            ]
            tree = await backends.until(lambda: _spans(jaeger, trace))
            assert any(name.startswith("invoke_agent") for name in tree)

            alerts = await backends.get(f"{prometheus}/api/v1/rules")
            rules = [rule for group in alerts["data"]["groups"] for rule in group["rules"]]
            assert {rule["health"] for rule in rules} == {"ok"}


async def _spans(jaeger: backends.Jaeger, trace: str) -> list[str]:
    return [node.name for node in (await jaeger.tree(trace)).walk()]
