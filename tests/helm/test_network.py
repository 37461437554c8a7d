"""Network policies: nothing in and nothing out but what a component needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helm.chart import Chart, Objects

VALUES = Path(__file__).parent / "values"
Labels = dict[str, str]


def labels_of(objects: Objects) -> dict[str, Labels]:
    """Labels of pods by component."""
    pods = [pod["metadata"]["labels"] for _, pod in objects.with_pods()]
    return {each["app.kubernetes.io/component"]: each for each in pods}


def selects(selector: dict[str, Any], labels: Labels) -> bool:
    assert set(selector) <= {"matchLabels"}
    return selector.get("matchLabels", {}).items() <= labels.items()


def admitted(policies: Objects, side: str, own: Labels, other: Labels, port: int) -> bool:
    """Whether any policy of `own` lets `port` of one of both through, on its side."""
    rules = [
        rule
        for policy in policies
        if selects(policy["spec"]["podSelector"], own)
        for rule in policy["spec"].get(side, [])
    ]
    peers_of = "from" if side == "ingress" else "to"
    return any(
        any(each["port"] == port for each in rule["ports"])
        and any(
            "podSelector" in peer
            and "namespaceSelector" not in peer
            and selects(peer["podSelector"], other)
            for peer in rule.get(peers_of, [])
        )
        for rule in rules
    )


def reachable(objects: Objects, source: str, target: str, port: int) -> bool:
    """Whether a pod of a component may connect to one of another, by both sides' policies."""
    policies, labels = objects.of("NetworkPolicy"), labels_of(objects)
    one, other = labels[source], labels[target]
    return admitted(policies, "egress", one, other, port) and admitted(
        policies, "ingress", other, one, port
    )


def test_every_pod_is_refused_everything_first(any_objects: Objects) -> None:
    (closed,) = (
        each
        for each in any_objects.of("NetworkPolicy")
        if each["metadata"]["name"].endswith("-all")
    )
    assert closed["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in closed["spec"]
    assert {each["port"] for rule in closed["spec"]["egress"] for each in rule["ports"]} == {53}
    for where, pod in any_objects.with_pods():
        assert selects(closed["spec"]["podSelector"], pod["metadata"]["labels"]), where


def test_every_policy_selects_pods(any_objects: Objects) -> None:
    pods = [pod["metadata"]["labels"] for _, pod in any_objects.with_pods()]
    for policy in any_objects.of("NetworkPolicy"):
        assert any(selects(policy["spec"]["podSelector"], each) for each in pods), policy


AGENTS = ["planner", "retriever", "graph", "tool-executor", "speech", "evaluator"]


@pytest.mark.parametrize("source", [*AGENTS, "provision", "test"])
def test_what_speaks_to_nats_may(objects: Objects, source: str) -> None:
    assert reachable(objects, source, "nats", 4222)
    assert not reachable(objects, source, "nats", 8222)
    assert not reachable(objects, source, "nats", 6222)
    assert reachable(objects, source, "collector", 4318)


def test_a_store_is_open_to_its_own_service_only(objects: Objects) -> None:
    for source in [*AGENTS, "provision", "collector"]:
        assert reachable(objects, source, "qdrant", 6333) == (source == "retriever")
        assert reachable(objects, source, "neo4j", 7687) == (source == "graph")


def test_traces_go_from_the_collector_to_jaeger(objects: Objects) -> None:
    assert reachable(objects, "collector", "jaeger", 4317)
    assert not reachable(objects, "planner", "jaeger", 4317)


def test_servers_of_nats_reach_each_other(chart: Chart) -> None:
    assert reachable(chart.render(VALUES / "cluster.yaml"), "nats", "nats", 6222)


def test_the_local_model_is_reached_by_those_who_ask_models(chart: Chart) -> None:
    objects = chart.render(VALUES / "air-gapped.yaml")
    for source in AGENTS:
        assert reachable(objects, source, "model", 8000) == (source != "tool-executor")


def ways_out(objects: Objects, component: str) -> set[int]:
    """Ports that a component may reach outside of the release."""
    labels = labels_of(objects)[component]
    return {
        each["port"]
        for policy in objects.of("NetworkPolicy")
        if selects(policy["spec"]["podSelector"], labels)
        for rule in policy["spec"].get("egress", [])
        if not any("podSelector" in peer for peer in rule.get("to", []))
        for each in rule["ports"]
    } - {53}


def test_nothing_leads_out_of_the_cluster_unless_a_model_is_there(chart: Chart) -> None:
    for component in labels_of(chart.render()):
        assert ways_out(chart.render(), component) == set()
    keyed = chart.render({"model": {"existingSecret": "keys"}})
    assert ways_out(keyed, "planner") == {443}
    assert ways_out(keyed, "tool-executor") == ways_out(keyed, "nats") == set()


def test_keys_of_models_do_not_open_private_networks(chart: Chart) -> None:
    policy = chart.render({"model": {"existingSecret": "keys"}}).get(
        "NetworkPolicy", "motet-planner"
    )
    blocks = [
        peer["ipBlock"]
        for rule in policy["spec"]["egress"]
        for peer in rule["to"][:1]
        if "ipBlock" in peer
    ]
    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(blocks[0]["except"])


def test_servers_elsewhere_are_reached_by_their_ports(chart: Chart) -> None:
    objects = chart.render(VALUES / "external.yaml")
    assert ways_out(objects, "planner") == {4222, 4318, 8000}
    assert ways_out(objects, "retriever") == {4222, 4318, 8000, 6333}
    assert ways_out(objects, "graph") == {4222, 4318, 8000, 7687}
    assert ways_out(objects, "tool-executor") == {4222, 4318}


def test_keda_and_prometheus_read_what_they_need(chart: Chart) -> None:
    objects = chart.render(VALUES / "keda.yaml")
    for name, port in (("nats", 8222), ("collector", 8889), ("jaeger", 8888)):
        policy = objects.get("NetworkPolicy", f"motet-{name}")
        spaces = {
            peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            for rule in policy["spec"]["ingress"]
            if any(each["port"] == port for each in rule["ports"])
            for peer in rule["from"]
            if "namespaceSelector" in peer
        }
        assert spaces == ({"keda", "monitoring"} if name == "nats" else {"monitoring"})


def test_without_them_there_is_none(chart: Chart) -> None:
    assert chart.render({"networkPolicy": {"enabled": False}}).of("NetworkPolicy") == []
