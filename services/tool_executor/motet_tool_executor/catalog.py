"""Which tools this service offers: its own, and those of other distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from motet.errors import SetupError
from motet.messages import now
from motet_tool_executor.calculate import calculate
from motet_tool_executor.closest import closest, did_you_mean
from motet_tool_executor.convert import convert
from motet_tool_executor.dates import dates_tool
from motet_tool_executor.registry import Tool, ToolRegistry, installed_tools
from motet_tool_executor.settings import ToolExecutorSettings
from motet_tool_executor.table_aggregate import table_aggregate
from motet_tool_executor.table_lookup import table_lookup

__all__ = ["own_tools", "tools_of"]


def own_tools(clock: Callable[[], datetime] = now, time_zone: str = "UTC") -> tuple[Tool, ...]:
    """The tools that this distribution brings."""
    return calculate, convert, dates_tool(clock, time_zone), table_lookup, table_aggregate


def tools_of(
    settings: ToolExecutorSettings, plugins: Callable[[], Iterable[Tool]] = installed_tools
) -> ToolRegistry:
    """The registry that the settings ask for.

    Raises:
        SetupError: Two tools have one name, a plug-in is not a tool, or a name that is disabled
            does not exist.
    """
    found = [*own_tools(time_zone=settings.time_zone), *(plugins() if settings.plugins else ())]
    known = {tool.name for tool in found}
    for name in sorted(settings.disabled_names - known):
        raise SetupError(
            f"MOTET_TOOL_EXECUTOR_DISABLED names {name!r}, which is no tool: there are "
            f"{', '.join(sorted(known))}.{did_you_mean(closest(name, known))}"
        )
    return ToolRegistry(tool for tool in found if tool.name not in settings.disabled_names)
