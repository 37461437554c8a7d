"""What was written is found again, whatever happened to the writer."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from motet.errors import SetupError
from motet.settings import Settings
from motet.telemetry import Telemetry, names, otlp_json, setup
from motet.telemetry.record import SpanRecord
from motet.telemetry.span_journal import read_journal
from motet.telemetry.span_store import SpanFiles, SpanStore, SpanStoreProcessor

values = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.lists(st.integers(-5, 5)).map(tuple),
    st.lists(st.text()).map(tuple),
)

OTLP_KEYS = (
    *("resourceSpans", "resource", "attributes", "scopeSpans", "spans", "traceId", "spanId"),
    *("startTimeUnixNano", "key", "value", "status", "kind", "links", "events", "intValue"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spans"


@contextmanager
def writing(folder: Path, service: str = "tester", instance: str = "") -> Iterator[Telemetry]:
    settings = Settings(data_dir=folder, spans_dir=folder)
    telemetry = setup(service, settings, instance=instance)
    yield telemetry
    telemetry.close()


def lines(folder: Path) -> list[bytes]:
    return [
        line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()
    ]


def test_a_span_comes_back_as_it_was(folder: Path, spans: InMemorySpanExporter) -> None:
    settings = Settings(data_dir=folder, spans_dir=folder)
    telemetry = setup("tester", settings, exporters=[spans], instance="one")
    attributes = {"text": 'quote " and ünïcode \n', "number": 2**53 + 1, "half": 0.5, "no": False}
    link = Link(SpanContext(1, 2, True), {names.LINK: names.LINK_RETRY})
    with telemetry.tracer.span("work", SpanKind.PRODUCER, attributes, links=[link]) as span:
        span.add_event("half way", {"percent": 50})
        span.set_attribute("nothing", None)
        span.set_status(StatusCode.ERROR, "it broke")
        with telemetry.tracer.span("inner", attributes={"list": ("a", "b")}):
            pass
    library = telemetry.tracer_provider.get_tracer("library")
    with library.start_as_current_span("theirs", attributes={"list": [1, 2]}):
        pass
    telemetry.close()
    expected = {span.name: SpanRecord.of(span) for span in spans.get_finished_spans()}
    assert expected["work"].attributes["nothing"] is None
    del expected["work"].attributes["nothing"]  # type: ignore[attr-defined]
    store = SpanStore(folder)
    for name, record in expected.items():
        assert record in store.trace(record.trace_id), name
    work = expected["work"]
    assert (work.service, work.instance, work.kind) == ("motet-tester", "one", "producer")
    assert [span.name for span in store.trace(work.trace_id)] == ["work", "inner"]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(), st.dictionaries(st.text(min_size=1), values, max_size=6))
def test_any_attributes_come_back(
    telemetry: Telemetry, spans: InMemorySpanExporter, name: str, attributes: dict[str, object]
) -> None:
    spans.clear()
    with telemetry.tracer.span(name, attributes=attributes):
        pass
    line = otlp_json.encode(spans.get_finished_spans())
    assert b"\n" not in line
    (record,) = otlp_json.decode(line)
    assert record == SpanRecord.of(spans.get_finished_spans()[0])


def test_odd_values_do_no_harm(telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    attributes = {"nan": math.nan, "inf": math.inf, "path": Path("a"), "map": {"k": [1, {"x": 2}]}}
    with telemetry.tracer.span("work", attributes=attributes):
        pass
    (record,) = otlp_json.decode(otlp_json.encode(spans.get_finished_spans()))
    assert math.isnan(record.attributes["nan"])
    assert record.attributes["inf"] == math.inf
    assert record.attributes["path"] == "a"
    assert record.attributes["map"] == {"k": (1, {"x": 2})}


def test_lines_are_otlps(folder: Path) -> None:
    with writing(folder) as telemetry:
        parent = SpanContext(1, 2, True)
        with telemetry.tracer.span("work", attributes={"a": 1}, links=[Link(parent, {})]) as span:
            span.add_event("half way", {"percent": 50})
            span.set_status(StatusCode.ERROR, "broken")
    (line,) = lines(folder)
    data = json_format.Parse(line, TracesData())  # raises on a field that OTLP does not have
    assert data.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.int_value == 1


def test_a_task_is_found_with_all_of_its_trace(folder: Path) -> None:
    with writing(folder, "one") as one, writing(folder, "two") as two:
        with (
            one.tracer.span("send", attributes={names.TASK: "t-1"}) as send,
            two.tracer.span("process"),
            two.tracer.span("chat"),
        ):
            pass
        with one.tracer.span("other", attributes={names.TASK: "t-10", "about": "t-1"}):
            pass
    store = SpanStore(folder)
    assert [span.name for span in store.find("t-1")] == ["send", "process", "chat"]
    assert [span.service for span in store.find("t-1")] == ["motet-one", "motet-two", "motet-two"]
    assert store.find("t-1") == store.trace(f"{send.get_span_context().trace_id:032X}")
    assert store.find("t-2") == []
    assert store.trace("0" * 32) == []


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert SpanStore(tmp_path / "nowhere").find("t") == []


def test_damaged_lines_are_skipped(folder: Path) -> None:
    with writing(folder) as telemetry:
        for task in ("t-1", "t-2"):
            with telemetry.tracer.span(f"work {task}", attributes={names.TASK: task}):
                pass
            assert telemetry.flush()
    (path,) = folder.glob("*.jsonl")
    first, second = path.read_bytes().splitlines(keepends=True)
    garbage = (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"t-1"},7,null]}]}]}\n"t-1"\n\xff\n'
    )
    path.write_bytes(first + garbage + b"\n" + second[:-20])
    store = SpanStore(folder)
    assert [span.name for span in store.find("t-1")] == ["work t-1"]
    assert store.find("t-2") == []


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_decoding_anything_gives_spans_or_nothing(line: bytes) -> None:
    assert list(otlp_json.decode(line)) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(OTLP_KEYS),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_decoding_any_json_does_no_harm(data: object) -> None:
    assert all(isinstance(span, SpanRecord) for span in otlp_json.decode(json.dumps(data).encode()))


def test_a_writer_goes_on_after_its_predecessors_half_line(folder: Path) -> None:
    with writing(folder, instance="same") as telemetry, telemetry.tracer.span("first"):
        pass
    (path,) = folder.glob("*.jsonl")
    os.truncate(path, path.stat().st_size - 10)
    with writing(folder, instance="same") as telemetry, telemetry.tracer.span("second") as span:
        pass
    trace_id = f"{span.get_span_context().trace_id:032x}"
    assert [span.name for span in SpanStore(folder).trace(trace_id)] == ["second"]
    assert len(list(folder.glob("*.jsonl"))) == 1


def test_files_are_bounded(folder: Path, telemetry: Telemetry, spans: InMemorySpanExporter) -> None:
    files = SpanFiles(folder, "tester", max_file_bytes=1000, max_files=3)
    for number in range(40):
        spans.clear()
        with telemetry.tracer.span("work", attributes={names.TASK: f"t-{number}"}):
            pass
        files.export(spans.get_finished_spans())
    files.shutdown()
    kept = sorted(folder.iterdir())
    assert len(kept) == 3
    assert all(path.stat().st_size < 2000 for path in kept)
    store = SpanStore(folder)
    assert store.find("t-0") == []
    assert [span.name for span in store.find("t-39")] == ["work"]


def test_the_folder_is_bounded_and_the_oldest_go(
    folder: Path, telemetry: Telemetry, spans: InMemorySpanExporter
) -> None:
    folder.mkdir()
    for number in range(5):
        old = folder / f"gone-{number}-0000.jsonl"
        old.write_bytes(b"x" * 1000)
        os.utime(old, (number, number))
    SpanFiles(folder, "tester", max_folder_bytes=2500).shutdown()
    assert sorted(path.name for path in folder.iterdir()) == [
        "gone-3-0000.jsonl",
        "gone-4-0000.jsonl",
        "tester-0000.jsonl",
    ]


def test_a_file_that_was_removed_is_replaced(
    folder: Path, telemetry: Telemetry, spans: InMemorySpanExporter
) -> None:
    files = SpanFiles(folder, "tester")
    (folder / "tester-0000.jsonl").unlink()
    with telemetry.tracer.span("work", attributes={names.TASK: "t"}):
        pass
    files.export(spans.get_finished_spans())
    files.shutdown()
    assert len(SpanStore(folder).find("t")) == 1


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "spans").write_text("a file")
    with pytest.raises(SetupError, match="MOTET_SPANS_DIR"):
        SpanFiles(tmp_path / "spans", "tester")


def test_what_is_in_progress_is_told_and_then_replaced(folder: Path) -> None:
    with writing(folder) as telemetry:
        with telemetry.tracer.span("slow", attributes={names.TASK: "t"}):
            with telemetry.tracer.span("quick"):
                pass
            library = telemetry.tracer_provider.get_tracer("library")
            with library.start_as_current_span("theirs"):
                while len(SpanStore(folder).find("t")) < 3:
                    assert telemetry.flush()
            before = {span.name: span.end_ns for span in SpanStore(folder).find("t")}
        assert telemetry.flush()
        after = {span.name: span.end_ns for span in SpanStore(folder).find("t")}
    assert before["slow"] is None
    assert before["quick"] is not None
    assert list(after) == ["slow", "quick", "theirs"]
    assert None not in after.values()
    assert list(folder.glob("*.open.json")) == []


def test_a_library_span_that_ends_is_not_remembered(folder: Path) -> None:
    processor = SpanStoreProcessor(SpanFiles(folder, "tester"))
    with writing(folder) as telemetry:
        telemetry.tracer_provider.add_span_processor(processor)
        with telemetry.tracer_provider.get_tracer("library").start_as_current_span("theirs"):
            assert len(processor._open) == 1
        assert processor._open == {}


def test_a_killed_process_loses_only_its_last_moment(folder: Path) -> None:
    writer = Path(__file__).with_name("span_writer.py")
    process = subprocess.Popen(
        [sys.executable, str(writer), str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        promised = next(count for line in process.stdout if (count := int(line)) > 500)
        process.kill()
        rest = process.stdout.read().split("\n")
    process.wait()
    promised = max([promised, *(int(count) for count in rest[:-1])])
    spans = SpanStore(folder).find("killed")
    found = {span.name: span for span in spans}
    assert found["never ends"].end_ns is None
    missing = [number for number in range(promised) if str(number) not in found]
    assert missing == []


def test_a_span_that_others_may_know_is_there_although_its_process_is_killed_at_once(
    folder: Path,
) -> None:
    """Neither a flush nor an end came between its start and the kill."""
    killed = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from motet.settings import Settings\n"
        "from motet.telemetry import setup\n"
        "from opentelemetry.trace import SpanKind\n"
        "folder = Path(sys.argv[1])\n"
        "telemetry = setup('writer', Settings(data_dir=folder, spans_dir=folder))\n"
        "with telemetry.tracer.span('task') as task:\n"
        "    with telemetry.tracer.span('send ' + 'x' * 200, SpanKind.PRODUCER):\n"
        "        print(f'{task.get_span_context().trace_id:032x}', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", killed, str(folder)], stdout=subprocess.PIPE, text=True, check=False
    )
    spans = SpanStore(folder).trace(process.stdout.strip())
    assert [span.name for span in spans] == ["task", "send " + "x" * 81]
    task, send = spans
    assert (task.parent_id, send.parent_id) == (None, task.span_id)
    assert (task.end_ns, send.end_ns) == (None, None)
    assert (task.kind, send.kind, send.service) == ("internal", "producer", "motet-writer")
    assert send in list(SpanStore(folder).every())


def test_a_journal_is_bounded_and_reuses_its_room(folder: Path) -> None:
    with writing(folder) as telemetry:
        for _ in range(3):
            with ExitStack() as stack:
                for number in range(3000):
                    stack.enter_context(telemetry.tracer.span(str(number)))
            assert telemetry.flush()
        (journal,) = folder.glob("*.journal")
        assert list(read_journal(journal)) == []
        with ExitStack() as stack:
            for number in range(5000):
                stack.enter_context(telemetry.tracer.span(str(number)))
            assert len(list(read_journal(journal))) == 4095
    assert list(folder.glob("*.journal")) == []
