"""The tool executor: an agent whose skills are typed tools.

Beside the tools that it brings, it runs those that other distributions offer in the entry point
group `motet.tools`; see `motet_tool_executor.registry`.
"""

from motet_tool_executor.registry import Limits, Tool, ToolRegistry, tool

__all__ = ["Limits", "Tool", "ToolRegistry", "tool"]
