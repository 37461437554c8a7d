"""Running tools: off the event loop, within limits, each a span."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

from motet.errors import FaultError
from motet.messages import CalculateRequest
from motet.settings import Settings
from motet.telemetry import Telemetry, names, setup
from motet_tool_executor import Limits, Tool, ToolRegistry, tool
from motet_tool_executor.calculate import calculate
from motet_tool_executor.run import ToolRunner

Runner = Callable[..., ToolRunner]


class Request(BaseModel):
    text: str = ""


class Result(BaseModel):
    text: str


class Gate:
    """Holds the threads of a tool until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Semaphore(0)
        self.runs = 0

    def tool(self, name: str = "held", **limits: Any) -> Tool:
        def hold(request: Request) -> Result:
            self.runs += 1
            self.entered.release()
            assert self.opened.wait(30)
            return Result(text=request.text)

        return tool(name=name, description="Waits.", limits=Limits(**limits))(hold)


@tool(description="Says it.")
def say(request: Request) -> Result:
    return Result(text=request.text)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(tmp_path: Path, spans: InMemorySpanExporter):
    telemetry = setup("tool_executor", Settings(data_dir=tmp_path), exporters=[spans])
    yield telemetry
    telemetry.close()


@pytest.fixture
def runner(telemetry: Telemetry) -> Iterator[Runner]:
    made: list[ToolRunner] = []

    def make(*tools: Tool, **options: Any) -> ToolRunner:
        made.append(ToolRunner(ToolRegistry(tools), telemetry.tracer, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.opened.set()


async def test_a_run_gives_the_tools_result(runner: Runner) -> None:
    result = await runner(calculate).run("calculate", CalculateRequest(expression="2 * 21"))
    assert result.value == "42"  # type: ignore[attr-defined]


async def test_the_event_loop_goes_on_meanwhile(runner: Runner, gate: Gate) -> None:
    tools = runner(gate.tool(), say)
    held = asyncio.create_task(tools.run("held", Request(text="a")))
    assert await asyncio.to_thread(gate.entered.acquire, timeout=30)
    # The tool is in the middle of its run; this loop, and other tools, are not.
    assert (await tools.run("say", Request(text="b"))).text == "b"  # type: ignore[attr-defined]
    assert not held.done()
    gate.opened.set()
    assert (await held).text == "a"  # type: ignore[attr-defined]


async def test_a_tool_runs_at_most_as_often_at_once_as_its_limit(
    runner: Runner, gate: Gate
) -> None:
    tools = runner(gate.tool(concurrency=2))
    held = [asyncio.create_task(tools.run("held", Request(text=str(n)))) for n in range(5)]
    for _ in range(2):
        assert await asyncio.to_thread(gate.entered.acquire, timeout=30)
    assert gate.runs == 2
    gate.opened.set()
    assert [each.text for each in await asyncio.gather(*held)] == list("01234")  # type: ignore[attr-defined]


async def test_a_run_over_its_limit_is_a_fault_and_holds_up_its_own_tool_only(
    runner: Runner, gate: Gate
) -> None:
    tools = runner(gate.tool(timeout_s=0.01, concurrency=1), say)
    for _ in range(3):
        with pytest.raises(FaultError, match=r"`held` took longer than its 0\.01 s") as caught:
            await tools.run("held", Request())
        assert caught.value.fault.type == "deadline_exceeded"
    assert gate.runs == 1
    assert (await tools.run("say", Request(text="b"))).text == "b"  # type: ignore[attr-defined]


async def test_an_async_tool_is_cancelled_at_its_limit(runner: Runner) -> None:
    cancelled = asyncio.Event()

    @tool(description="Waits.", limits=Limits(timeout_s=0.01))
    async def wait(request: Request) -> Result:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return Result(text="")

    with pytest.raises(FaultError, match="longer than its"):
        await runner(wait).run("wait", Request())
    assert cancelled.is_set()


async def test_a_cancelled_run_ends_at_once(runner: Runner, gate: Gate) -> None:
    tools = runner(gate.tool())
    held = asyncio.create_task(tools.run("held", Request()))
    assert await asyncio.to_thread(gate.entered.acquire, timeout=30)
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held


async def test_a_timeout_of_the_tools_own_is_not_taken_for_its_limit(runner: Runner) -> None:
    @tool(description="Fails.")
    def fail(request: Request) -> Result:
        raise TimeoutError("of something else")

    with pytest.raises(TimeoutError, match="of something else"):
        await runner(fail).run("fail", Request())


async def test_a_result_of_another_type_is_a_fault(runner: Runner) -> None:
    @tool(description="Lies.")
    def lie(request: Request) -> Result:
        return request  # type: ignore[return-value]

    with pytest.raises(FaultError, match="returned Request instead of Result") as caught:
        await runner(lie).run("lie", Request())
    assert caught.value.fault.type == "internal"


async def test_closing_ends_what_waits_and_lets_finish_what_runs(
    telemetry: Telemetry, gate: Gate
) -> None:
    tools = ToolRunner(ToolRegistry([gate.tool(concurrency=1)]), telemetry.tracer)
    running = asyncio.create_task(tools.run("held", Request(text="a")))
    assert await asyncio.to_thread(gate.entered.acquire, timeout=30)
    waiting = asyncio.create_task(tools.run("held", Request(text="b")))
    await asyncio.sleep(0)
    tools.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.opened.set()
    assert await running == Result(text="a")
    assert gate.runs == 1


# Spans.


async def test_a_run_is_a_span(
    runner: Runner, telemetry: Telemetry, spans: InMemorySpanExporter
) -> None:
    seen: list[int] = []

    @tool(description="Looks at the current span.")
    def look(request: Request) -> Result:
        seen.append(trace.get_current_span().get_span_context().span_id)
        return Result(text="")

    with telemetry.tracer.span("parent") as parent:
        await runner(look).run("look", Request(text="secret"), call_id="c1")
    child, _ = spans.get_finished_spans()
    assert (child.name, child.kind) == ("execute_tool look", SpanKind.INTERNAL)
    assert child.parent is not None
    assert child.parent.span_id == parent.get_span_context().span_id
    assert dict(child.attributes or {}) == {
        names.GEN_AI_OPERATION: "execute_tool",
        names.GEN_AI_TOOL_NAME: "look",
        names.GEN_AI_TOOL_TYPE: "function",
        names.GEN_AI_TOOL_DESCRIPTION: "Looks at the current span.",
        names.GEN_AI_TOOL_CALL_ID: "c1",
    }
    assert seen == [child.get_span_context().span_id]


async def test_contents_are_recorded_when_switched_on(
    runner: Runner, spans: InMemorySpanExporter
) -> None:
    await runner(say, record_content=True).run("say", Request(text="secret"))
    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    for name in (names.GEN_AI_TOOL_ARGUMENTS, names.GEN_AI_TOOL_RESULT):
        assert json.loads(str(span.attributes[name])) == {"text": "secret"}


async def test_a_fault_marks_the_span(runner: Runner, spans: InMemorySpanExporter) -> None:
    with pytest.raises(FaultError):
        await runner(calculate).run("calculate", CalculateRequest(expression="1/0"))
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})[names.ERROR_TYPE] == "invalid_input"


async def test_runs_are_in_the_metrics_failed_ones_with_their_fault(tmp_path: Path) -> None:
    reader = InMemoryMetricReader()
    measured = setup("tool_executor", Settings(data_dir=tmp_path), metric_readers=[reader])
    tools = ToolRunner(ToolRegistry([calculate]), measured.tracer, measured.instruments)
    await tools.run("calculate", CalculateRequest(expression="2 * 21"))
    with pytest.raises(FaultError) as refused:
        await tools.run("calculate", CalculateRequest(expression="2 *"))
    tools.close()
    data = reader.get_metrics_data()
    assert data is not None
    counted = {
        (point.attributes or {}).get(names.ERROR_TYPE): point.count
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == names.METRIC_TOOL_DURATION
        for point in metric.data.data_points
    }
    assert counted == {None: 1, refused.value.fault.type: 1}
    measured.close()
