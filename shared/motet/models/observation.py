"""Spans and metrics of requests to models, as OpenTelemetry's GenAI conventions name them."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span, SpanKind, use_span

from motet.errors import FaultError
from motet.messages import Usage
from motet.models.choice import ModelChoice
from motet.models.metering import meter
from motet.telemetry import CurrentSpan, current_instruments, current_tracer, names

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

__all__ = ["Observation", "content_of", "observed", "recalled"]

_SPANS = {
    names.OPERATION_CHAT: names.chat,
    names.OPERATION_EMBEDDINGS: names.embeddings,
    names.OPERATION_RERANK: names.rerank,
}
_ROLES = {"human": "user", "ai": "assistant"}


class Observation:
    """A request under way."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.usage = Usage()
        """What it spent; set before the request ends."""


@contextmanager
def observed(
    operation: str, choice: ModelChoice, attributes: Mapping[str, Any]
) -> Generator[Observation]:
    """A request to a model as a span of the kind CLIENT and in the metrics.

    `operation` is `names.OPERATION_CHAT`, `names.OPERATION_EMBEDDINGS` or `names.OPERATION_RERANK`.
    """
    began = time.perf_counter()
    span = _started(operation, choice, attributes)
    observation = Observation(span)
    error: str | None = None
    try:
        with CurrentSpan(span):
            yield observation
    except FaultError as failed:
        error = failed.fault.type
        raise
    finally:
        # The span has ended, and exemplars should still name it.
        with use_span(span):
            current_instruments().model_used(
                operation,
                choice.provider,
                choice.name,
                time.perf_counter() - began,
                observation.usage,
                **_payer(),
                error=error,
            )


def recalled(choice: ModelChoice, attributes: Mapping[str, Any]) -> None:
    """A request that the response cache answered, as a span and in the metrics."""
    span = _started(names.OPERATION_CHAT, choice, {**attributes, names.CACHED: True})
    with CurrentSpan(span):
        current_instruments().model_recalled(choice.provider, choice.name, **_payer())


def content_of(messages: list[BaseMessage]) -> str:
    """Messages in the form of the attributes `gen_ai.*.messages`: JSON, with roles and parts."""
    return json.dumps(
        [
            {
                "role": _ROLES.get(message.type, message.type),
                "parts": [{"type": "text", "content": message.text}],
            }
            for message in messages
        ],
        ensure_ascii=False,
    )


def _started(operation: str, choice: ModelChoice, attributes: Mapping[str, Any]) -> Span:
    name_of = _SPANS[operation]
    return current_tracer().start_span(
        name_of(choice.name),
        kind=SpanKind.CLIENT,
        attributes={
            names.GEN_AI_OPERATION: operation,
            names.GEN_AI_PROVIDER: choice.provider,
            names.GEN_AI_REQUEST_MODEL: choice.name,
            **attributes,
        },
    )


def _payer() -> dict[str, str]:
    payer = meter.get()
    return {} if payer is None else {"agent": payer.agent, "skill": payer.skill}
