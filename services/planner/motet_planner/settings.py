"""The planner's own settings, `MOTET_PLANNER_...`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from motet.settings import ServiceSettings

__all__ = ["PlannerSettings"]


class PlannerSettings(ServiceSettings):
    """What only the planner reads."""

    model_config = SettingsConfigDict(env_prefix="MOTET_PLANNER_")

    max_steps: int = Field(default=64, ge=1, le=500)
    """Steps that one plan may have; a longer plan is refused, and the model told so."""
    max_revisions: int = Field(default=2, ge=0, le=10)
    """Times that a plan is made anew after a fault or missing evidence."""
    passages: int = Field(default=3, ge=1, le=50)
    """Passages that a task's first search is asked for with the profile `small`, whose model reads
    35 to 60 tokens a second on two cores; a search in other words, or for figures to compute
    with, is asked for two more."""
    passages_capable: int = Field(default=10, ge=1, le=100)
    """The same with the profile `capable`."""
    answer_tokens: int = Field(default=600, ge=64)
    """Tokens of an answer by the profile `small`; a report may have four times as many."""
    message_tokens: int = Field(default=4096, ge=64)
    """Tokens of one message by the profile `capable`."""
    turns: int = Field(default=120, ge=1, le=1_000)
    """Requests to the model that a task of the strategies `react` and `deep` may make itself; each
    part that `deep` gives to a sub-agent may make half as many."""
    window_tokens: int = Field(default=100_000, ge=2_000)
    """Tokens of conversation that the model is sent in these strategies; past 85 % of them, or of
    what the model reads where that is less, what came first is summarised."""
    input_characters: int = Field(default=6_000, ge=0)
    """Characters of a task's own files that the profile `small` is given whole, together; of longer
    ones searches find passages."""
    input_characters_capable: int = Field(default=60_000, ge=0, le=100_000)
    """The same with the profile `capable`."""
    picture_bytes: int = Field(default=20 << 20, ge=1)
    """Bytes that the pictures of a task may have together."""
    session_max_age_s: float = Field(default=30 * 24 * 3600, ge=1)
    """Seconds after its last turn for which a session is kept."""
    prompts_dir: Path | None = None
    """Folder of prompts that replace the built-in ones: `NAME.vN.md` for all, `TENANT/NAME.vN.md`
    for one tenant. None has the built-in ones only."""
    warm_up: bool = True
    """Whether a local model reads the prompts' fixed parts when the service starts, so that its
    prefix cache has them before the first task."""
