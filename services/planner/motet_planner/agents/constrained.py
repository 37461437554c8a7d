"""Constrained: tool calls of a model that has no form of its own for them, asked for as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage
from langchain_core.utils.json_schema import dereference_refs

from motet.models.turns import turn
from motet_planner.ports import Model

__all__ = ["next_message"]

_FORM = (
    'Reply with JSON. To use tools: {"next": [{"tool": NAME, "input": {...}}, ...]}. '
    'To end with your answer: {"next": "the answer"}.\n\nTools:\n'
)


async def next_message(
    model: Model,
    messages: Sequence[BaseMessage],
    tools: Sequence[dict[str, Any]],
    *,
    max_tokens: int,
) -> AIMessage:
    """The model's next message, with the tools that it calls.

    Args:
        model: A model that replies in the form of a JSON Schema.
        messages: The conversation, with what tools gave.
        tools: What it may call, each as OpenAI describes a function.
        max_tokens: Limit on the message.

    Raises:
        FaultError: As `ChatModel.structured`.
    """
    functions = [tool["function"] for tool in tools]
    reply = await model.structured(
        _as_text(messages, functions), _schema(functions), name="next", max_tokens=max_tokens
    )
    said: Any = reply["next"]
    if isinstance(said, str):
        return turn(said)
    calls = cast("list[dict[str, Any]]", said)
    return turn("", [{"name": call["tool"], "args": call["input"]} for call in calls])


def _schema(functions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    calls = [
        {
            "type": "object",
            "properties": {
                "tool": {"const": each["name"]},
                "input": dereference_refs(each.get("parameters") or {"type": "object"}),
            },
            "required": ["tool", "input"],
            "additionalProperties": False,
        }
        for each in functions
    ]
    several = {"type": "array", "items": {"anyOf": calls}, "minItems": 1, "maxItems": 8}
    return {
        "type": "object",
        "properties": {"next": {"anyOf": [several, {"type": "string", "minLength": 1}]}},
        "required": ["next"],
        "additionalProperties": False,
    }


def _as_text(
    messages: Sequence[BaseMessage], functions: Sequence[dict[str, Any]]
) -> list[tuple[str, str]]:
    """The conversation without the provider's own forms: calls and results are told as text."""
    listed = "\n".join(
        f"- {each['name']}: {each.get('description', '')} "
        f"Input: {json.dumps(each.get('parameters') or {}, ensure_ascii=False)}"
        for each in functions
    )
    told: list[tuple[str, str]] = []
    system = "\n\n".join(each.text for each in messages if isinstance(each, SystemMessage))
    told.append(("system", f"{system}\n\n{_FORM}{listed}"))
    for message in messages:
        match message:
            case SystemMessage():
                continue
            case AIMessage() if message.tool_calls:
                calls = [{"tool": c["name"], "input": c["args"]} for c in message.tool_calls]
                told.append(("assistant", json.dumps({"next": calls}, ensure_ascii=False)))
            case AIMessage():
                told.append(("assistant", json.dumps({"next": message.text}, ensure_ascii=False)))
            case ToolMessage():
                told.append(("user", f"Result of {message.name}:\n{message.text}"))
            case _:
                told.append(("user", message.text))
    return told
