"""What is on volumes outlives a change of the chart's values; some of it needs an API server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
from uuid import uuid4

import pytest
import yaml

from tests.helm.chart import CHART, Chart, ChartError, Objects, containers

Kubectl = Callable[..., None]


@pytest.fixture
def kubectl() -> Kubectl:
    """Runs kubectl against the cluster of KUBECONFIG."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster whose API server could be asked")
    command = shutil.which("kubectl")
    if command is None:
        pytest.skip("kubectl is not installed")

    def run(*arguments: str, given: str = "") -> None:
        subprocess.run(
            [command, *arguments], check=True, capture_output=True, text=True, input=given
        )

    return run


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of its own."""
    name = f"motet-test-{uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def claims(count: int) -> str:
    """The claims that as many servers of NATS leave behind."""
    return yaml.safe_dump_all(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": f"data-motet-nats-{number}"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "none",
                "resources": {"requests": {"storage": "20Gi"}},
            },
        }
        for number in range(count)
    )


def try_install(chart: Chart, namespace: str, *values: str) -> str:
    """What an installation says that is only tried."""
    return chart.run(
        *("install", "motet", CHART, "--namespace", namespace, "--dry-run=server"),
        *("--set", ",".join(values)),
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("before, wanted", [(1, 3), (3, 1)])
def test_a_cluster_of_nats_is_not_made_over_the_volume_of_one_server(
    chart: Chart, kubectl: Kubectl, namespace: str, before: int, wanted: int
) -> None:
    kubectl("create", "--namespace", namespace, "--filename", "-", given=claims(before))
    try_install(chart, namespace, f"nats.replicas={before}")
    with pytest.raises(ChartError, match=r"nats\.replicas is \d, but the volumes here"):
        try_install(chart, namespace, f"nats.replicas={wanted}")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("server", ["nats", "neo4j", "qdrant"])
def test_who_wants_larger_volumes_is_told_how(
    chart: Chart, kubectl: Kubectl, namespace: str, objects: Objects, server: str
) -> None:
    """The servers here are made without pods, and as if by this release."""
    there = deepcopy(objects.get("StatefulSet", f"motet-{server}"))
    there["metadata"] |= {
        "namespace": namespace,
        "annotations": {
            "meta.helm.sh/release-name": "motet",
            "meta.helm.sh/release-namespace": namespace,
        },
    }
    there["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    there["spec"]["replicas"] = 0
    kubectl("create", "--filename", "-", given=yaml.safe_dump(there))
    try_install(chart, namespace, f"{server}.persistence.size=20480Mi")
    with pytest.raises(ChartError, match=rf"{server}.* 20Gi: enlarge .* --cascade=orphan"):
        try_install(chart, namespace, f"{server}.persistence.size=30Gi")


def test_a_server_of_nats_has_started_when_its_streams_are_back(objects: Objects) -> None:
    (server,) = containers(objects.get("StatefulSet", "motet-nats")["spec"]["template"])
    assert server["startupProbe"]["httpGet"]["path"] == "/healthz"


def test_no_claim_goes_with_the_release(any_objects: Objects) -> None:
    for claim in any_objects.of("PersistentVolumeClaim"):
        kept = claim["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
        assert kept == "keep", claim["metadata"]["name"]
