"""Replicas that follow the load."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable

import pytest

from tests.cluster.chart_values import EMBEDDED, Values, with_press
from tests.cluster.release import Release
from tests.cluster.tasks import Tasks

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def keda(known_images: set[str]) -> None:
    """KEDA's operator in the cluster."""
    asked = subprocess.run(
        ["kubectl", "--namespace", "keda", "get", "deployment", "keda-operator"],
        check=False,
        capture_output=True,
        text=True,
    )
    if asked.returncode:
        pytest.skip("the cluster has no KEDA: `cluster.sh keda` builds and installs it")


def scaled(mode: str, *, servers: int = 1, **more: object) -> Values:
    values = with_press(EMBEDDED, replicas=servers)
    values["autoscaling"] = {"mode": mode, **more}
    values["extraAgents"]["press"]["autoscaling"] = {"min": 1, "max": 3}
    return values


@pytest.mark.parametrize("servers", [1, 3])
async def test_keda_adds_replicas_for_what_waits(
    release: Release, images: Callable[..., None], keda: None, servers: int
) -> None:
    images("nats:2.15", "motet-test/press:1", "motet/graph-embedded:0.1.0")
    lag = {"lagThreshold": 2, "pollingInterval": 2}
    values = scaled("keda", servers=servers, keda=lag)
    release.add_press()
    await asyncio.to_thread(release.install, values)
    release.kubectl("wait", "--for=condition=Ready", "scaledobject", "--all", "--timeout=120s")
    assert release.object("deployment", "motet-press")["spec"]["replicas"] == 1
    async with release.bus() as bus:
        tasks = Tasks(bus)
        assert not await tasks.motet.wait_for_agents({"planner", "press"}, 60)
        await tasks.submit("proof", 8, seconds=60)
        await asyncio.to_thread(
            release.kubectl,
            *("wait", "--for=jsonpath={.status.readyReplicas}=3"),
            *("deployment/motet-press", "--timeout=180s"),
        )
        assert await tasks.problems() == []


async def test_by_cpu_it_is_installed_too(release: Release, images: Callable[..., None]) -> None:
    images("nats:2.15", "motet-test/press:1", "motet/graph-embedded:0.1.0")
    release.add_press()
    await asyncio.to_thread(release.install, scaled("hpa"))
    found = {each["metadata"]["name"] for each in release.objects("horizontalpodautoscalers")}
    # The two with a store of their own are one each.
    names = ("planner", "tool-executor", "speech", "evaluator", "press")
    assert found == {f"motet-{name}" for name in names}
    # No replicas in a Deployment that is scaled: an upgrade would set them back.
    release.kubectl("scale", "deployment/motet-press", "--replicas=2")
    await asyncio.to_thread(release.upgrade, {**scaled("hpa"), "podAnnotations": {"round": "2"}})
    assert release.object("deployment", "motet-press")["spec"]["replicas"] == 2
