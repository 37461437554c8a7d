"""Tools within a run: a span `execute_tool {tool}` each."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Hashable
from contextlib import contextmanager
from contextvars import Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind

from motet.errors import FaultError
from motet.messages import Usage
from motet.telemetry import fail, names

if TYPE_CHECKING:
    from motet.adapters.run import Run

__all__ = ["Outcome", "ToolCalls"]


@dataclass(slots=True)
class _Tool:
    name: str
    span: Span
    began: float
    call_id: str | None
    attached: Token[Context] | None


@dataclass(slots=True)
class Outcome:
    """What a tool gave."""

    result: Any = None
    used: Usage | None = None
    """What models below it have used that have no span of their own."""


class ToolCalls:
    """The tools of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._open: dict[Hashable, _Tool] = {}
        self._failures: dict[str, BaseException | str] = {}

    @contextmanager
    def running(
        self, name: str, *, call_id: str | None = None, arguments: Any = None
    ) -> Generator[Outcome]:
        """A tool that runs in the block, which notes what it gave.

        Raises:
            FaultError: See `Run.check`.
        """
        key, outcome = object(), Outcome()
        self.began(key, name, call_id=call_id, arguments=arguments, attach=True)
        try:
            yield outcome
        except BaseException as error:
            self.ended(key, error=error)
            raise
        self.ended(key, result=outcome.result, used=outcome.used)

    def began(
        self,
        key: Hashable,
        name: str,
        *,
        call_id: str | None = None,
        arguments: Any = None,
        attach: bool = False,
    ) -> None:
        """A tool begins.

        Args:
            key: Names it in `ended`.
            name: The tool's name.
            call_id: The framework's id of the call.
            arguments: What it is given.
            attach: Whether its span becomes the current one; the end is then told in the same task.

        Raises:
            FaultError: See `Run.check`.
        """
        self._run.check()
        attributes: dict[str, Any] = {
            names.GEN_AI_OPERATION: names.OPERATION_EXECUTE_TOOL,
            names.GEN_AI_TOOL_NAME: name,
            names.GEN_AI_TOOL_TYPE: "function",
        }
        if call_id:
            attributes[names.GEN_AI_TOOL_CALL_ID] = call_id
        if arguments is not None and self._run.call.records_content:
            attributes[names.GEN_AI_TOOL_ARGUMENTS] = _written(arguments)
        span = self._run.tracer.start_span(
            names.execute_tool(name), self._run.parent(), SpanKind.INTERNAL, attributes
        )
        token = context_api.attach(trace.set_span_in_context(span)) if attach else None
        self._open[key] = _Tool(name, span, time.perf_counter(), call_id, token)

    def note_failure(self, call_id: str, why: BaseException | str) -> None:
        """Notes why a tool has failed, where the framework does not tell at its end."""
        self._failures[call_id] = why

    def ended(
        self,
        key: Hashable,
        *,
        result: Any = None,
        error: BaseException | str | None = None,
        used: Usage | None = None,
    ) -> None:
        """A tool has ended; an unknown key is ignored.

        Args:
            key: As in `began`.
            result: What it gave.
            error: Why it failed: an exception, or what the model was told.
            used: What models below it have used that have no span of their own.
        """
        tool = self._open.pop(key, None)
        if tool is None:
            return
        if tool.attached is not None:
            context_api.detach(tool.attached)
        error = error or self._failures.pop(tool.call_id or "", None)
        if used is not None and used != Usage():
            tool.span.set_attributes(
                {
                    names.GEN_AI_INPUT_TOKENS: used.input_tokens,
                    names.GEN_AI_OUTPUT_TOKENS: used.output_tokens,
                }
            )
        if result is not None and self._run.call.records_content:
            tool.span.set_attribute(names.GEN_AI_TOOL_RESULT, _written(result))
        kind: str | None = None
        if isinstance(error, BaseException):
            kind = error.fault.type if isinstance(error, FaultError) else type(error).__name__
            fail(tool.span, error)
        elif error is not None:
            kind = "tool_error"
            fail(tool.span, FaultError.of(kind, error))
        self._run.instruments.tool_used(tool.name, time.perf_counter() - tool.began, error=kind)
        tool.span.end()

    @contextmanager
    def below(self, call_id: str | None) -> Generator[None]:
        """Has what is delegated in the block hang from the tool's span with this id."""
        for tool in self._open.values():
            if call_id is not None and tool.call_id == call_id and tool.attached is None:
                with trace.use_span(tool.span, record_exception=False):
                    yield
                return
        yield

    @property
    def call_id(self) -> str | None:
        """The framework's id of the tool call whose span is the current one."""
        span = trace.get_current_span()
        return next((tool.call_id for tool in self._open.values() if tool.span is span), None)

    def close(self, error: BaseException | None) -> None:
        """Ends what is open."""
        for key, tool in list(self._open.items()):
            tool.attached = None  # the task in which it was has ended
            self.ended(key, error=error)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
