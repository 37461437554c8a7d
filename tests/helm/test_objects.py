"""Every object of every set of values is one that an API server takes, and no pod is privileged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.helm.chart import CHART, VALUES, Chart, Objects, containers

SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES = ["1.29", "1.37"]
"""The oldest and the newest version that the objects are held to."""
ON_DISK = {"neo4j"}
"""Containers whose root file system may be written: the start script of the image does."""


@cache
def schema(name: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / name).read_text("utf-8"))


def check(item: dict[str, Any], version: str) -> None:
    """Holds an object to the schema of its kind, unknown fields refused."""
    group, _, number = item["apiVersion"].rpartition("/")
    if (SCHEMAS / f"{item['kind']}-{group}-{number}.json").exists():
        jsonschema.validate(item, schema(f"{item['kind']}-{group}-{number}.json"))
    else:
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("values", [None, *VALUES], ids=lambda each: each.stem if each else "none")
def test_lint_finds_nothing(chart: Chart, values: Path | None) -> None:
    more = [] if values is None else ["--values", values]
    chart.run("lint", "--strict", CHART, *more)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_fits_its_schema(any_objects: Objects, version: str) -> None:
    for item in any_objects:
        check(item, version)


def test_an_unknown_field_would_be_found(objects: Objects) -> None:
    item = json.loads(json.dumps(objects.get("Deployment", "motet-planner")))
    item["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        check(item, KUBERNETES[0])


def test_no_two_objects_are_one(any_objects: Objects) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in any_objects]
    assert len(names) == len(set(names))


def test_every_object_says_whose_it_is(any_objects: Objects) -> None:
    for item in any_objects:
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "motet"
        assert labels["app.kubernetes.io/component"]
        if item["kind"] != "Pod":
            assert labels["helm.sh/chart"].startswith("motet-")
        assert item["metadata"]["namespace"] == "mesh"


def test_no_environment_has_doubles(any_objects: Objects) -> None:
    for where, pod in any_objects.with_pods():
        for container in containers(pod):
            names = [each["name"] for each in container.get("env", [])]
            assert len(names) == len(set(names)), where


def test_every_pod_is_of_the_restricted_standard(any_objects: Objects) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, `restricted`."""
    for where, pod in any_objects.with_pods():
        assert_restricted(pod, where)


def assert_restricted(pod: dict[str, Any], where: str) -> None:
    spec = pod["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), where
    assert spec["securityContext"]["runAsNonRoot"] is True, where
    assert spec["securityContext"]["runAsUser"] > 0, where
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
    kinds = {next(iter(set(each) - {"name"})) for each in spec.get("volumes", [])}
    assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}, where
    for container in containers(pod):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, where
        assert context["capabilities"] == {"drop": ["ALL"]}, where
        assert "privileged" not in context, where
        on_disk = container["name"] in ON_DISK
        assert context.get("readOnlyRootFilesystem") or on_disk, where
        assert not any("hostPort" in each for each in container.get("ports", [])), where


def test_no_pod_has_a_token_or_the_addresses_of_others(any_objects: Objects) -> None:
    accounts = any_objects.names("ServiceAccount")
    for where, pod in any_objects.with_pods():
        assert pod["spec"]["automountServiceAccountToken"] is False, where
        assert pod["spec"]["enableServiceLinks"] is False, where
        assert pod["spec"]["serviceAccountName"] in accounts, where
    for account in any_objects.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_every_container_asks_for_room_and_is_bounded(any_objects: Objects) -> None:
    for where, pod in any_objects.with_pods():
        for container in containers(pod):
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), where
            assert "memory" in container["resources"]["limits"], where


def test_every_image_is_of_one_version(any_objects: Objects) -> None:
    for where, pod in any_objects.with_pods():
        for container in containers(pod):
            tag = container["image"].rpartition("/")[2].partition(":")[2]
            assert tag not in ("", "latest"), where


def test_every_selector_finds_its_pods(any_objects: Objects) -> None:
    labels = [pod["metadata"]["labels"] for _, pod in any_objects.with_pods()]
    for item in any_objects:
        match item["kind"]:
            case "Service":
                wanted = item["spec"]["selector"]
            case "PodDisruptionBudget" | "Deployment" | "StatefulSet":
                wanted = item["spec"]["selector"]["matchLabels"]
            case _:
                continue
        found = [each for each in labels if wanted.items() <= each.items()]
        assert len(found) == 1, item["metadata"]["name"]


def test_every_server_and_service_may_be_disrupted_one_at_a_time(any_objects: Objects) -> None:
    budgets = any_objects.names("PodDisruptionBudget")
    watched = any_objects.names("StatefulSet") | any_objects.names("Deployment")
    telemetry = {name for name in watched if name.endswith(("-collector", "-jaeger"))}
    assert budgets == watched - telemetry
    for budget in any_objects.of("PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] == 1


def asked_for(item: dict[str, Any]) -> dict[str, Any]:
    """An object where nothing else is: a pod is refused whose account or priority is not there."""
    there = json.loads(
        json.dumps({**item, "metadata": {**item["metadata"], "namespace": "default"}})
    )
    if there["kind"] == "Pod":
        there["spec"]["serviceAccountName"] = "default"
        there["spec"].pop("priorityClassName", None)
    return there


@pytest.mark.timeout(120)
def test_an_api_server_takes_every_object(any_objects: Objects) -> None:
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster whose API server could be asked")
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    known = subprocess.run(
        [kubectl, "api-resources", "--output", "name"], check=True, capture_output=True, text=True
    ).stdout
    taken = [
        asked_for(each)
        for each in any_objects
        if f"{each['kind'].lower()}s" in known or each["kind"] == "NetworkPolicy"
    ]
    asked = subprocess.run(
        [kubectl, "create", "--dry-run=server", "--output", "name", "--filename", "-"],
        check=False,
        capture_output=True,
        text=True,
        input=yaml.safe_dump_all(taken),
    )
    assert asked.returncode == 0, asked.stderr
