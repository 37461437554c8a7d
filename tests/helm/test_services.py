"""What a service is told, how it is probed, scaled, replaced, and what it keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from motet.bus.permissions import AgentRole
from motet.bus.ready import PRIORITIES
from motet.bus.standing import StandingSettings, standing_consumers
from motet.bus.topology import Topology
from motet.bus.users import accounts_by_password, tenant
from motet.runtime import GRACE_S
from motet.settings import Settings
from tests.helm.chart import Chart, Objects, containers, environment

VALUES = Path(__file__).parent / "values"
AGENTS = ("planner", "retriever", "graph", "tool-executor", "speech", "evaluator")


def container_of(objects: Objects, name: str, kind: str = "Deployment") -> dict[str, Any]:
    return containers(objects.get(kind, name)["spec"]["template"])[0]


def told(objects: Objects, name: str) -> dict[str, Any]:
    return environment(container_of(objects, name))


@pytest.mark.parametrize("name", AGENTS)
def test_a_service_is_asked_for_its_life_and_for_its_readiness(objects: Objects, name: str) -> None:
    container = container_of(objects, f"motet-{name}")
    for probe, path in (("startup", "/health"), ("liveness", "/health"), ("readiness", "/ready")):
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "health"}
    pod = objects.get("Deployment", f"motet-{name}")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > 2 * GRACE_S


def test_nothing_ends_because_a_server_beside_it_is_not_up_yet(objects: Objects) -> None:
    (job,) = objects.of("Job")
    processes = [told(objects, f"motet-{name}") for name in AGENTS]
    processes.append(environment(containers(job["spec"]["template"])[0]))
    waits_s = min(float(env["MOTET_START_WITHIN_S"]) for env in processes)
    for name in ("nats", "neo4j", "qdrant"):
        probe = container_of(objects, f"motet-{name}", "StatefulSet")["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] <= waits_s, name


def test_settings_are_read_by_the_service_and_go_before_the_charts_own(chart: Chart) -> None:
    objects = chart.render(
        {
            "settings": {"MOTET_LOG_FORMAT": "text", "MOTET_TASK_DEADLINE_S": "900"},
            "services": {"planner": {"settings": {"MOTET_TASK_DEADLINE_S": "60"}}},
            "extraEnv": [{"name": "MOTET_LOG_LEVEL", "value": "debug"}],
        }
    )
    planner, speech = (told(objects, f"motet-{name}") for name in ("planner", "speech"))
    assert (planner["MOTET_LOG_FORMAT"], planner["MOTET_TASK_DEADLINE_S"]) == ("text", "60")
    assert (speech["MOTET_TASK_DEADLINE_S"], speech["MOTET_LOG_LEVEL"]) == ("900", "debug")


def test_every_variable_of_motet_is_one_that_there_is(any_objects: Objects) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text("utf-8")
    for where, pod in any_objects.with_pods():
        for container in containers(pod):
            # Those of the servers are read by their own configurations.
            if container["name"] in ("agent", "provision", "test"):
                for name in environment({"env": [], **container}):
                    assert not name.startswith("MOTET_") or f"`{name}`" in page, (where, name)


def test_the_number_of_copies_is_that_of_the_servers(chart: Chart) -> None:
    objects = chart.render(VALUES / "cluster.yaml")
    (job,) = objects.of("Job")
    assert environment(containers(job["spec"]["template"])[0])["MOTET_REPLICAS"] == "3"
    assert told(objects, "motet-planner")["MOTET_REPLICAS"] == "3"
    assert objects.get("StatefulSet", "motet-nats")["spec"]["replicas"] == 3


def test_tls_is_spoken_on_both_sides(chart: Chart) -> None:
    objects = chart.render(VALUES / "cluster.yaml")
    env = told(objects, "motet-planner")
    assert env["MOTET_NATS_URL"] == "tls://motet-nats:4222"
    mounts = container_of(objects, "motet-planner")["volumeMounts"]
    folder = next(each["mountPath"] for each in mounts if each["name"] == "nats-ca")
    assert env["MOTET_NATS_CA"] == f"{folder}/ca.crt"


@pytest.mark.parametrize(
    "values, model",
    [
        ({}, ("none", None)),
        ({"model": {"existingSecret": "keys"}}, ("auto", None)),
        ({"model": {"name": "openai:x", "url": "http://a/v1"}}, ("openai:x", "http://a/v1")),
        (
            {"localModel": {"enabled": True}},
            ("local:qwen2.5-coder-1.5b", "http://motet-model:8000/v1"),
        ),
    ],
    ids=["none", "by key", "by address", "in the cluster"],
)
def test_the_model_is_the_one_that_is_there(
    chart: Chart, values: dict[str, Any], model: tuple[str, str | None]
) -> None:
    objects = chart.render(values)
    env = told(objects, "motet-planner")
    assert (env["MOTET_MODEL"], env.get("MOTET_MODEL_URL")) == model
    assert "MOTET_MODEL" not in told(objects, "motet-tool-executor")
    test = environment(containers(objects.get("Pod", "motet-test"))[0])
    assert test["EXPECTED_END"] == ("failed" if model[0] == "none" else "succeeded")


def test_a_service_with_a_store_of_its_own_is_one_and_keeps_it(chart: Chart) -> None:
    objects = chart.render(VALUES / "embedded.yaml")
    for name, image in (("retriever", "retriever"), ("graph", "graph-embedded")):
        deployment = objects.get("Deployment", f"motet-{name}")
        assert deployment["spec"]["strategy"] == {"type": "Recreate"}
        assert deployment["spec"]["replicas"] == 1
        assert container_of(objects, f"motet-{name}")["image"].startswith(f"motet/{image}:")
        claim = objects.get("PersistentVolumeClaim", f"motet-{name}")
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        volumes = deployment["spec"]["template"]["spec"]["volumes"]
        assert {"name": "data", "persistentVolumeClaim": {"claimName": f"motet-{name}"}} in volumes
    assert objects.get("Deployment", "motet-planner")["spec"]["strategy"]["type"] == "RollingUpdate"
    assert objects.names("StatefulSet") == {"motet-nats"}


def test_servers_elsewhere_are_told(chart: Chart) -> None:
    objects = chart.render(VALUES / "external.yaml")
    assert objects.names("StatefulSet") == set()
    assert objects.of("PersistentVolumeClaim") == []
    assert told(objects, "motet-retriever")["MOTET_RETRIEVER_URL"] == "https://qdrant.stores:6333"
    assert told(objects, "motet-graph")["MOTET_GRAPH_URL"] == "neo4j+s://graph.stores"
    collector = told(objects, "motet-speech")["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert collector == "http://collector.observability:4318"


def triggers(objects: Objects, name: str) -> set[tuple[str, str]]:
    scaled = objects.get("ScaledObject", name)
    assert scaled["spec"]["scaleTargetRef"]["name"] == name
    return {
        (each["metadata"]["stream"], each["metadata"]["consumer"])
        for each in scaled["spec"]["triggers"]
    }


def test_keda_reads_consumers_that_the_provisioner_makes(chart: Chart) -> None:
    objects = chart.render(VALUES / "keda.yaml")
    (job,) = objects.of("Job")
    env = environment(containers(job["spec"]["template"])[0])
    topology = Topology(Settings(tenants=env["MOTET_TENANTS"]))
    standing = StandingSettings(
        skills=env["MOTET_PROVISION_SKILLS"], finished=env["MOTET_PROVISION_FINISHED"]
    )
    made = {(stream, each.durable_name) for stream, each in standing_consumers(topology, standing)}
    read = {each for name in AGENTS for each in triggers(objects, f"motet-{name}")}
    assert read <= made
    assert triggers(objects, "motet-planner") == {
        ("TASKS", f"task-ready-{priority}-{tenant}")
        for priority in PRIORITIES
        for tenant in ("default", "acme")
    }
    # Those that read and those that make the queues agree on which of them stand.
    assert told(objects, "motet-planner")["MOTET_TENANTS"] == env["MOTET_TENANTS"]


def test_keda_asks_for_each_server_by_its_name(chart: Chart) -> None:
    """Its scaler puts a server's name before the host, to ask the leader of a consumer."""
    objects = chart.render({"autoscaling": {"mode": "keda"}, "nats": {"replicas": 3}})
    trigger = objects.get("ScaledObject", "motet-speech")["spec"]["triggers"][0]["metadata"]
    headless = objects.get("StatefulSet", "motet-nats")["spec"]["serviceName"]
    assert trigger["natsServerMonitoringEndpoint"] == f"{headless}.mesh.svc.cluster.local:8222"
    assert trigger["account"] == "MOTET"
    server = container_of(objects, "motet-nats", "StatefulSet")
    assert environment(server)["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}


@pytest.mark.parametrize(
    "mode, kind", [("keda", "ScaledObject"), ("hpa", "HorizontalPodAutoscaler")]
)
def test_what_is_scaled_has_no_fixed_number(chart: Chart, mode: str, kind: str) -> None:
    values = {"autoscaling": {"mode": mode}, "qdrant": {"enabled": False}}
    objects = chart.render(values)
    assert objects.names(kind) == {f"motet-{each}" for each in AGENTS} - {"motet-retriever"}
    for deployment in objects.of("Deployment"):
        scaled = deployment["metadata"]["name"] in objects.names(kind)
        assert ("replicas" in deployment["spec"]) != scaled


def test_an_agent_of_ones_own_is_run_scaled_and_provisioned_like_the_others(chart: Chart) -> None:
    accounts = accounts_by_password([tenant(Settings(), [AgentRole("weather", ("now",))])])
    objects = chart.render(
        {
            "autoscaling": {"mode": "keda"},
            "nats": {"accounts": accounts},
            "extraAgents": {
                "weather": {
                    "image": {"registry": "registry.example.org", "repository": "a/w", "tag": "1"},
                    "skills": ["now"],
                    "command": ["python", "weather.py"],
                }
            },
        }
    )
    container = container_of(objects, "motet-weather")
    assert container["image"] == "registry.example.org/a/w:1"
    assert container["command"] == ["python", "weather.py"]
    env = environment(container)
    assert env["MOTET_NATS_USER"] == "weather"
    assert "MOTET_MODEL" not in env
    keys = objects.get("Secret", "motet-nats")["data"]
    assert env["MOTET_NATS_PASSWORD"]["secretKeyRef"]["key"] in keys
    assert triggers(objects, "motet-weather") == {("CALLS", "weather-now")}
    (job,) = objects.of("Job")
    skills = environment(containers(job["spec"]["template"])[0])["MOTET_PROVISION_SKILLS"]
    assert "weather.now" in skills.split(",")
    assert "motet-weather" in objects.names("NetworkPolicy")


def test_a_registry_of_ones_own_stands_before_every_image(chart: Chart) -> None:
    for where, pod in chart.render(VALUES / "air-gapped.yaml").with_pods():
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}], where
        for container in containers(pod):
            assert container["image"].startswith("registry.example.org/mirror/"), where


def test_a_digest_pins_an_image(chart: Chart) -> None:
    digest = f"sha256:{'0' * 64}"
    objects = chart.render({"services": {"planner": {"image": {"digest": digest}}}})
    assert container_of(objects, "motet-planner")["image"].endswith(f"@{digest}")


def test_a_change_of_what_a_server_is_told_replaces_it(chart: Chart) -> None:
    def pod(values: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
        return chart.render(values).get(kind, name)["spec"]["template"]

    for kind, name, values in (
        ("StatefulSet", "motet-nats", {"nats": {"replicas": 3}}),
        ("Deployment", "motet-collector", {"jaeger": {"enabled": False}}),
    ):
        assert pod({}, kind, name) != pod(values, kind, name)
        assert pod({}, kind, name) == pod({"autoscaling": {"mode": "hpa"}}, kind, name)


def test_each_revision_provisions_once(chart: Chart) -> None:
    """A Job cannot be changed: one that differs has another name, and so has each revision."""
    (one,) = chart.render().of("Job")
    (other,) = chart.render({"settings": {"MOTET_EVENTS_MAX_AGE_S": "60"}}).of("Job")
    assert one["metadata"]["name"] != other["metadata"]["name"]
    assert "helm.sh/hook" not in one["metadata"].get("annotations", {})
    assert "motet-provision-1-" in one["metadata"]["name"]
    assert not chart.render({"provision": {"enabled": False}}).of("Job")


def test_prometheus_and_grafana_find_what_is_theirs(chart: Chart) -> None:
    objects = chart.render(VALUES / "keda.yaml")
    services = {each["metadata"]["name"]: each for each in objects.of("Service")}
    for monitor in objects.of("ServiceMonitor"):
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        ports = {each["name"] for each in services[monitor["metadata"]["name"]]["spec"]["ports"]}
        assert {each["port"] for each in monitor["spec"]["endpoints"]} <= ports
    for dashboards in objects.of("ConfigMap"):
        if "dashboard" in dashboards["metadata"]["name"]:
            assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
