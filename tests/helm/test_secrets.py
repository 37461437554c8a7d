"""No password is in the chart; who gets which.

That an upgrade keeps the passwords of an installation can only be seen on a cluster: helm looks
them up there.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.helm.chart import CHART, Chart, Objects, containers, environment

VALUES = Path(__file__).parent / "values"


def passwords(objects: Objects) -> dict[str, str]:
    return {
        f"{secret['metadata']['name']}/{key}": base64.b64decode(value).decode()
        for secret in objects.of("Secret")
        for key, value in secret["data"].items()
    }


def test_passwords_are_random_long_and_differ(chart: Chart) -> None:
    one, other = passwords(chart.render(name="one")), passwords(chart.render(name="other"))
    assert len(one) > 10
    assert len(set(one.values()) | set(other.values())) == len(one) + len(other)
    for value in one.values():
        assert len(value) == 32
        assert value.isalnum()
        assert value[0].isalpha(), "NATS reads a variable that begins with a digit as a number"


def test_no_default_is_a_secret() -> None:
    def told(values: object, path: str = "") -> list[str]:
        if isinstance(values, dict):
            return [each for key, value in values.items() for each in told(value, f"{path}/{key}")]
        secret = any(word in path.lower() for word in ("secret", "password", "token"))
        return [path] if secret and values not in ("", {}, []) else []

    assert told(yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))) == []


def test_passwords_outlive_the_installation_as_its_volumes_do(objects: Objects) -> None:
    for secret in objects.of("Secret"):
        assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_no_secret_is_made_where_all_are_given(chart: Chart) -> None:
    objects = chart.render(VALUES / "secured.yaml")
    assert objects.of("Secret") == []
    named = str(list(objects))
    for secret in ("nats-users", "qdrant-key", "neo4j-password", "model-keys"):
        assert f"'{secret}'" in named


def test_a_process_is_given_its_own_password_only(objects: Objects) -> None:
    for where, pod in objects.with_pods():
        if not where.startswith(("Deployment", "Job")) or where.endswith(("collector", "jaeger")):
            continue
        (container,) = containers(pod)
        env = environment(container)
        user = env["MOTET_NATS_USER"]
        key = env["MOTET_NATS_PASSWORD"]["secretKeyRef"]["key"]
        assert key == f"MOTET_NATS_PASSWORD_{user.upper()}"
        assert user.replace("_", "-") in where
        assert "envFrom" not in container


def test_keys_of_models_go_to_those_who_ask_models(chart: Chart) -> None:
    objects = chart.render({"model": {"existingSecret": "model-keys"}})
    given = {
        where
        for where, pod in objects.with_pods()
        if "model-keys" in str(containers(pod)[0].get("envFrom"))
    }
    asking = ("evaluator", "graph", "planner", "retriever", "speech")
    assert given == {f"Deployment/motet-{name}" for name in asking}


def test_a_secret_among_settings_is_refused_with_a_sentence(
    refused: Callable[[dict[str, Any]], str],
) -> None:
    assert "give it in extraEnv" in refused({"settings": {"MOTET_GRAPH_PASSWORD": "x"}})
