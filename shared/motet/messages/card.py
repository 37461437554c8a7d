"""Cards: how agents announce what they can do."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from motet.messages.base import Message, Name, Timestamp, Value, now

__all__ = ["AgentCard", "SkillCard", "SkillExample"]


class SkillExample(Value):
    """A worked example, for planners and people."""

    goal: str
    """What somebody wanted."""
    input: dict[str, Any]
    """The input that served it."""


class SkillCard(Value):
    """One skill."""

    name: Name
    description: str = Field(min_length=1, max_length=1000)
    """When to use it, in a sentence that a planner reads."""
    input_schema: dict[str, Any]
    """JSON Schema of its input."""
    output_schema: dict[str, Any]
    """JSON Schema of its output."""
    examples: tuple[SkillExample, ...] = ()
    plannable: bool = True
    """Whether a planner may use it; upkeep such as ingestion is not for planners."""
    side_effects: bool = False
    """Whether it acts on the outside."""
    approval: str | None = None
    """What a person is asked before it runs; None asks nobody."""
    typical_s: float | None = Field(default=None, gt=0)
    """Seconds that it usually takes."""
    cost_usd: float | None = Field(default=None, ge=0)
    """US dollars that it usually costs."""


class AgentCard(Message):
    """An agent, kept in the bucket `agents` while a process of it lives."""

    name: Name
    description: str = Field(min_length=1, max_length=1000)
    version: str
    instance: str
    """The process; several of one agent share its work."""
    skills: tuple[SkillCard, ...]
    started_at: Timestamp = Field(default_factory=now)
