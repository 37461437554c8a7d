"""Skills: each tool of the registry is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from faststream import Context
from pydantic import BaseModel

from motet.agent import Agent, Call
from motet_tool_executor.files import with_text
from motet_tool_executor.registry import Tool, ToolRegistry
from motet_tool_executor.run import ToolRunner

__all__ = ["declare_skills"]


def declare_skills(agent: Agent, registry: ToolRegistry) -> None:
    """Makes every tool a skill of the agent."""
    for tool in registry:
        agent.skill(
            tool.name,
            tool.description,
            examples=tool.examples,
            side_effects=tool.side_effects,
            typical_s=tool.typical_s,
            concurrency=tool.limits.concurrency,
        )(_handler(tool))


def _handler(tool: Tool) -> Callable[..., Awaitable[BaseModel]]:
    async def handle(request: Any, call: Call, tools: Any) -> BaseModel:
        request = await with_text(request, call.blobs)
        return await tools.run(tool.name, request, call_id=call.id)

    handle.__name__ = handle.__qualname__ = tool.name
    handle.__doc__ = tool.description
    # The agent reads the types of a skill from its annotations; here they are the tool's.
    handle.__annotations__ = {
        "request": tool.input,
        "call": Call,
        "tools": Annotated[ToolRunner, Context()],
        "return": tool.output,
    }
    return handle
