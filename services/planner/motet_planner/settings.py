"""The planner's own settings, `MOTET_PLANNER_...`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from motet.settings import ServiceSettings

__all__ = ["PlannerSettings"]


class PlannerSettings(ServiceSettings):
    """What only the planner reads."""

    model_config = SettingsConfigDict(env_prefix="MOTET_PLANNER_")

    max_steps: int = Field(default=8, ge=1, le=64)
    """Steps that one plan may have; more are cut off."""
    max_revisions: int = Field(default=2, ge=0, le=10)
    """Times that a plan is made anew after a fault or missing evidence."""
    passages: int = Field(default=6, ge=1, le=50)
    """Passages that a search is asked for."""
    lines_local: int = Field(default=700, ge=200)
    """Characters of document lines that a local model is shown for one question: it reads some 60
    tokens a second on two cores."""
    lines_remote: int = Field(default=8000, ge=200)
    """The same for any other model."""
    deep_turns: int = Field(default=60, ge=1, le=1_000)
    """Requests to the model that a task of the strategy `deep` may make itself; each part that it
    gives to a sub-agent may make half as many."""
    deep_tokens: int = Field(default=4096, ge=64)
    """Tokens that one message of the model may have in it."""
    deep_window: int = Field(default=100_000, ge=2_000)
    """Tokens of conversation that the model is sent in it; past 85 % of them, or of what the model
    reads where that is less, what came first is summarised."""
    warm_up: bool = True
    """Whether a local model reads the prompts' fixed parts when the service starts, so that its
    prefix cache has them before the first task."""
