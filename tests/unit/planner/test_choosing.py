"""Choosing: the strategy of a task, by what the model can do."""

from __future__ import annotations

from typing import Any

import pytest

from motet.errors import FaultError
from motet.messages import Task
from motet.models.capability import Capability
from motet_planner.choosing import choose

CAPABLE = Capability(profile="capable", calls_tools=True, why="its card says so")
PLAIN = Capability(profile="capable", calls_tools=False, why="the setting says so")
SMALL = Capability(profile="small", calls_tools=False, why="its card says so")


@pytest.mark.parametrize(
    "task, capability, strategy",
    [
        ({}, CAPABLE, "react"),
        ({}, PLAIN, "react"),
        ({}, SMALL, "plan"),
        ({"length": "report"}, CAPABLE, "deep"),
        ({"length": "report"}, PLAIN, "react"),
        ({"length": "report"}, SMALL, "plan"),
        ({"strategy": "plan"}, CAPABLE, "plan"),
        ({"strategy": "react"}, SMALL, "react"),
    ],
)
def test_auto_goes_by_the_model_and_a_task_may_say(
    task: dict[str, Any], capability: Capability, strategy: str
) -> None:
    assert choose(Task(goal="Why?", **task), capability, "m").strategy == strategy


def test_the_reason_of_the_profile_is_told() -> None:
    assert "its card says so" in choose(Task(goal="Why?"), SMALL, "m").why


def test_deep_needs_a_model_that_calls_tools() -> None:
    with pytest.raises(FaultError, match="MOTET_MODEL_TOOLS"):
        choose(Task(goal="Why?", strategy="deep"), SMALL, "m")
