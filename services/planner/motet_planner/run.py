"""Run: what the nodes of the graph are given beside the state.

It lives as long as one attempt at a task and is never checkpointed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from motet_planner.catalogue import Catalogue, catalogue_of
from motet_planner.ports import Delegation, Model
from motet_planner.prompts import PROMPTS
from motet_planner.settings import PlannerSettings

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """One attempt at a task."""

    call: Delegation
    model: Model
    settings: PlannerSettings
    retrieval: str | None = None
    """The strategy that all searches of the task take; None leaves it to the planner."""

    @property
    def catalogue(self) -> Catalogue:
        """The skills that can be used now."""
        return catalogue_of(self.call.cards(), own="planner")

    @property
    def line_budget(self) -> int:
        """Characters of document lines that the model is shown for one question."""
        local = self.model.provider == "local"
        return self.settings.lines_local if local else self.settings.lines_remote

    async def ask(
        self, prompt: str, schema: dict[str, Any], *, max_tokens: int, **values: str
    ) -> dict[str, Any]:
        """Has the model decide one thing, in the form of a JSON Schema."""
        self.call.check()
        messages = PROMPTS.load(prompt).messages(**values)
        return await self.model.structured(messages, schema, name=prompt, max_tokens=max_tokens)

    async def write(self, prompt: str, *, max_tokens: int, **values: str) -> str:
        """Has the model write text for the answer; who follows the task reads it as it comes."""
        self.call.check()
        messages = PROMPTS.load(prompt).messages(**values)
        text = await self.model.text(messages, max_tokens=max_tokens, heard=self.call.stream)
        return text.strip()
