"""The committed AsyncAPI document is what the agents declare."""

from __future__ import annotations

import json
from pathlib import Path

from motet.asyncapi import document, installed_agents

EXPORT = Path(__file__).parents[2] / "docs" / "reference" / "asyncapi.json"


def test_export_is_current() -> None:
    committed = json.loads(EXPORT.read_text("utf-8"))
    assert document(installed_agents()) == committed, (
        f"regenerate it: python -m motet.asyncapi {EXPORT.relative_to(Path(__file__).parents[2])}"
    )


def test_every_skill_has_a_channel() -> None:
    addresses = {
        channel["address"] for channel in document(installed_agents())["channels"].values()
    }
    skills = {
        f"motet.call.{agent.name}.{skill}" for agent in installed_agents() for skill in agent.skills
    }
    assert skills
    assert skills <= addresses
    assert "motet.task.submit" in addresses
