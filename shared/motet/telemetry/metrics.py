"""Metrics: tasks, calls, waits, retries, dead letters, tokens and cost, per agent, skill, tenant.

Without a reader every method returns after one comparison, so callers need not ask whether metrics
are wanted. Durations are in seconds, costs in US dollars. What is recorded while a span is current
carries its ids as an exemplar. No label grows without bound: `Instruments.tenant` holds tenants.

What begins with `gen_ai.` is defined in semantic-conventions-genai v0.1.0 (`client-inference.md`,
`client-embeddings.md`, `gen-ai-token-metrics.md` in `docs/gen-ai/`), which also gives the bucket
boundaries of models. Those of the bus are the ones of `messaging.process.duration`
(semantic-conventions v1.45.0), extended on both sides.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.metrics import Meter

from motet.messages import Usage
from motet.telemetry import names
from motet.telemetry.levels import Levels
from motet.telemetry.tracer import RecordedSpan

__all__ = ["Instruments", "current_instruments"]

_BUS_SECONDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
)  # fmt: skip
_TASK_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 86400)
_MODEL_SECONDS: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
_TOKENS: Final = (
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
)  # fmt: skip
_SCORES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)


class Instruments:
    """What the bus, the agents and the models count."""

    def __init__(self, meter: Meter, *, enabled: bool = True, tenants: int = 50) -> None:
        """`tenants` are told apart, the first that are met; the others are `other` together."""
        self.enabled = enabled
        """Whether anybody reads."""
        self.levels = Levels(meter)
        """Gauges of queues, agents and streams, for who looks at them."""
        self._tenants = {"default"}
        self._most_tenants = tenants
        self._tasks = meter.create_counter(
            names.METRIC_TASKS, "{task}", "Tasks that ended, by state."
        )
        self._task_duration = meter.create_histogram(
            names.METRIC_TASK_DURATION,
            "s",
            "From a task's acceptance to its end.",
            explicit_bucket_boundaries_advisory=_TASK_SECONDS,
        )
        self._task_cost = meter.create_counter(
            names.METRIC_TASK_COST, "{USD}", "Cost of models for tasks that ended, by tenant."
        )
        self._task_tokens = meter.create_counter(
            names.METRIC_TASK_TOKENS, "{token}", "Tokens of tasks that ended, by tenant."
        )
        self._calls = meter.create_counter(
            names.METRIC_CALLS, "{call}", "Attempts at calls, by outcome."
        )
        self._reused = meter.create_counter(
            names.METRIC_CALLS_REUSED, "{call}", "Deliveries that the ledger answered."
        )
        self._active = meter.create_up_down_counter(
            names.METRIC_CALLS_ACTIVE, "{call}", "Calls that are being worked on."
        )
        self._queue_wait = meter.create_histogram(
            names.METRIC_QUEUE_WAIT,
            "s",
            "From a call's publishing to the start of its first attempt.",
            explicit_bucket_boundaries_advisory=_BUS_SECONDS,
        )
        self._handler_time = meter.create_histogram(
            names.METRIC_HANDLER_TIME,
            "s",
            "How long a handler worked on one attempt.",
            explicit_bucket_boundaries_advisory=_BUS_SECONDS,
        )
        self._retries = meter.create_counter(
            names.METRIC_RETRIES, "{attempt}", "Attempts that failed and are followed by another."
        )
        self._dead = meter.create_counter(
            names.METRIC_DEAD_LETTERS, "{message}", "Messages that became dead letters."
        )
        self._cache_hits = meter.create_counter(
            names.METRIC_CACHE_HITS, "{request}", "Requests that the response cache answered."
        )
        self._cost = meter.create_counter(names.METRIC_COST, "{USD}", "Cost of models.")
        self._input_tokens = meter.create_counter(
            names.METRIC_INPUT_TOKENS,
            "{token}",
            "The number of input (prompt) tokens used, including cached tokens.",
        )
        self._output_tokens = meter.create_counter(
            names.METRIC_OUTPUT_TOKENS,
            "{token}",
            "The number of output (completion) tokens used, including reasoning tokens.",
        )
        self._inference_duration = meter.create_histogram(
            names.METRIC_INFERENCE_DURATION,
            "s",
            "GenAI client inference operation duration.",
            explicit_bucket_boundaries_advisory=_MODEL_SECONDS,
        )
        self._embeddings_duration = meter.create_histogram(
            names.METRIC_EMBEDDINGS_DURATION,
            "s",
            "GenAI client embeddings operation duration.",
            explicit_bucket_boundaries_advisory=_MODEL_SECONDS,
        )
        self._embeddings_tokens = meter.create_histogram(
            names.METRIC_EMBEDDINGS_TOKENS,
            "{token}",
            "The number of input tokens of an embeddings operation.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._tool_duration = meter.create_histogram(
            names.METRIC_TOOL_DURATION,
            "s",
            "How long a tool ran.",
            explicit_bucket_boundaries_advisory=_MODEL_SECONDS,
        )

        self._scores = meter.create_histogram(
            names.METRIC_SCORE,
            "1",
            "Scores of answers, by metric.",
            explicit_bucket_boundaries_advisory=_SCORES,
        )
        self._score_failures = meter.create_counter(
            names.METRIC_SCORE_FAILURES, "{score}", "Scores that could not be made, by metric."
        )

    def scored(self, metric: str, method: str, value: float) -> None:
        """An answer got a score from 0 to 1."""
        if self.enabled:
            attributes = {names.EVALUATION_NAME: metric, names.EVALUATION_METHOD: method}
            self._scores.record(value, attributes)

    def score_failed(self, metric: str, method: str, fault: str) -> None:
        """A score could not be made, for a fault of type `fault`."""
        if self.enabled:
            self._score_failures.add(
                1,
                {
                    names.EVALUATION_NAME: metric,
                    names.EVALUATION_METHOD: method,
                    names.ERROR_TYPE: fault,
                },
            )

    def tenant(self, name: str) -> str:
        """The label of a tenant."""
        if name not in self._tenants:
            if len(self._tenants) >= self._most_tenants:
                return names.OTHER
            self._tenants.add(name)
        return name

    def task_ended(
        self, state: str, duration_s: float, tenant: str = "default", usage: Usage | None = None
    ) -> None:
        """A task reached a terminal state, `duration_s` after it was accepted."""
        if not self.enabled:
            return
        payer = {names.TENANT: self.tenant(tenant)}
        attributes = {names.STATE: state, **payer}
        self._tasks.add(1, attributes)
        self._task_duration.record(duration_s, attributes)
        if usage is not None:
            self._task_tokens.add(usage.tokens, payer)
            self._task_cost.add(usage.cost_usd, payer)

    def call_started(self, agent: str, skill: str, queue_wait_s: float | None = None) -> None:
        """An attempt begins; `queue_wait_s` is given at the first. `call_ended` must follow."""
        if self.enabled:
            attributes = {names.AGENT: agent, names.SKILL: skill}
            self._active.add(1, attributes)
            if queue_wait_s is not None:
                self._queue_wait.record(max(0.0, queue_wait_s), attributes)

    def call_ended(self, agent: str, skill: str, outcome: str, handler_s: float) -> None:
        """An attempt ended; `outcome` is `ok` or the fault's type."""
        if self.enabled:
            attributes = {names.AGENT: agent, names.SKILL: skill}
            self._active.add(-1, attributes)
            attributes = {**attributes, names.OUTCOME: outcome}
            self._calls.add(1, attributes)
            self._handler_time.record(handler_s, attributes)

    def call_reused(self, agent: str, skill: str) -> None:
        """A delivery was answered with an outcome that stood, or its call was at work already."""
        if self.enabled:
            self._reused.add(1, {names.AGENT: agent, names.SKILL: skill})

    def call_retried(self, agent: str, skill: str, fault: str) -> None:
        """An attempt failed with a fault of type `fault` and another will follow."""
        if self.enabled:
            self._retries.add(1, {names.AGENT: agent, names.SKILL: skill, names.ERROR_TYPE: fault})

    def dead_letter(self, agent: str, skill: str, fault: str) -> None:
        """A message became a dead letter; agent and skill may be empty (a bad submission)."""
        if self.enabled:
            self._dead.add(1, {names.AGENT: agent, names.SKILL: skill, names.ERROR_TYPE: fault})

    def model_recalled(
        self, provider: str, model: str, *, agent: str = "", skill: str = ""
    ) -> None:
        """The response cache answered a request."""
        if self.enabled:
            self._cache_hits.add(
                1,
                {
                    names.GEN_AI_PROVIDER: provider,
                    names.GEN_AI_REQUEST_MODEL: model,
                    names.AGENT: agent,
                    names.SKILL: skill,
                },
            )

    def model_used(
        self,
        operation: str,
        provider: str,
        model: str,
        duration_s: float,
        usage: Usage,
        *,
        agent: str = "",
        skill: str = "",
        error: str | None = None,
    ) -> None:
        """A request to a model ended, with the fault type `error` or None.

        `operation` is `names.OPERATION_CHAT` or `names.OPERATION_EMBEDDINGS`.
        """
        if not self.enabled:
            return
        attributes = {
            names.GEN_AI_OPERATION: operation,
            names.GEN_AI_PROVIDER: provider,
            names.GEN_AI_REQUEST_MODEL: model,
            names.AGENT: agent,
            names.SKILL: skill,
        }
        timed = attributes if error is None else {**attributes, names.ERROR_TYPE: error}
        if operation == names.OPERATION_EMBEDDINGS:
            self._embeddings_duration.record(duration_s, timed)
            self._embeddings_tokens.record(usage.input_tokens, attributes)
        else:
            text = {**attributes, names.GEN_AI_TOKEN_MODALITY: "text"}
            self._inference_duration.record(duration_s, timed)
            self._input_tokens.add(usage.input_tokens, text)
            self._output_tokens.add(usage.output_tokens, text)
        if usage.cost_usd:
            self._cost.add(usage.cost_usd, attributes)

    def tool_used(self, tool: str, duration_s: float, *, error: str | None = None) -> None:
        """A tool ran, and failed with a fault of type `error` if that is given."""
        if self.enabled:
            attributes = {names.GEN_AI_TOOL_NAME: tool}
            if error is not None:
                attributes[names.ERROR_TYPE] = error
            self._tool_duration.record(duration_s, attributes)


def current_instruments() -> Instruments:
    """Those of the current span's set-up, or the process' own where no span of Motet's is current.

    For code that works below agents, as `current_tracer` is.
    """
    span = trace.get_current_span()
    own = span.tracer.instruments if isinstance(span, RecordedSpan) else None
    return own or _of_the_process()


@cache
def _of_the_process() -> Instruments:
    return Instruments(metrics.get_meter(names.SCOPE))
