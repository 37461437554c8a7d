"""Choosing: which strategy a task takes, and why."""

from __future__ import annotations

from typing import Literal, NamedTuple

from motet.errors import FaultError
from motet.messages import Task
from motet.models.capability import Capability
from motet.models.chat import cannot_act

__all__ = ["Choice", "choose"]

Strategy = Literal["plan", "react", "deep"]


class Choice(NamedTuple):
    """A strategy with its reason."""

    strategy: Strategy
    why: str


def choose(task: Task, capability: Capability, model: str) -> Choice:
    """The strategy of a task.

    Args:
        task: What is wanted.
        capability: How the model is to be used.
        model: The model's name, for the fault.

    Raises:
        FaultError: `model_failed` when the task asks for `deep` and the model cannot call tools.
    """
    if task.strategy == "deep" and not capability.calls_tools:
        raise FaultError(cannot_act(model))
    if task.strategy != "auto":
        return Choice(task.strategy, "the task asks for it")
    if capability.profile == "small":
        return Choice("plan", f"the model is small: {capability.why}")
    if task.length == "report" and capability.calls_tools:
        return Choice("deep", "a report is long work, and the model is capable")
    return Choice("react", f"the model is capable: {capability.why}")
