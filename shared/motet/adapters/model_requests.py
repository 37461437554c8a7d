"""Requests to models within a run: reserved, paid, and a span `chat {model}` each.

A framework with asynchronous hooks around a request uses `ask` and `answered`, which reserve what
the request may cost. One whose hooks must not wait uses `ask_now` and `answered_now`, which look at
what is left and pay afterwards.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from motet.errors import FaultError
from motet.messages import FaultType, Usage
from motet.models.choice import ModelChoice
from motet.models.metering import Room
from motet.models.pricing import TokenCounts, cost_usd, warn_unpriced
from motet.telemetry import fail, names

if TYPE_CHECKING:
    from motet.adapters.run import Run

__all__ = ["ModelRequests", "on_a_loop"]

ANSWER_TOKENS = 4096
"""Tokens that an answer may have where the framework does not say."""


@dataclass(slots=True)
class _Request:
    span: Span
    choice: ModelChoice
    reads: int
    """Tokens, as far as one can tell."""
    began: float
    room: Room | None = None
    paying: AbstractAsyncContextManager[Room] | None = None


@dataclass(slots=True)
class _Seen:
    """What was paid for."""

    input: int = 0
    output: int = 0
    requests: int = 0


class ModelRequests:
    """The requests of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._open: dict[Hashable, _Request] = {}
        self._charges: set[asyncio.Future[None]] = set()
        self._unpaid: list[Usage] = []
        """What the call has yet to count."""
        self._seen = _Seen()

    @property
    def under_way(self) -> bool:
        """Whether there is a request without an answer."""
        return bool(self._open)

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
            FaultError: See `Run.check`.
        """
        self._run.check()
        most = writes or ANSWER_TOKENS
        choice = ModelChoice(provider=provider, name=model)
        paying = self._run.call.reserve(_cost(choice, reads, 1), _cost(choice, reads, most))
        try:
            room = await paying.__aenter__()
        except FaultError as fault:
            self._run.stop(fault)
            raise
        self._open[key] = _Request(
            self._model_span(choice, writes), choice, reads, time.perf_counter(), room, paying
        )
        return room.output_tokens if room.output_tokens < most else None

    def ask_now(
        self, key: Hashable, provider: str, model: str, *, reads: int, writes: int | None = None
    ) -> None:
        """The same without waiting: by what is known here of the budget.

        Raises:
            FaultError: See `Run.check`.
        """
        self.afford(provider, model, reads)
        choice = ModelChoice(provider=provider, name=model)
        span = self._model_span(choice, writes)
        self._open[key] = _Request(span, choice, reads, time.perf_counter())

    def afford(self, provider: str, model: str, reads: int) -> None:
        """Refuses a request for which there is nothing left, by what is known here of the budget.

        Raises:
            FaultError: See `Run.check`.
        """
        self._run.check()
        open_ = (_cost(each.choice, each.reads, 1) for each in self._open.values())
        least = sum((*open_, *self._unpaid), Usage())
        least += _cost(ModelChoice(provider=provider, name=model), reads, 1)
        left = self._run.call.budget
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
            self._run.stop(fault)
            raise fault

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
        request = self._open.pop(key, None)
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
            self._run.stop(fault)
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
        request = self._open.pop(key, None)
        if request is not None:
            self._charge(self._spent(request, counts, text, model, finish))

    async def failed(self, key: Hashable, error: BaseException) -> None:
        """A request has no answer; an unknown key is ignored."""
        request = self._open.get(key)
        self.failed_now(key, error)
        if request is not None and request.paying is not None:
            with suppress(type(error), FaultError):
                await request.paying.__aexit__(type(error), error, error.__traceback__)

    def failed_now(self, key: Hashable, error: BaseException) -> None:
        """The same for a request of `ask_now`. May be called in a thread."""
        request = self._open.pop(key, None)
        if request is None:
            return
        if error is not self._run.stopped and not isinstance(error, asyncio.CancelledError):
            self._run.model_error = error
        fail(request.span, error)
        self._used(request, Usage(), type(error).__name__)

    def asks(self, key: Hashable) -> bool:
        """Whether a request is under way."""
        return key in self._open

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

    async def close(self, error: BaseException | None) -> None:
        """Ends what is open, and waits until everything is paid."""
        for key in list(self._open):
            if error is None:  # a stream of which nobody has read the end
                await self.answered(key, None)
            else:
                await self.failed(key, error)
        while self._charges:
            await asyncio.gather(*self._charges, return_exceptions=True)

    def _model_span(self, choice: ModelChoice, writes: int | None) -> Span:
        attributes: dict[str, Any] = {
            names.GEN_AI_OPERATION: names.OPERATION_CHAT,
            names.GEN_AI_PROVIDER: choice.provider,
            names.GEN_AI_REQUEST_MODEL: choice.name,
        }
        if writes is not None:
            attributes[names.GEN_AI_REQUEST_MAX_TOKENS] = writes
        return self._run.tracer.start_span(
            names.chat(choice.name), self._run.parent(), SpanKind.CLIENT, attributes
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
            counts = TokenCounts(input=request.reads, output=len(text) // 4 + 1)
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
        if text and self._run.call.records_content:
            said = [{"role": "assistant", "parts": [{"type": "text", "content": text}]}]
            request.span.set_attribute(
                names.GEN_AI_OUTPUT_MESSAGES, json.dumps(said, ensure_ascii=False)
            )
        self._used(request, usage, None)
        return usage

    def _used(self, request: _Request, usage: Usage, error: str | None) -> None:
        """Ends a request's span, and counts it in the metrics."""
        with trace.use_span(request.span):
            self._run.instruments.model_used(
                names.OPERATION_CHAT,
                request.choice.provider,
                request.choice.name,
                time.perf_counter() - request.began,
                usage,
                agent=self._run.call.agent,
                skill=self._run.call.skill,
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
            self._unpaid.remove(usage)
            try:
                await self._run.call.spend(usage)
            except FaultError as fault:
                self._run.stop(fault)

        self._unpaid.append(usage)

        def begin() -> None:
            charge = self._run.loop.create_task(pay())
            self._charges.add(charge)
            charge.add_done_callback(self._charges.discard)

        if on_a_loop() and asyncio.get_running_loop() is self._run.loop:
            begin()
        else:
            self._run.loop.call_soon_threadsafe(begin)


def _cost(choice: ModelChoice, reads: int, writes: int) -> Usage:
    cost = cost_usd(choice, TokenCounts(input=reads, output=writes), [choice.name])
    return Usage(input_tokens=reads, output_tokens=writes, cost_usd=cost or 0.0)


def on_a_loop() -> bool:
    """Whether this thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
