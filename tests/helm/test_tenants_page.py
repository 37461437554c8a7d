"""What docs/how-to/separate-tenants.md says of releases is what the chart does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml

from motet.bus.users import accounts_by_password, tenant
from motet.settings import Settings
from tests.helm.chart import CHART, Chart, containers, environment

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "separate-tenants.md").read_text("utf-8")
(BLOCK,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
VALUES = yaml.safe_load(BLOCK)


def test_a_release_of_a_namespace_is_that_namespaces(chart: Chart) -> None:
    objects = chart.render(VALUES)
    for deployment in objects.of("Deployment"):
        name = deployment["metadata"]["name"].removeprefix("motet-")
        if name not in ("planner", "retriever", "graph", "tool-executor", "speech", "evaluator"):
            continue
        told = environment(containers(deployment["spec"]["template"])[0])
        role = name.replace("-", "_")
        assert told["MOTET_NAMESPACE"] == "acme"
        assert told["MOTET_NATS_USER"] == f"acme-{role}"
        password = told["MOTET_NATS_PASSWORD"]["secretKeyRef"]
        assert password == {
            "name": "acme-nats",
            "key": f"MOTET_NATS_PASSWORD_ACME_{role.upper()}",
        }
        assert told["MOTET_TENANTS"] == "default,red"
    assert "motet-nats" not in objects.names("StatefulSet")


def test_keda_reads_the_queues_of_its_tenants_in_its_account(chart: Chart) -> None:
    scaled = chart.render(VALUES).get("ScaledObject", "motet-planner")
    told = [trigger["metadata"] for trigger in scaled["spec"]["triggers"]]
    assert {each["account"] for each in told} == {"ACME"}
    assert {each["stream"] for each in told} == {"ACME_TASKS"}
    assert {each["consumer"].rpartition("-")[2] for each in told} == {"default", "red"}


def test_the_passwords_that_it_needs_are_those_that_the_command_names() -> None:
    accounts = accounts_by_password([tenant(Settings(namespace="acme"))])
    assert "$MOTET_NATS_PASSWORD_ACME_PLANNER" in accounts
    assert "MOTET_NATS_PASSWORD_ACME_PLANNER" in PAGE


def test_the_releases_are_of_this_chart() -> None:
    commands = [shlex.split(line) for line in re.findall(r"^helm .*$", PAGE, re.MULTILINE)]
    assert len(commands) == 2
    for words in commands:
        assert words[1] == "install"
        assert words[2] == words[words.index("--namespace") + 1]
        assert (CHART.parents[1] / words[3] / "Chart.yaml").exists()


def test_each_release_has_stores_of_its_own(chart: Chart) -> None:
    names = chart.render().names("StatefulSet")
    assert {"motet-nats", "motet-qdrant", "motet-neo4j"} <= names
