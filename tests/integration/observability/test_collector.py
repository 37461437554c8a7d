"""The collector between services and Jaeger: what it keeps, and what it passes on.

Jaeger's binary plays the collector: it has the same parts, of the same versions, that
`otel/opentelemetry-collector-contrib` has.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from opentelemetry.trace import SpanContext, StatusCode

from motet.settings import Settings
from motet.telemetry import Telemetry, names, setup
from motet.telemetry.propagation import extract, traceparent_of
from motet.testing import assert_tree
from tests.integration.observability import backends
from tests.integration.observability.conftest import Traced
from tests.integration.observability.test_jaeger import SPANS, TREE, troubled
from tests.tools.built import built

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("part", ["collector", "jaeger"])
def test_the_configuration_is_valid(part: str) -> None:
    checked = subprocess.run(
        [
            built("jaeger") / "jaeger",
            "validate",
            "--config",
            backends.DEPLOY / part / "config.yaml",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


async def test_a_run_reaches_jaeger_through_it_as_one_tree(traced: Traced, tmp_path: Path) -> None:
    async with (
        backends.jaeger(tmp_path / "jaeger") as jaeger,
        backends.collector(tmp_path / "collector", jaeger.otlp_grpc) as collector,
        traced(collector.otlp) as mesh,
    ):
        task = await troubled(mesh)
        assert_tree(await jaeger.task(task, SPANS), TREE)


class Source:
    """Spans that say of themselves what they are."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def span(
        self,
        task: str,
        attributes: Mapping[str, object] | None = None,
        *,
        failed: bool = False,
        lasted_s: float = 0.01,
        below: SpanContext | None = None,
    ) -> SpanContext:
        began = time.time_ns() - int(lasted_s * 1e9)
        span = self._telemetry.tracer.start_span(
            "process motet.task.submit",
            extract({"traceparent": traceparent_of(below)}) if below else None,
            attributes={names.TASK: task, **(attributes or {})},
            start_time=began,
        )
        if failed:
            span.set_status(StatusCode.ERROR, "broken")
        span.end()
        return span.get_span_context()

    async def sent(self) -> None:
        await asyncio.to_thread(self._telemetry.flush)


async def test_of_many_traces_it_keeps_those_that_are_worth_a_look(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        backends.jaeger(tmp_path / "jaeger") as jaeger,
        backends.collector(tmp_path / "collector", jaeger.otlp_grpc, percent=0) as collector,
    ):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.otlp}/v1/traces")
        telemetry = setup("planner", settings)
        source = Source(telemetry)
        dull = source.span("dull", {names.ATTEMPT: 1, names.SUSPENDED: False})
        failed = source.span("failed", failed=True)
        source.span("slow", lasted_s=11)
        source.span("tried-again", {names.ATTEMPT: 2})
        source.span("asked", {names.SUSPENDED: True})
        await source.sent()

        kept = {"failed", "slow", "tried-again", "asked"}

        async def found() -> set[str]:
            return {task for task in (*kept, "dull") if await jaeger.search({names.TASK: task})}

        async def all_kept() -> bool:
            return await found() >= kept

        assert await backends.until(all_kept)
        # What comes after the decision follows it, whatever it says of itself.
        source.span("late", below=failed)
        source.span("late-and-dull", below=dull, failed=True)
        await source.sent()
        assert await backends.until(lambda: jaeger.search({names.TASK: "late"}))
        assert await jaeger.search({names.TASK: "late-and-dull"}) == []
        assert await found() == kept
        await telemetry.shutdown()
