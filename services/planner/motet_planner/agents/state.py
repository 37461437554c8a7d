"""State: what a task that an agent does keeps in its checkpoints, and how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, NotRequired, Required, cast

from langchain.agents.middleware import AgentMiddleware, AgentState
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.channels.delta import DeltaChannel
from langgraph.graph.message import (
    _messages_delta_reducer,  # pyright: ignore[reportPrivateUsage] - the reducer of a `DeltaChannel`
)

from motet.messages import Answer
from motet_planner.agents.tools import StepResult
from motet_planner.checkpoints import KeyValueCheckpointer, KeyValues
from motet_planner.citing import cite
from motet_planner.evidence import PassageData, mark_of
from motet_planner.run import Finish

__all__ = ["MESSAGES", "UNANSWERED", "Conclude", "MeshState", "checkpointer_of"]

MESSAGES = (AIMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage)
"""What a checkpoint may hold beside plain values."""
UNANSWERED = "[unanswered]"
"""Begins an answer that says that there is none."""


def checkpointer_of(bucket: KeyValues) -> KeyValueCheckpointer:
    """A checkpointer for tasks that agents do."""
    return KeyValueCheckpointer(bucket, MESSAGES)


def _merged(state: dict[str, Any] | None, new: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What there is with what is new, as a `DeltaChannel` has it."""
    merged = dict(state or {})
    for each in new:
        merged.update(each)
    return merged


# Checkpoints have only what is new: else each would hold all that was said and found before it.
_Messages: Any = DeltaChannel(cast("Any", _messages_delta_reducer), snapshot_frequency=50)
_Found = DeltaChannel(_merged, snapshot_frequency=50)


class MeshState(AgentState[Any]):
    """The state of an agent, and of those that it gives parts to."""

    messages: Required[Annotated[list[AnyMessage], _Messages]]
    passages: NotRequired[Annotated[dict[str, PassageData], _Found]]
    """What was found, by passage id."""
    steps: NotRequired[Annotated[dict[str, StepResult], _Found]]
    """What was delegated and done, by step."""
    answer: NotRequired[dict[str, Any]]
    """The `motet.messages.Answer`, once there is one."""


class Conclude(AgentMiddleware[Any, Any, Any]):
    """Makes the answer of the last message, within the graph: so it is in the last checkpoint."""

    state_schema = MeshState

    def __init__(
        self,
        goal: str,
        extra: Callable[[], Awaitable[dict[str, Any]]] | None = None,
        finish: Finish | None = None,
    ) -> None:
        """Ends a task.

        Args:
            goal: What was asked: a statement may repeat it.
            extra: Gives more for the answer's `data`.
            finish: Completes the answer, given the passages that were found.
        """
        super().__init__()
        self._goal = goal
        self._extra = extra
        self._finish = finish

    async def aafter_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        """Numbers the citations of the last message."""
        del runtime
        last = next(each for each in reversed(state["messages"]) if isinstance(each, AIMessage))
        steps: dict[str, StepResult] = state.get("steps") or {}
        found: dict[str, PassageData] = state.get("passages") or {}
        computed = " ".join(each["answer"] for each in steps.values())
        said = last.text.strip()
        answered = not said.startswith(UNANSWERED)
        cited = cite(
            said.removeprefix(UNANSWERED).strip(),
            {mark_of(key): passage for key, passage in found.items()},
            known=f"{self._goal} {computed}",
        )
        extra = {} if self._extra is None else await self._extra()
        answer = Answer(
            text=cited.text,
            answered=answered and bool(cited.text),
            citations=cited.citations,
            data={"steps": steps, **extra},
        )
        if self._finish is not None:
            answer = await self._finish(answer, list(found.values()))
        return {"answer": answer.model_dump(mode="json")}
