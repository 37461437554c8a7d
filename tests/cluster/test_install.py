"""An installation, from nothing to a task that is done and can be looked at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.cluster.chart_values import EMBEDDED, WITHOUT_QDRANT, Values, with_press
from tests.cluster.release import ROOT, Release
from tests.cluster.tasks import Tasks, insistently

pytestmark = pytest.mark.timeout(900)

CORE = ("cli", "planner", "retriever", "tool_executor", "speech", "evaluator")
OTHERS = ("neo4j:5.26.0-community", "jaegertracing/jaeger:2.13.0")
ASKED = {"query": "How high is the Harbour Tower?"}
COLLECTOR = "otel/opentelemetry-collector-contrib:0.140.1"


def motets(*names: str) -> list[str]:
    return ["nats:2.15", *(f"motet/{name}:0.1.0" for name in names)]


def sound(release: Release) -> None:
    """Nothing ended, and nothing was warned of but that what starts is not ready yet."""
    assert release.restarts() == {}
    assert release.out_of_memory() == []
    warned = {each.partition(" ")[0] for each in release.warnings()}
    # The other is of a loop of the API server's own, which may look at a Service too early.
    assert warned <= {"Unhealthy", "ClusterIPNotAllocated"}


async def trace_of(release: Release, task: str) -> list[dict[str, Any]]:
    """The spans of a task that Jaeger finds by its tag, once the root's trace is there."""
    query = {"service": "motet-planner", "tags": json.dumps({"motet.task": task})}
    with release.forwarded("service/motet-jaeger", 16686) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            while True:
                with contextlib.suppress(httpx.TransportError):  # the forwarding starts
                    answer = await client.get("/api/traces", params=query)
                    if found := answer.json()["data"]:
                        spans: list[dict[str, Any]] = found[0]["spans"]
                        return spans
                await asyncio.sleep(0.5)  # a trace is there a while after its spans have ended


@pytest.mark.parametrize("values", [WITHOUT_QDRANT, EMBEDDED], ids=["defaults", "embedded"])
async def test_it_works_when_it_is_ready(
    release: Release, images: Callable[..., None], values: Values
) -> None:
    telemetry = values is WITHOUT_QDRANT
    graph, others = ("graph", (*OTHERS, COLLECTOR)) if telemetry else ("graph-embedded", ())
    images(*motets(*CORE, graph), *others)
    await asyncio.to_thread(release.install, values)
    said = release.test()
    sound(release)
    (task,) = re.findall(r"task (\w+):", said)
    if telemetry:
        async with asyncio.timeout(60):
            spans = await trace_of(release, task)
        assert "invoke_agent planner" in {span["operationName"] for span in spans}


def removing() -> list[str]:
    """The command of the guide that removes what an uninstall keeps."""
    guide = (ROOT / "docs" / "how-to" / "install-on-kubernetes.md").read_text("utf-8")
    (line,) = re.findall(r"^kubectl (delete .*)$", guide, re.MULTILINE)
    return [word for word in line.split() if word not in ("--namespace", "motet")]


async def test_what_is_kept_is_taken_up_by_the_next_installation(
    release: Release, images: Callable[..., None]
) -> None:
    images(*motets(*CORE, "graph-embedded"), "motet-test/press:1")
    values = with_press(EMBEDDED)
    release.add_press()
    await asyncio.to_thread(release.install, values)
    async with release.bus() as bus:
        tasks = Tasks(bus)
        await tasks.ingest()
        await tasks.submit("ask")
        assert await tasks.problems() == []
        record = await tasks.evaluated("ask-0")
    await asyncio.to_thread(release.uninstall)
    await asyncio.to_thread(release.install, values)
    async with release.bus() as bus:
        again = Tasks(bus)
        assert await again.motet.task("ask-0").record() == record
        for skill in ("retriever.search", "graph.search"):
            found = await insistently(lambda skill=skill: again.motet.call(skill, ASKED))
            assert "Harbour Tower" in str(found)
    assert release.restarts() == {}
    await asyncio.to_thread(release.uninstall)
    release.kubectl(*removing())
    left = "all,secrets,configmaps,persistentvolumeclaims,serviceaccounts"
    assert release.objects(left, "-l", "app.kubernetes.io/instance=motet") == []
