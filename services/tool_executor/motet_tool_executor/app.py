"""The tool executor as an agent: its tools are its skills."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from faststream import Context, ContextRepo

from motet.agent import Agent
from motet.bus import Bus
from motet.settings import load_settings
from motet_tool_executor.catalog import tools_of
from motet_tool_executor.registry import ToolRegistry
from motet_tool_executor.run import ToolRunner
from motet_tool_executor.settings import ToolExecutorSettings
from motet_tool_executor.skills import declare_skills

__all__ = ["agent", "tool_executor"]


def tool_executor(registry: ToolRegistry) -> Agent:
    """The agent that runs the tools of a registry."""

    @asynccontextmanager
    async def resources(
        context: ContextRepo, bus: Annotated[Bus, Context()]
    ) -> AsyncGenerator[None]:
        runner = ToolRunner(
            registry, bus.tracer, bus.instruments, record_content=bus.settings.record_content
        )
        context.set_global("tools", runner)
        try:
            yield
        finally:
            runner.close()

    agent = Agent(
        "tool_executor",
        description=(
            "Exact tools: arithmetic, unit conversion, dates, and tables: looking values up, and "
            "counting, adding and comparing them."
        ),
        lifespan=resources,
    )
    declare_skills(agent, registry)
    return agent


agent = tool_executor(tools_of(load_settings(ToolExecutorSettings)))
