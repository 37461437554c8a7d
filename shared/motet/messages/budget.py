"""Budgets (what a task may spend) and usage (what it has spent)."""

from __future__ import annotations

from pydantic import Field

from motet.messages.base import Value

__all__ = ["Budget", "Usage"]


class Usage(Value):
    """What was spent; adds up along the delegation tree."""

    input_tokens: int = Field(default=0, ge=0)
    """Tokens that models read."""
    output_tokens: int = Field(default=0, ge=0)
    """Tokens that models wrote."""
    cost_usd: float = Field(default=0.0, ge=0)
    """Cost in US dollars, by the price table; a local model costs nothing."""
    calls: int = Field(default=0, ge=0)
    """Delegated calls."""
    model_calls: int = Field(default=0, ge=0)
    """Requests to language models, cached answers left out."""

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
            calls=self.calls + other.calls,
            model_calls=self.model_calls + other.model_calls,
        )


class Budget(Value):
    """Limits on what may still be spent. None means no limit."""

    tokens: int | None = Field(default=None, ge=0)
    """Tokens that models read and write."""
    cost_usd: float | None = Field(default=None, ge=0)
    """US dollars."""
    calls: int | None = Field(default=None, ge=0)
    """Delegated calls, counted over the whole tree."""
    depth: int | None = Field(default=None, ge=0, le=64)
    """How many levels of delegation may lie below."""

    def minus(self, usage: Usage) -> Budget:
        """What is left after `usage`, never below zero. Depth is not spent by usage."""
        if self.tokens is None and self.cost_usd is None and self.calls is None:
            return self
        return Budget(
            tokens=None if self.tokens is None else max(0, self.tokens - usage.tokens),
            cost_usd=None if self.cost_usd is None else max(0.0, self.cost_usd - usage.cost_usd),
            calls=None if self.calls is None else max(0, self.calls - usage.calls),
            depth=self.depth,
        )

    def exceeded_by(self, usage: Usage) -> str | None:
        """The name of the first limit that `usage` is over, or None."""
        if self.tokens is not None and usage.tokens > self.tokens:
            return "tokens"
        if self.cost_usd is not None and usage.cost_usd > self.cost_usd:
            return "cost_usd"
        if self.calls is not None and usage.calls > self.calls:
            return "calls"
        return None
