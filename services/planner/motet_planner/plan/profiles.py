"""Profiles: how a plan is made, and an answer written, by what the model can do."""

from __future__ import annotations

from typing import Any, Protocol

from motet_planner.catalogue import Skill
from motet_planner.plan.capable import Capable
from motet_planner.plan.small import Small
from motet_planner.run import Run
from motet_planner.state import Draft, PlanState, StepData

__all__ = ["PlanProfile", "profile_of"]


class PlanProfile(Protocol):
    """The decisions of a plan that a model takes."""

    async def plan(self, state: PlanState, run: Run, revision: int) -> list[StepData]:
        """Further steps; none where what there is must do."""
        ...

    async def input_of(
        self, step: StepData, skill: Skill, state: PlanState, run: Run
    ) -> dict[str, Any]:
        """The input of a step, which fits the skill's schema."""
        ...

    def unfinished(self, state: PlanState, run: Run) -> str | None:
        """Why another plan is wanted once all steps have an outcome; None to answer now."""
        ...

    async def answer(self, state: PlanState, run: Run) -> Draft:
        """The answer as the model gives it."""
        ...


def profile_of(run: Run) -> PlanProfile:
    """The profile of a run's model."""
    return Small() if run.capability.profile == "small" else Capable()
