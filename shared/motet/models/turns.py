"""Turns: what a model that calls tools says next, as LangChain's message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from motet.messages import new_id

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

__all__ = ["turn"]


def turn(text: str, calls: Sequence[Mapping[str, Any]] = ()) -> AIMessage:
    """A message of a model.

    Args:
        text: What it says.
        calls: What it calls: a tool's `name`, its `args`, and an `id`, which may be left out.
    """
    from langchain_core.messages import AIMessage, ToolCall

    made = [
        ToolCall(name=each["name"], args=dict(each.get("args", {})), id=each.get("id") or new_id())
        for each in calls
    ]
    return AIMessage(text, tool_calls=made)
