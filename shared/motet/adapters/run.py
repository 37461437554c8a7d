"""`Run`: one run of a foreign agent within a call, so that it is paid, traced and stopped.

Invariants:

- Before each request to a model and each tool, the call is checked: one that was cancelled, whose
  deadline has passed or whose budget is used up goes no further.
- What stopped a run stays its reason. A framework that hands a fault to its model as a tool's
  result is stopped at its next request, and the run ends with the fault.
- Every request is a span `chat {model}`, every tool a span `execute_tool {tool}`. What is still
  open when the run ends has failed with it.

A framework with asynchronous hooks around a request uses `ask` and `answered`, which reserve what
the request may cost. One whose hooks must not wait uses `ask_now` and `answered_now`, which look at
what is left and pay afterwards.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Generator, Hashable
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any, TypeVar

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind

from motet.call import Call
from motet.errors import FaultError
from motet.messages import FaultType, Usage
from motet.models.choice import ModelChoice
from motet.models.metering import Room
from motet.models.pricing import TokenCounts, cost_usd, warn_unpriced
from motet.telemetry import current_instruments, current_tracer, fail, names

__all__ = ["Run", "current_run", "on_a_loop"]

T = TypeVar("T")

ANSWER_TOKENS = 4096
"""Tokens that an answer may have where the framework does not say."""


@dataclass(slots=True)
class _Request:
    span: Span
    choice: ModelChoice
    estimate: int
    began: float
    room: Room | None = None
    paying: AbstractAsyncContextManager[Room] | None = None


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


@dataclass(slots=True)
class _Seen:
    """What was paid for."""

    input: int = 0
    output: int = 0
    requests: int = 0


class Run:
    """One run."""

    def __init__(self, call: Call) -> None:
        """Begins; within the call's own span."""
        self.call = call
        self.loop = asyncio.get_running_loop()
        self.stopped: BaseException | None = None
        """Why it must not go on."""
        self.model_error: BaseException | None = None
        """What the last request that failed raised."""
        self._tracer = current_tracer()
        self._context = context_api.get_current()
        self._instruments = current_instruments()
        self._requests: dict[Hashable, _Request] = {}
        self._tools: dict[Hashable, _Tool] = {}
        self._failures: dict[str, BaseException | str] = {}
        self._charges: set[asyncio.Future[None]] = set()
        self._seen = _Seen()
        self._task: asyncio.Future[Any] | None = None

    # From the beginning to the end

    async def carry_out(self, work: Awaitable[T]) -> T:
        """What the framework gives, unless the run was stopped.

        Raises:
            FaultError: Why it was stopped.
            Suspended: It waits for a person.
            Exception: Whatever the framework raised.
        """
        token = current_run.set(self)
        self._task = asyncio.ensure_future(work)
        error: BaseException | None = None
        try:
            return await self._task
        except asyncio.CancelledError as cancelled:
            error = cancelled
            task = asyncio.current_task()
            if self.stopped is None or (task is not None and task.cancelling()):
                raise
            raise self.stopped from None
        except BaseException as raised:
            error = raised
            if self._requests and self.model_error is None:
                self.model_error = raised
            if self.stopped is not None and self.stopped is not raised:
                raise self.stopped from raised
            raise
        finally:
            current_run.reset(token)
            await self._close(error)

    def stop(self, reason: BaseException) -> None:
        """Ends the run, also where the framework goes on from what is raised."""
        if self.stopped is None:
            self.stopped = reason
            if self._task is not None:
                self.loop.call_soon_threadsafe(self._task.cancel)

    def check(self) -> None:
        """Raises why the run must not go on. May be called in a thread.

        Raises:
            FaultError: `cancelled`, `deadline_exceeded`, `budget_exceeded`.
            Suspended: It waits for a person.
        """
        if self.stopped is not None:
            raise self.stopped
        try:
            self.call.check()
        except FaultError as fault:
            self.stop(fault)
            raise

    async def _close(self, error: BaseException | None) -> None:
        """Ends what is open, and waits until everything is paid."""
        for key, tool in list(self._tools.items()):
            tool.attached = None  # the task in which it was has ended
            self.tool_ended(key, error=error)
        for key in list(self._requests):
            if error is None:  # a stream of which nobody has read the end
                await self.answered(key, None)
            else:
                await self.failed(key, error)
        while self._charges:
            await asyncio.gather(*self._charges, return_exceptions=True)
        if error is None and self.stopped is not None:
            raise self.stopped

    # Requests to models

    async def ask(
        self, key: Hashable, provider: str, model: str, *, reads: int, writes: int | None = None
    ) -> int | None:
        """Begins a request; returns the tokens that its answer may have if those are fewer.

        Args:
            key: Names it in `answered` and `failed`.
            provider: As OpenTelemetry and `genai-prices` name it, where they know it.
            model: The model's name.
            reads: Tokens that it reads, as far as one can tell.
            writes: Tokens that the answer may have; None where nothing says.

        Raises:
            FaultError: See `check`.
        """
        self.check()
        most = writes or ANSWER_TOKENS
        choice = ModelChoice(provider=provider, name=model)
        paying = self.call.reserve(_cost(choice, reads, 1), _cost(choice, reads, most))
        try:
            room = await paying.__aenter__()
        except FaultError as fault:
            self.stop(fault)
            raise
        self._requests[key] = _Request(
            self._model_span(choice, writes), choice, reads, time.perf_counter(), room, paying
        )
        return room.output_tokens if room.output_tokens < most else None

    def ask_now(
        self, key: Hashable, provider: str, model: str, *, reads: int, writes: int | None = None
    ) -> None:
        """The same without waiting: by what is known here of the budget.

        Raises:
            FaultError: See `check`.
        """
        self.check()
        choice = ModelChoice(provider=provider, name=model)
        least = sum((_cost(r.choice, r.estimate, 1) for r in self._requests.values()), Usage())
        least += _cost(choice, reads, 1)
        left = self.call.budget
        limit = left.exceeded_by(least)
        if limit is not None:
            fault = FaultError.of(
                FaultType.BUDGET_EXCEEDED,
                f"The budget leaves {getattr(left, limit):g} {limit}, and a request to {model!r} "
                f"takes {getattr(least, limit):g} or more.",
                limit=limit,
                left=getattr(left, limit),
                wanted=getattr(least, limit),
            )
            self.stop(fault)
            raise fault
        span = self._model_span(choice, writes)
        self._requests[key] = _Request(span, choice, reads, time.perf_counter())

    async def answered(
        self,
        key: Hashable,
        counts: TokenCounts | None,
        *,
        text: str = "",
        model: str | None = None,
        finish: str | None = None,
    ) -> None:
        """A request has its answer; an unknown key is ignored.

        Args:
            key: As in `ask`.
            counts: What the provider counted; None estimates it from `text`.
            text: All that the model wrote.
            model: The model that answered, in the provider's words.
            finish: Why the answer ended there.

        Raises:
            FaultError: `budget_exceeded` when that was more than was left.
        """
        request = self._requests.pop(key, None)
        if request is None:
            return
        usage = self._spent(request, counts, text, model, finish)
        if request.paying is None or request.room is None:
            self._charge(usage)
            return
        request.room.spent = usage
        try:
            await request.paying.__aexit__(None, None, None)
        except FaultError as fault:
            self.stop(fault)
            raise

    def answered_now(
        self,
        key: Hashable,
        counts: TokenCounts | None,
        *,
        text: str = "",
        model: str | None = None,
        finish: str | None = None,
    ) -> None:
        """The same for a request of `ask_now`. May be called in a thread."""
        request = self._requests.pop(key, None)
        if request is not None:
            self._charge(self._spent(request, counts, text, model, finish))

    async def failed(self, key: Hashable, error: BaseException) -> None:
        """A request has no answer; an unknown key is ignored."""
        request = self._requests.get(key)
        self.failed_now(key, error)
        if request is not None and request.paying is not None:
            with suppress(type(error), FaultError):
                await request.paying.__aexit__(type(error), error, error.__traceback__)

    def failed_now(self, key: Hashable, error: BaseException) -> None:
        """The same for a request of `ask_now`. May be called in a thread."""
        request = self._requests.pop(key, None)
        if request is None:
            return
        if error is not self.stopped and not isinstance(error, asyncio.CancelledError):
            self.model_error = error
        fail(request.span, error)
        self._used(request, Usage(), type(error).__name__)

    def asks(self, key: Hashable) -> bool:
        """Whether a request is under way."""
        return key in self._requests

    def catch_up(self, reads: int, writes: int, requests: int) -> Usage:
        """Pays for what a framework has counted beyond the requests that were seen.

        That is what an agent has used that another one ran as a tool, without hooks.

        Args:
            reads: Input tokens that the framework has counted in this run.
            writes: Output tokens likewise.
            requests: Requests to models likewise.
        """
        seen = self._seen
        usage = Usage(
            input_tokens=max(0, reads - seen.input),
            output_tokens=max(0, writes - seen.output),
            model_calls=max(0, requests - seen.requests),
        )
        if usage != Usage():
            self._note(usage)
            self._charge(usage)
        return usage

    def _model_span(self, choice: ModelChoice, writes: int | None) -> Span:
        attributes: dict[str, Any] = {
            names.GEN_AI_OPERATION: names.OPERATION_CHAT,
            names.GEN_AI_PROVIDER: choice.provider,
            names.GEN_AI_REQUEST_MODEL: choice.name,
        }
        if writes is not None:
            attributes[names.GEN_AI_REQUEST_MAX_TOKENS] = writes
        return self._tracer.start_span(
            names.chat(choice.name), self._parent(), SpanKind.CLIENT, attributes
        )

    def _spent(
        self,
        request: _Request,
        counts: TokenCounts | None,
        text: str,
        model: str | None,
        finish: str | None,
    ) -> Usage:
        if counts is None:
            counts = TokenCounts(input=request.estimate, output=len(text) // 4 + 1)
        named = [each for each in (model, request.choice.name) if each]
        cost = cost_usd(request.choice, counts, named)
        if cost is None:
            warn_unpriced(request.choice.id)
        usage = Usage(
            input_tokens=counts.input,
            output_tokens=counts.output,
            cost_usd=cost or 0.0,
            model_calls=1,
        )
        self._note(usage)
        request.span.set_attributes(
            {
                names.GEN_AI_RESPONSE_MODEL: named[0],
                names.GEN_AI_INPUT_TOKENS: counts.input,
                names.GEN_AI_OUTPUT_TOKENS: counts.output,
                names.GEN_AI_CACHE_READ_TOKENS: counts.cache_read,
                names.COST_USD: usage.cost_usd,
                names.PRICED: cost is not None,
                **({names.GEN_AI_FINISH_REASONS: (finish,)} if finish else {}),
            }
        )
        if text and self.call.records_content:
            said = [{"role": "assistant", "parts": [{"type": "text", "content": text}]}]
            request.span.set_attribute(
                names.GEN_AI_OUTPUT_MESSAGES, json.dumps(said, ensure_ascii=False)
            )
        self._used(request, usage, None)
        return usage

    def _used(self, request: _Request, usage: Usage, error: str | None) -> None:
        """Ends a request's span, and counts it in the metrics."""
        with trace.use_span(request.span):
            self._instruments.model_used(
                names.OPERATION_CHAT,
                request.choice.provider,
                request.choice.name,
                time.perf_counter() - request.began,
                usage,
                agent=self.call.agent,
                skill=self.call.skill,
                error=error,
            )
        request.span.end()

    def _note(self, usage: Usage) -> None:
        self._seen.input += usage.input_tokens
        self._seen.output += usage.output_tokens
        self._seen.requests += usage.model_calls

    def _charge(self, usage: Usage) -> None:
        """Has the call pay, from any thread."""

        async def pay() -> None:
            try:
                await self.call.spend(usage)
            except FaultError as fault:
                self.stop(fault)

        def begin() -> None:
            charge = self.loop.create_task(pay())
            self._charges.add(charge)
            charge.add_done_callback(self._charges.discard)

        if on_a_loop() and asyncio.get_running_loop() is self.loop:
            begin()
        else:
            self.loop.call_soon_threadsafe(begin)

    # Tools

    @contextmanager
    def tool(
        self, name: str, *, call_id: str | None = None, arguments: Any = None
    ) -> Generator[Outcome]:
        """A tool that runs in the block, which notes what it gave.

        Raises:
            FaultError: See `check`.
        """
        key, outcome = object(), Outcome()
        self.tool_began(key, name, call_id=call_id, arguments=arguments, attach=True)
        try:
            yield outcome
        except BaseException as error:
            self.tool_ended(key, error=error)
            raise
        self.tool_ended(key, result=outcome.result, used=outcome.used)

    def tool_began(
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
            key: Names it in `tool_ended`.
            name: The tool's name.
            call_id: The framework's id of the call.
            arguments: What it is given.
            attach: Whether its span becomes the current one; the end is then told in the same task.

        Raises:
            FaultError: See `check`.
        """
        self.check()
        attributes: dict[str, Any] = {
            names.GEN_AI_OPERATION: names.OPERATION_EXECUTE_TOOL,
            names.GEN_AI_TOOL_NAME: name,
            names.GEN_AI_TOOL_TYPE: "function",
        }
        if call_id:
            attributes[names.GEN_AI_TOOL_CALL_ID] = call_id
        if arguments is not None and self.call.records_content:
            attributes[names.GEN_AI_TOOL_ARGUMENTS] = _written(arguments)
        span = self._tracer.start_span(
            names.execute_tool(name), self._parent(), SpanKind.INTERNAL, attributes
        )
        token = context_api.attach(trace.set_span_in_context(span)) if attach else None
        self._tools[key] = _Tool(name, span, time.perf_counter(), call_id, token)

    def note_failure(self, call_id: str, why: BaseException | str) -> None:
        """Notes why a tool has failed, where the framework does not tell at its end."""
        self._failures[call_id] = why

    def tool_ended(
        self,
        key: Hashable,
        *,
        result: Any = None,
        error: BaseException | str | None = None,
        used: Usage | None = None,
    ) -> None:
        """A tool has ended; an unknown key is ignored.

        Args:
            key: As in `tool_began`.
            result: What it gave.
            error: Why it failed: an exception, or what the model was told.
            used: What models below it have used that have no span of their own.
        """
        tool = self._tools.pop(key, None)
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
        if result is not None and self.call.records_content:
            tool.span.set_attribute(names.GEN_AI_TOOL_RESULT, _written(result))
        kind: str | None = None
        if isinstance(error, BaseException):
            kind = error.fault.type if isinstance(error, FaultError) else type(error).__name__
            fail(tool.span, error)
        elif error is not None:
            kind = "tool_error"
            fail(tool.span, FaultError.of(kind, error))
        self._instruments.tool_used(tool.name, time.perf_counter() - tool.began, error=kind)
        tool.span.end()

    @contextmanager
    def below(self, call_id: str | None) -> Generator[None]:
        """Has what is delegated in the block hang from the tool's span with this id."""
        for tool in self._tools.values():
            if call_id is not None and tool.call_id == call_id and tool.attached is None:
                with trace.use_span(tool.span, record_exception=False):
                    yield
                return
        yield

    @property
    def call_id(self) -> str | None:
        """The framework's id of the tool call whose span is the current one."""
        span = trace.get_current_span()
        return next((tool.call_id for tool in self._tools.values() if tool.span is span), None)

    def _parent(self) -> Context:
        """The current context, or the run's own where a thread has lost it."""
        current = context_api.get_current()
        return current if trace.get_current_span(current).is_recording() else self._context


current_run: ContextVar[Run | None] = ContextVar("motet_adapters_run", default=None)
"""The run that works now; None outside of one."""


def _cost(choice: ModelChoice, reads: int, writes: int) -> Usage:
    cost = cost_usd(choice, TokenCounts(input=reads, output=writes), [choice.name])
    return Usage(input_tokens=reads, output_tokens=writes, cost_usd=cost or 0.0)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def on_a_loop() -> bool:
    """Whether this thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
