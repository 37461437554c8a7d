"""What is counted, in which units, and that it costs nothing when nobody reads."""

from __future__ import annotations

import timeit

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric

from motet.messages import Usage
from motet.settings import Settings
from motet.telemetry import Instruments, current_instruments, names, setup
from motet.telemetry.levels import Level


class Read:
    """Instruments and what they have told a reader."""

    def __init__(self, settings: Settings) -> None:
        self._reader = InMemoryMetricReader()
        self.telemetry = setup("tester", settings, metric_readers=[self._reader])
        self.instruments: Instruments = self.telemetry.instruments

    def metrics(self) -> dict[str, Metric]:
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def read(settings: Settings) -> Read:
    return Read(settings)


def points(metric: Metric) -> list[tuple[dict[str, object], float]]:
    return [
        (dict(point.attributes or {}), getattr(point, "value", None) or getattr(point, "sum", 0))
        for point in metric.data.data_points
    ]


def test_a_calls_life_is_counted(read: Read) -> None:
    skill = {names.AGENT: "retriever", names.SKILL: "search"}
    read.instruments.call_started("retriever", "search", 0.25)
    read.instruments.call_ended("retriever", "search", "unavailable", 0.5)
    read.instruments.call_retried("retriever", "search", "unavailable")
    read.instruments.call_started("retriever", "search")
    metrics = read.metrics()
    assert points(metrics[names.METRIC_CALLS]) == [({**skill, names.OUTCOME: "unavailable"}, 1)]
    assert points(metrics[names.METRIC_QUEUE_WAIT]) == [(skill, 0.25)]
    assert points(metrics[names.METRIC_HANDLER_TIME]) == [
        ({**skill, names.OUTCOME: "unavailable"}, 0.5)
    ]
    assert points(metrics[names.METRIC_RETRIES]) == [
        ({**skill, names.ERROR_TYPE: "unavailable"}, 1)
    ]
    assert points(metrics[names.METRIC_CALLS_ACTIVE]) == [(skill, 1)]
    assert metrics[names.METRIC_QUEUE_WAIT].unit == "s"
    assert metrics[names.METRIC_CALLS].unit == "{call}"


def test_a_wait_is_never_negative_though_clocks_differ(read: Read) -> None:
    read.instruments.call_started("a", "b", -3.0)
    (point,) = read.metrics()[names.METRIC_QUEUE_WAIT].data.data_points
    assert point.sum == 0


def test_tasks_and_dead_letters_are_counted(read: Read) -> None:
    spent = Usage(input_tokens=90, output_tokens=10, cost_usd=0.5)
    read.instruments.task_ended("succeeded", 4.0, "acme", spent)
    read.instruments.task_ended("succeeded", 6.0, "acme", spent)
    read.instruments.dead_letter("", "", "invalid_input")
    metrics = read.metrics()
    acme = {names.TENANT: "acme"}
    ended = {names.STATE: "succeeded", **acme}
    assert points(metrics[names.METRIC_TASKS]) == [(ended, 2)]
    assert points(metrics[names.METRIC_TASK_DURATION]) == [(ended, 10.0)]
    assert points(metrics[names.METRIC_TASK_TOKENS]) == [(acme, 200)]
    assert points(metrics[names.METRIC_TASK_COST]) == [(acme, 1.0)]
    assert points(metrics[names.METRIC_DEAD_LETTERS]) == [
        ({names.AGENT: "", names.SKILL: "", names.ERROR_TYPE: "invalid_input"}, 1)
    ]


def test_tenants_past_the_bound_share_a_series(settings: Settings) -> None:
    read = Read(settings.model_copy(update={"metrics_tenants": 3}))
    for tenant in ("a", "b", "c", "d", "a", "default"):
        read.instruments.task_ended("succeeded", 1.0, tenant)
    counted = {
        str(labels[names.TENANT]): count
        for labels, count in points(read.metrics()[names.METRIC_TASKS])
    }
    assert counted == {"a": 2, "b": 1, "default": 1, names.OTHER: 2}


def test_a_look_replaces_the_one_before(read: Read) -> None:
    queued = names.METRIC_CALLS_QUEUED
    levels = read.instruments.levels
    levels.show([Level(queued, 3, {names.AGENT: "a"}), Level(queued, 1, {names.AGENT: "b"})])
    assert points(read.metrics()[queued]) == [({names.AGENT: "a"}, 3), ({names.AGENT: "b"}, 1)]
    levels.show([Level(queued, 2, {names.AGENT: "b"})])
    assert points(read.metrics()[queued]) == [({names.AGENT: "b"}, 2)]


def test_what_is_recorded_in_a_span_has_it_as_an_exemplar(read: Read) -> None:
    with read.telemetry.tracer.span("process motet.call.a.b") as span:
        read.instruments.call_ended("a", "b", "ok", 0.5)
    (point,) = read.metrics()[names.METRIC_HANDLER_TIME].data.data_points
    (exemplar,) = point.exemplars
    context = span.get_span_context()
    assert (exemplar.trace_id, exemplar.span_id) == (context.trace_id, context.span_id)
    assert exemplar.value == 0.5


def test_models_are_counted_as_the_conventions_say(read: Read) -> None:
    usage = Usage(input_tokens=800, output_tokens=50, cost_usd=0.002)
    read.instruments.model_used(
        "chat", "openai", "gpt-4.1-mini", 1.5, usage, agent="planner", skill="plan"
    )
    read.instruments.model_used(
        "chat", "openai", "gpt-4.1-mini", 0.5, Usage(), error="model_failed"
    )
    read.instruments.model_used("embeddings", "local", "minilm", 0.01, Usage(input_tokens=12))
    metrics = read.metrics()
    assert [total for _, total in points(metrics[names.METRIC_INPUT_TOKENS])] == [800, 0]
    (spent, _) = points(metrics[names.METRIC_OUTPUT_TOKENS])
    assert spent == (
        {
            names.GEN_AI_OPERATION: "chat",
            names.GEN_AI_PROVIDER: "openai",
            names.GEN_AI_REQUEST_MODEL: "gpt-4.1-mini",
            names.GEN_AI_TOKEN_MODALITY: "text",
            names.AGENT: "planner",
            names.SKILL: "plan",
        },
        50,
    )
    good, bad = points(metrics[names.METRIC_INFERENCE_DURATION])
    assert names.ERROR_TYPE not in good[0]
    assert bad[0][names.ERROR_TYPE] == "model_failed"
    assert [total for _, total in points(metrics[names.METRIC_COST])] == [0.002]
    assert [total for _, total in points(metrics[names.METRIC_EMBEDDINGS_TOKENS])] == [12]
    (first, *_) = metrics[names.METRIC_EMBEDDINGS_DURATION].data.data_points
    assert first.explicit_bounds[-1] == 81.92


def test_tools_are_counted(read: Read) -> None:
    read.instruments.tool_used("calculate", 0.25)
    read.instruments.tool_used("calculate", 0.5, error="invalid_input")
    assert points(read.metrics()[names.METRIC_TOOL_DURATION]) == [
        ({names.GEN_AI_TOOL_NAME: "calculate"}, 0.25),
        ({names.GEN_AI_TOOL_NAME: "calculate", names.ERROR_TYPE: "invalid_input"}, 0.5),
    ]


def test_code_below_agents_counts_with_the_set_up_of_the_current_span(
    read: Read, settings: Settings
) -> None:
    another = Read(settings)
    with read.telemetry.tracer.span("a"):
        assert current_instruments() is read.instruments
    with another.telemetry.tracer.span("b"):
        assert current_instruments() is another.instruments
    assert current_instruments() not in (read.instruments, another.instruments)


def test_what_the_ledger_and_the_cache_answered_is_counted(read: Read) -> None:
    read.instruments.call_reused("retriever", "search")
    read.instruments.model_recalled("openai", "gpt-4.1-mini", agent="planner", skill="submit")
    metrics = read.metrics()
    skill = {names.AGENT: "retriever", names.SKILL: "search"}
    assert points(metrics[names.METRIC_CALLS_REUSED]) == [(skill, 1)]
    (hit,) = points(metrics[names.METRIC_CACHE_HITS])
    assert hit[1] == 1
    assert hit[0][names.GEN_AI_REQUEST_MODEL] == "gpt-4.1-mini"
    assert hit[0][names.AGENT] == "planner"


def test_without_a_reader_nothing_is_measured(settings: Settings) -> None:
    instruments = setup("tester", settings).instruments
    assert not instruments.enabled
    number = 10_000
    seconds = timeit.timeit(lambda: instruments.call_ended("a", "b", "ok", 0.1), number=number)
    assert seconds / number < 5e-6
