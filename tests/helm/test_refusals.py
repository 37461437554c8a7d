"""Wrong values are refused before anything is installed, in words that say what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

WEATHER = {"image": {"repository": "agents/weather", "tag": "1"}, "skills": ["now"]}


@pytest.mark.parametrize(
    "values, said",
    [
        ({"nats": {"replicas": 2}}, "/nats/replicas': value must be one of 1, 3"),
        ({"servces": {}}, "additional properties 'servces' not allowed"),
        ({"services": {"planner": {"replica": 2}}}, "'replica' not allowed"),
        ({"services": {"planner": {"replicas": 0}}}, "/services/planner/replicas'"),
        ({"autoscaling": {"mode": "auto"}}, "must be one of 'off', 'hpa', 'keda'"),
        ({"autoscaling": {"keda": {"lagThreshold": 0}}}, "/autoscaling/keda/lagThreshold'"),
        ({"settings": {"TASK_DEADLINE_S": "9"}}, "/settings': additional properties 'TASK_"),
        ({"settings": {"MOTET_TASK_DEADLINE_S": 9}}, "got number, want string"),
        ({"model": {"name": "gpt-4.1-mini"}}, "/model/name'"),
        ({"qdrant": {"url": "qdrant:6333"}}, "/qdrant/url'"),
        ({"neo4j": {"persistence": {"size": "lots"}}}, "/neo4j/persistence/size'"),
        ({"terminationGracePeriodSeconds": 5}, "/terminationGracePeriodSeconds'"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy'"),
        ({"nats": {"image": {"digest": "abc"}}}, "/nats/image/digest'"),
        ({"extraAgents": {"weather": {"skills": ["now"]}}}, "missing property 'image'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_schema_names_the_value(
    refused: Callable[[dict[str, Any]], str], values: dict[str, Any], said: str
) -> None:
    assert said in refused(values)


@pytest.mark.parametrize(
    "values, said",
    [
        (
            {"qdrant": {"enabled": False}, "services": {"retriever": {"replicas": 2}}},
            "services.retriever.replicas is 2, but its embedded store is open in one process only",
        ),
        (
            {"neo4j": {"enabled": False}, "services": {"graph": {"replicas": 3}}},
            "set it to 1, or give it a server (neo4j.enabled or neo4j.url)",
        ),
        ({"nats": {"enabled": False}}, "nats.url must say where the NATS server is"),
        (
            {"nats": {"enabled": False, "url": "nats://bus"}, "autoscaling": {"mode": "keda"}},
            "nats.monitoring must say",
        ),
        ({"nats": {"tls": {"enabled": True}}}, "needs nats.tls.existingSecret"),
        (
            {"nats": {"persistence": {"size": "5Gi"}}},
            "too little for 14 streams of up to 1024 MiB: make it at least 16Gi",
        ),
        (
            {
                "autoscaling": {"mode": "hpa"},
                "services": {"speech": {"autoscaling": {"min": 5, "max": 2}}},
            },
            "autoscaling of speech has min 5 above max 2",
        ),
        ({"extraAgents": {"planner": WEATHER}}, "extraAgents.planner has the name of one of"),
        ({"extraAgents": {"weather": WEATHER}}, 'NATS knows no user "weather": set nats.accounts'),
        ({"settings": {"MOTET_NAMESPACE": "acme"}}, 'NATS knows no user "acme-'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_go_together_is_told_with_the_way_out(
    refused: Callable[[dict[str, Any]], str], values: dict[str, Any], said: str
) -> None:
    assert said in refused(values)


def test_less_in_a_stream_fits_a_smaller_volume(chart: Any) -> None:
    small = {"nats": {"persistence": {"size": "2Gi"}}, "settings": {"MOTET_STREAM_MAX_BYTES": "0"}}
    small["settings"]["MOTET_STREAM_MAX_BYTES"] = str(128 << 20)  # type: ignore[assignment]
    assert chart.render(small)
