"""Ports: what the planner needs from outside, so that its nodes run without a bus or a model.

`motet.agent.Call` and `motet.models.ChatModel` fit them; tests give small classes of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from motet.messages import AgentCard, Budget, Event, Principal, Question, Reply, TaskState
from motet.models.capability import Capability

__all__ = ["Delegation", "Model"]


class Model(Protocol):
    """A chat model."""

    @property
    def provider(self) -> str:
        """Who runs it; `local` for the model of the embedded mesh."""
        ...

    @property
    def window(self) -> int | None:
        """Tokens that it reads at most; None where that is not known."""
        ...

    @property
    def sees(self) -> bool:
        """Whether messages may have pictures, as LangChain's content blocks."""
        ...

    async def act(
        self,
        messages: Any,
        tools: Sequence[dict[str, Any]],
        *,
        max_tokens: int,
        heard: Callable[[str], Awaitable[None]] | None = None,
    ) -> Any:
        """Its next message as LangChain's, which may call tools; its text also piece by piece."""
        ...

    async def capability(self) -> Capability:
        """How it is to be used."""
        ...

    async def text(
        self,
        messages: Sequence[tuple[str, str]],
        *,
        max_tokens: int,
        stop: Sequence[str] | None = None,
        heard: Callable[[str], Awaitable[None]] | None = None,
    ) -> str:
        """The model's reply, also piece by piece; messages are pairs of role and content."""
        ...

    async def structured(
        self,
        messages: Sequence[tuple[str, str]],
        schema: dict[str, Any],
        *,
        name: str,
        max_tokens: int,
        heard: Callable[[str], Awaitable[None]] | None = None,
    ) -> dict[str, Any]:
        """A reply that fits a JSON Schema, also piece by piece; raises a `FaultError` for none."""
        ...


class Delegation(Protocol):
    """The part of a `Call` that plans are carried out with."""

    @property
    def task(self) -> str:
        """Id of the task."""
        ...

    @property
    def principal(self) -> Principal:
        """On whose behalf it is done."""
        ...

    @property
    def budget(self) -> Budget:
        """What may still be spent."""
        ...

    def check(self) -> None:
        """Raises a `FaultError` when the task must not go on."""

    def time_left_s(self) -> float | None:
        """Seconds until the deadline; None without one."""
        ...

    def cards(self) -> list[AgentCard]:
        """The agents that live now."""
        ...

    async def delegate(
        self,
        skill: str,
        request: Mapping[str, Any],
        *,
        step: str,
        budget: Budget | None = None,
    ) -> dict[str, Any]:
        """Has an agent do something, within a share of the budget; raises a `FaultError`."""
        ...

    async def ask(self, question: Question) -> Reply:
        """Asks a person; raises `Suspended` until there is a reply, a `FaultError` for a no."""
        ...

    async def event(self, message: str, **data: Any) -> None:
        """Makes something known to whoever follows the task."""

    async def publish(self, event: Event) -> None:
        """Writes an event of the task."""

    async def stream(self, text: str) -> None:
        """Gives away a piece of a text while it is written."""

    async def state(self, state: TaskState) -> None:
        """Moves the task on."""
