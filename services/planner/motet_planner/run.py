"""Run: what a strategy is given beside the state.

It lives as long as one attempt at a task and is never checkpointed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from motet.messages import Answer
from motet.models.capability import Capability
from motet_planner.catalogue import Catalogue, catalogue_of
from motet_planner.evidence import PassageData
from motet_planner.partial import Streamed
from motet_planner.ports import Delegation, Model
from motet_planner.prompts import PROMPTS
from motet_planner.settings import PlannerSettings

__all__ = ["Finish", "Run"]

Finish = Callable[[Answer, Sequence[PassageData]], Awaitable[Answer]]
"""Completes an answer, given the passages that were found."""


async def _as_it_is(answer: Answer, _passages: Sequence[PassageData]) -> Answer:
    return answer


@dataclass(frozen=True)
class Run:
    """One attempt at a task."""

    call: Delegation
    model: Model
    settings: PlannerSettings
    capability: Capability = field(
        default_factory=lambda: Capability(profile="capable", calls_tools=True, why="")
    )
    retrieval: str | None = None
    """The strategy that all searches of the task take; None leaves it to the planner."""
    may_ask: bool = False
    """Whether the task may ask the person who submitted it."""
    form: str = ""
    """How the answer is to look: its language and length, as a sentence for the model."""
    report: bool = False
    """Whether the answer is a report with sections."""
    finish: Finish = _as_it_is
    """Completes the answer, given the passages that were found."""

    @property
    def catalogue(self) -> Catalogue:
        """The skills that can be used now."""
        return catalogue_of(self.call.cards(), own="planner")

    async def ask(
        self,
        prompt: str,
        schema: dict[str, Any],
        *,
        max_tokens: int,
        streamed: Streamed | None = None,
        **values: str,
    ) -> dict[str, Any]:
        """Has the model decide one thing, in the form of a JSON Schema.

        Args:
            prompt: The prompt's name.
            schema: The form.
            max_tokens: Limit on the reply.
            streamed: What of the reply whoever follows the task reads as it comes; None is nothing.
            values: Of the prompt's names.
        """
        self.call.check()
        return await self.model.structured(
            self.prompt(prompt, **values),
            schema,
            name=prompt,
            max_tokens=max_tokens,
            heard=None if streamed is None else streamed(self.call.stream),
        )

    async def write(self, prompt: str, *, max_tokens: int, **values: str) -> str:
        """Has the model write text for the answer; who follows the task reads it as it comes."""
        self.call.check()
        messages = self.prompt(prompt, **values)
        text = await self.model.text(messages, max_tokens=max_tokens, heard=self.call.stream)
        return text.strip()

    def prompt(self, name: str, **values: str) -> list[tuple[str, str]]:
        """The messages of a prompt: the tenant's own where the settings name a folder with it."""
        folder, tenant = self.settings.prompts_dir, self.call.principal.tenant
        return PROMPTS.load(name, folder=folder, tenant=tenant).messages(**values)
