"""Trees hold every span once, and tell what is not whole."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from motet.messages import Usage
from motet.settings import Settings
from motet.telemetry import Telemetry, names, setup
from motet.telemetry.record import SpanRecord
from motet.telemetry.span_store import SpanStore
from motet.telemetry.tree import TraceTree, read_tree

TRACE = "a" * 32


def record(number: int, parent: int | None, start: int = 0, **rest: object) -> SpanRecord:
    return SpanRecord(
        trace_id=TRACE,
        span_id=f"{number:016x}",
        parent_id=None if parent is None else f"{parent:016x}",
        name=f"span {number}",
        start_ns=start,
        end_ns=start + 1,
        **rest,  # type: ignore[arg-type]
    )


@given(
    st.lists(
        st.tuples(
            st.integers(1, 12),
            st.none() | st.integers(1, 15),
            st.integers(0, 5),
        ),
        unique_by=lambda span: span[0],
        max_size=12,
    )
)
def test_every_span_is_in_the_tree_once(spans: list[tuple[int, int | None, int]]) -> None:
    records = [record(*span) for span in spans]
    tree = TraceTree.of(records)
    nodes = list(tree.walk())
    assert sorted(node.span.span_id for node in nodes) == sorted(r.span_id for r in records)
    assert all(root.span.parent_id is None for root in tree.roots)
    for node in nodes:
        starts = [child.span.start_ns for child in node.children]
        assert starts == sorted(starts)
        assert all(child.parent is node for child in node.children)
        assert all(child.span.parent_id == node.span.span_id for child in node.children)
    assert len(tree.outline().splitlines()) == len(records)


def test_spans_of_this_process_make_a_tree(
    telemetry: Telemetry, spans: InMemorySpanExporter
) -> None:
    with telemetry.tracer.span("a"):
        with telemetry.tracer.span("b"), telemetry.tracer.span("c"):
            pass
        with telemetry.tracer.span("d"):
            pass
    tree = TraceTree.of(spans.get_finished_spans())
    assert tree.connected
    assert tree.outline() == "a\n  b\n    c\n  d"
    (c,) = tree.find("c")
    assert c.path() == ["a", "b", "c"]
    assert tree.roots[0].find("d") == tree.find("d")


def test_a_task_is_picked_out(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    for task in ("t-1", "t-2"):
        with telemetry.tracer.span("outer"), telemetry.tracer.span(task) as span:
            span.set_attribute(names.TASK, task)
    assert TraceTree.of(spans.get_finished_spans(), task="t-2").outline() == "outer\n  t-2"
    assert TraceTree.of(spans.get_finished_spans(), task="t-3").tops == ()


def test_an_orphan_is_told() -> None:
    tree = TraceTree.of([record(1, None), record(2, 1), record(3, 99), record(4, 3)])
    assert [node.name for node in tree.roots] == ["span 1"]
    assert [node.name for node in tree.orphans] == ["span 3"]
    assert not tree.connected
    assert tree.outline() == "span 1\n  span 2\nspan 3\n  span 4"


def test_two_roots_are_told() -> None:
    tree = TraceTree.of([record(2, None, 5), record(1, None, 3)])
    assert [node.name for node in tree.roots] == ["span 1", "span 2"]
    assert not tree.connected


def test_a_circle_is_cut() -> None:
    tree = TraceTree.of([record(1, 3), record(2, 1), record(3, 2), record(4, 4)])
    assert tree.outline() == "span 1\n  span 2\n    span 3\nspan 4"
    assert len(tree.orphans) == 2


def test_equal_span_ids_of_two_traces_do_not_meet() -> None:
    other = SpanRecord(trace_id="b" * 32, span_id=f"{2:016x}", name="other", start_ns=0)
    tree = TraceTree.of([record(2, None), record(3, 2), other])
    assert tree.outline() == "span 2\n  span 3\nother"


def test_a_very_deep_tree_is_no_problem() -> None:
    tree = TraceTree.of([record(n, n - 1 if n > 1 else None, n) for n in range(1, 5001)])
    assert tree.connected
    assert tree.outline().endswith("span 5000")
    assert tree.usage() == Usage()


def test_usage_counts_models_and_nothing_twice() -> None:
    def chat(number: int, parent: int, **more: object) -> SpanRecord:
        attributes = {
            names.GEN_AI_OPERATION: names.OPERATION_CHAT,
            names.GEN_AI_INPUT_TOKENS: 10,
            names.GEN_AI_OUTPUT_TOKENS: 2,
            names.COST_USD: 0.5,
        }
        return record(number, parent, attributes=attributes | more)

    agent = {
        names.GEN_AI_OPERATION: names.OPERATION_INVOKE_AGENT,
        names.GEN_AI_INPUT_TOKENS: 30,
    }
    tree = TraceTree.of(
        [
            record(1, None, attributes=agent),
            chat(2, 1),
            chat(3, 1),
            chat(4, 1, **{names.CACHED: True}),
        ]
    )
    assert tree.usage() == Usage(input_tokens=20, output_tokens=4, cost_usd=1.0, model_calls=2)


async def test_a_tree_is_read_once_it_is_whole(tmp_path: Path) -> None:
    telemetry = setup("tester", Settings(data_dir=tmp_path, spans_dir=tmp_path / "spans"))
    store = SpanStore(tmp_path / "spans")
    with telemetry.tracer.span("root", attributes={names.TASK: "t"}):
        with telemetry.tracer.span("child"):
            pass
        reading = asyncio.create_task(read_tree(store, "t", timeout_s=30))
        unfinished = await read_tree(store, "t", timeout_s=0.3)
    assert not reading.done()
    assert [node.span.end_ns for node in unfinished.roots] == [None]
    assert (await reading).outline() == "root\n  child"
    assert (await read_tree(store, "nothing", timeout_s=0)).tops == ()
    await telemetry.shutdown()
