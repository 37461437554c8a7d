"""What the pages on backups and on upgrades have Kubernetes do: manifests that fit the chart."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import Chart, Objects, containers, environment
from tests.helm.test_objects import KUBERNETES, assert_restricted, check

DOCS = Path(__file__).parents[2] / "docs" / "how-to"
BACKUP = (DOCS / "back-up-and-restore.md").read_text("utf-8")
PAGES = BACKUP + (DOCS / "upgrade.md").read_text("utf-8")
MANIFESTS: list[dict[str, Any]] = [
    item
    for block in re.findall(r"^```yaml\n(.*?)^```", BACKUP, re.DOTALL | re.MULTILINE)
    for item in yaml.safe_load_all(block)
]


def pod(name: str) -> dict[str, Any]:
    (found,) = (
        each for each in MANIFESTS if each["kind"] == "Pod" and each["metadata"]["name"] == name
    )
    return found


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("item", MANIFESTS, ids=lambda item: item["metadata"]["name"])
def test_a_manifest_fits_its_schema(item: dict[str, Any], version: str) -> None:
    check(item, version)
    if item["kind"] == "Pod":
        assert_restricted(item, item["metadata"]["name"])


def test_the_pod_of_backups_signs_on_as_the_chart_has_it(chart: Chart, objects: Objects) -> None:
    (container,) = containers(pod("motet-backup"))
    (provisioner,) = containers(objects.of("Job")[0]["spec"]["template"])
    assert container["image"] == provisioner["image"]
    own, others = environment(container), environment(provisioner)
    assert own["MOTET_NATS_URL"] == others["MOTET_NATS_URL"]
    secret = own["MOTET_NATS_PASSWORD"]["secretKeyRef"]
    assert secret["name"] == others["MOTET_NATS_PASSWORD"]["secretKeyRef"]["name"]
    assert secret["key"] in objects.get("Secret", secret["name"])["data"]
    assert base64.b64decode(objects.get("Secret", secret["name"])["data"][secret["key"]])


def test_neo4js_files_are_those_of_its_own_pod(objects: Objects) -> None:
    stateful = objects.get("StatefulSet", "motet-neo4j")
    there = stateful["spec"]["template"]
    here = pod("neo4j-files")
    (volume,) = here["spec"]["volumes"]
    (template,) = stateful["spec"]["volumeClaimTemplates"]
    claim = f"{template['metadata']['name']}-motet-neo4j-0"
    assert volume["persistentVolumeClaim"]["claimName"] == claim
    assert containers(here)[0]["image"] == containers(there)[0]["image"]
    for name in ("runAsUser", "fsGroup"):
        assert here["spec"]["securityContext"][name] == there["spec"]["securityContext"][name]


@pytest.mark.parametrize(
    "kind,named",
    [
        ("StatefulSet", r"statefulset (motet-[\w-]+)"),
        ("Service", r"service/(motet-[\w-]+)"),
        ("Secret", r"get secret --namespace motet (motet-[\w-]+)"),
        ("Deployment", r"deployment (motet-[\w-]+)"),
    ],
)
def test_what_is_named_is_in_the_chart(objects: Objects, kind: str, named: str) -> None:
    names = re.findall(named, PAGES)
    assert names
    assert set(names) <= objects.names(kind)


def test_the_claims_of_nats_are_selected_by_their_labels(objects: Objects) -> None:
    (selector,) = set(re.findall(r"--selector (\S+component=nats)", PAGES))
    wanted = dict(part.split("=") for part in selector.split(","))
    (template,) = objects.get("StatefulSet", "motet-nats")["spec"]["volumeClaimTemplates"]
    assert wanted.items() <= template["metadata"]["labels"].items()
