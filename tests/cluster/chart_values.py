"""Values that the chart is tried with."""

from __future__ import annotations

from typing import Any

from motet.bus.permissions import AgentRole
from motet.bus.users import accounts_by_password, tenant
from motet.settings import Settings

__all__ = ["EMBEDDED", "WITHOUT_QDRANT", "restarted", "with_press"]

Values = dict[str, Any]

WITHOUT_QDRANT: Values = {"qdrant": {"enabled": False}}
"""The defaults, but for the one server whose image is to be had from a registry only."""
EMBEDDED: Values = {name: {"enabled": False} for name in ("qdrant", "neo4j", "jaeger", "collector")}
"""Stores of the services' own, and no telemetry."""


def with_press(values: Values, **nats: Any) -> Values:
    """Values with the press as an agent of one's own, and the scripted model."""
    skills = ("proof", "edition")
    return {
        **values,
        "nats": {
            "accounts": accounts_by_password([tenant(Settings(), [AgentRole("press", skills)])]),
            **nats,
        },
        "model": {"name": "local:scripted", "url": "http://press-model:8000/v1"},
        "extraAgents": {
            "press": {"image": {"repository": "motet-test/press", "tag": "1"}, "skills": skills}
        },
        # Every answer of the model takes its time.
        "settings": {"MOTET_MODEL_CACHE": "false"},
    }


def restarted(values: Values) -> Values:
    """Values that differ so that every pod is replaced, those of servers too."""
    return {**values, "podAnnotations": {"motet.test/round": "2"}}
