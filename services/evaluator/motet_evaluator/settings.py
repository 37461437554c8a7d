"""The evaluator's own settings, `MOTET_EVALUATOR_...`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from motet.models import choose
from motet.settings import ServiceSettings, Settings

__all__ = ["EvaluatorSettings"]


class EvaluatorSettings(ServiceSettings):
    """What only the evaluator reads."""

    model_config = SettingsConfigDict(env_prefix="MOTET_EVALUATOR_")

    judge: Literal["off", "auto", "on"] = "auto"
    """Whether the language model judges beside the scores that need none. `auto` asks it where it
    is a remote one; the small local model judges only when this is `on`."""
    judge_timeout_s: float = Field(default=60, gt=0)
    """Seconds that one judgement may take."""
    judge_claims: int = Field(default=20, ge=1, le=1000)
    """Claims or passages of one answer that are judged for one metric; of more, as many are taken,
    evenly."""
    score_tasks: bool = True
    """Whether each finished task is scored."""
    timeout_s: float = Field(default=120, gt=0)
    """Seconds that one score without a language model may take."""

    def judges(self, settings: Settings) -> bool:
        """Whether a language model is asked."""
        if self.judge == "auto":
            return choose(settings).remote
        return self.judge == "on"
