"""How tools run: off the event loop, within their limits, each run a span.

What always holds:

- A plain function runs in a thread of its own tool, of which there are as many as its limits allow
  runs at once: no tool waits for another one's threads.
- A run that takes longer than its limit is a fault. Its thread cannot be stopped and keeps its
  place until it ends, so that a tool that hangs holds up itself only.
- `async` functions run on the event loop and are cancelled at their limit.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from opentelemetry.util.types import AttributeValue
from pydantic import BaseModel

from motet.errors import FaultError
from motet.messages import FaultType
from motet.telemetry import Instruments, Tracer, names
from motet_tool_executor.registry import Tool, ToolRegistry

__all__ = ["ToolRunner"]


class ToolRunner:
    """Runs the tools of a registry until it is closed."""

    def __init__(
        self,
        registry: ToolRegistry,
        tracer: Tracer,
        instruments: Instruments | None = None,
        *,
        record_content: bool = False,
    ) -> None:
        """`record_content` says whether spans carry what a tool was given and gave."""
        self._registry = registry
        self._tracer = tracer
        self._instruments = instruments
        self._record_content = record_content
        # Threads start when they are first needed.
        self._threads: Mapping[str, ThreadPoolExecutor] = {
            tool.name: ThreadPoolExecutor(tool.limits.concurrency, f"tool-{tool.name}")
            for tool in registry
            if not tool.is_async
        }

    async def run(self, name: str, request: BaseModel, *, call_id: str = "") -> BaseModel:
        """Runs a tool once.

        Args:
            name: A tool of the registry.
            request: Of the tool's input type.
            call_id: Of the call that it serves, for the span.

        Raises:
            FaultError: The tool refused the request, took too long, or returned something else
                than it declares.
        """
        tool = self._registry[name]
        opened = self._tracer.span(
            names.execute_tool(name), attributes=self._attributes(tool, request, call_id)
        )
        with opened as span, self._timed(name):
            limit = asyncio.timeout(tool.limits.timeout_s)
            try:
                async with limit:
                    result = await self._start(tool, request)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise FaultError.of(
                    FaultType.DEADLINE_EXCEEDED,
                    f"The tool `{name}` took longer than its {tool.limits.timeout_s:g} s.",
                    limit_s=tool.limits.timeout_s,
                ) from None
            if not isinstance(result, tool.output):
                raise FaultError.of(
                    FaultType.INTERNAL,
                    f"The tool `{name}` returned {type(result).__name__} instead of "
                    f"{tool.output.__name__}.",
                )
            if self._record_content:
                span.set_attribute(names.GEN_AI_TOOL_RESULT, result.model_dump_json())
            return result

    @contextmanager
    def _timed(self, name: str) -> Generator[None]:
        """A run of a tool in the metrics."""
        began = time.perf_counter()
        error: str | None = None
        try:
            yield
        except FaultError as failed:
            error = failed.fault.type
            raise
        except Exception:
            error = FaultType.INTERNAL
            raise
        finally:
            if self._instruments is not None:
                self._instruments.tool_used(name, time.perf_counter() - began, error=error)

    def close(self) -> None:
        """Starts no more runs; threads that are in one end with it."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    def _start(self, tool: Tool, request: BaseModel) -> Any:
        """What to await for the tool's result."""
        if tool.is_async:
            return tool(request)
        context = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(
            self._threads[tool.name], lambda: context.run(tool, request)
        )

    def _attributes(
        self, tool: Tool, request: BaseModel, call_id: str
    ) -> dict[str, AttributeValue]:
        attributes: dict[str, AttributeValue] = {
            names.GEN_AI_OPERATION: names.OPERATION_EXECUTE_TOOL,
            names.GEN_AI_TOOL_NAME: tool.name,
            names.GEN_AI_TOOL_TYPE: "function",
            names.GEN_AI_TOOL_DESCRIPTION: tool.description,
        }
        if call_id:
            attributes[names.GEN_AI_TOOL_CALL_ID] = call_id
        if self._record_content:
            attributes[names.GEN_AI_TOOL_ARGUMENTS] = request.model_dump_json()
        return attributes
