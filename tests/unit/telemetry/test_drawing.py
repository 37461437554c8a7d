"""What a person sees of a trace."""

from __future__ import annotations

from itertools import count
from typing import Any

from motet.telemetry import names
from motet.telemetry.drawing import draw
from motet.telemetry.record import Kind, SpanLink, SpanRecord
from motet.telemetry.tree import TraceTree

MS = 1_000_000


class Trace:
    """Writes a trace down: each span at a moment and for a while, in milliseconds."""

    def __init__(self) -> None:
        self.spans: list[SpanRecord] = []
        self._ids = count(1)

    def add(
        self,
        name: str,
        parent: str | None,
        at: float,
        took: float | None,
        kind: Kind = "internal",
        attributes: dict[str, Any] | None = None,
        **rest: Any,
    ) -> str:
        span_id = f"{next(self._ids):016x}"
        start = int(at * MS)
        self.spans.append(
            SpanRecord(
                trace_id="a" * 32,
                span_id=span_id,
                parent_id=parent,
                name=name,
                start_ns=start,
                end_ns=None if took is None else start + int(took * MS),
                kind=kind,
                attributes=attributes or {},
                service=rest.pop("service", "motet-planner"),
                **rest,
            )
        )
        return span_id

    def send(self, parent: str, skill: str, at: float, step: str) -> str:
        agent, _, name = skill.partition(".")
        attributes = {names.STEP: step, names.CALL: step, names.AGENT: agent, names.SKILL: name}
        subject = f"motet.call.{skill}"
        return self.add(names.send(subject), parent, at, 1, "producer", attributes)

    def attempt(
        self, sent: str, skill: str, at: float, took: float | None, attempt: int = 1, **rest: Any
    ) -> str:
        agent, _, name = skill.partition(".")
        process = self.add(
            names.process(f"motet.call.{skill}"),
            sent,
            at,
            took,
            "consumer",
            {names.ATTEMPT: attempt},
            service=f"motet-{agent}",
            **rest,
        )
        attributes = {
            names.GEN_AI_OPERATION: names.OPERATION_INVOKE_AGENT,
            names.GEN_AI_AGENT_NAME: agent,
            names.SKILL: name,
        }
        return self.add(names.invoke_agent(agent), process, at, took, attributes=attributes)

    def draw(self, *, every_span: bool = False) -> str:
        return draw(TraceTree.of(self.spans), every_span=every_span)


def chat(tokens: tuple[int, int], cost: float = 0) -> dict[str, Any]:
    return {
        names.GEN_AI_OPERATION: names.OPERATION_CHAT,
        names.GEN_AI_INPUT_TOKENS: tokens[0],
        names.GEN_AI_OUTPUT_TOKENS: tokens[1],
        names.COST_USD: cost,
    }


def whole_task() -> Trace:
    trace = Trace()
    root = trace.add(
        names.send("motet.task.submit"),
        None,
        0,
        1,
        "producer",
        {names.TASK: "t-1"},
        service="client",
    )
    planner = trace.attempt(root, "planner.", 2, 4200)
    trace.add(names.chat("qwen"), planner, 10, 1200, "client", chat((812, 53), 0.0012))
    search = trace.send(planner, "retriever.search", 1300, "find")
    retriever = trace.attempt(search, "retriever.search", 1350, 84)
    trace.add(names.retrieval("documents"), retriever, 1400, 5, attributes={names.PASSAGES: 5})
    trace.add(names.embeddings("minilm"), retriever, 1360, 12)
    compute = trace.send(planner, "tool_executor.calculate", 1300, "sum")
    trace.attempt(compute, "tool_executor.calculate", 1302, 1, status="error", message="tool down")
    trace.attempt(compute, "tool_executor.calculate", 1810, 1, attempt=2)
    trace.add(
        names.send("motet.event.t-1.plan"),
        planner,
        1250,
        1,
        "producer",
        {names.MESSAGING_OPERATION_TYPE: names.OPERATION_SEND},
    )
    return trace


HAND_OFFS = """\
task t-1                          4.20 s  812 → 53 tokens  $0.0012
├─ chat qwen                      1.20 s  812 → 53 tokens  $0.0012
├─ retriever.search (find)        134 ms  waited 49 ms
│  ├─ embeddings minilm            12 ms
│  └─ retrieval documents           5 ms  5 passages
└─ tool_executor.calculate (sum)  511 ms
   ├─ attempt 1                     1 ms  ✗ tool down
   └─ attempt 2                     1 ms"""


def test_a_hand_off_is_one_line() -> None:
    assert whole_task().draw() == HAND_OFFS


def test_every_span_has_a_line_when_asked() -> None:
    trace = whole_task()
    drawn = trace.draw(every_span=True).splitlines()
    assert len(drawn) == len(trace.spans)
    assert drawn[0].startswith("send motet.task.submit ")
    assert drawn[1].startswith("└─ process motet.call.planner.")
    assert "[motet-planner]" in drawn[1]
    assert any("send motet.event.t-1.plan" in line for line in drawn)


def test_retries_that_are_linked_say_so() -> None:
    trace = Trace()
    sent = trace.send("0" * 16, "a.b", 0, "s")
    first = trace.attempt(sent, "a.b", 1, 1)
    link = SpanLink("a" * 32, first, {names.LINK: names.LINK_RETRY})
    trace.attempt(sent, "a.b", 5, 1, attempt=2, links=(link,))
    assert f"retry of span {first}" in trace.draw(every_span=True)


def test_an_orphan_and_a_second_root_are_drawn_and_told() -> None:
    trace = Trace()
    trace.add("one", None, 0, 1)
    trace.add("two", None, 2, 1)
    trace.add("lost", "f" * 16, 1, 1)
    assert trace.draw().splitlines() == [
        "one   1 ms",
        "two   1 ms",
        "lost  1 ms  (its parent is not recorded)",
    ]


def test_what_has_not_ended_says_so() -> None:
    trace = Trace()
    root = trace.add("submit task", None, 0, 0.1, attributes={names.TASK: "t"})
    trace.attempt(root, "planner.", 1, None)
    assert trace.draw() == "task t  not ended"


def test_a_call_that_nobody_took_is_drawn() -> None:
    trace = Trace()
    root = trace.add("work", None, 0, 1)
    attributes = {names.CALL: "c"}
    trace.add(names.send("x.call.gone.search"), root, 0, 1, "producer", attributes)
    assert "└─ gone.search" in trace.draw()


def test_a_failed_send_is_drawn() -> None:
    trace = Trace()
    root = trace.add("work", None, 0, 1)
    failed = {
        names.MESSAGING_OPERATION_TYPE: names.OPERATION_SEND,
        names.ERROR_TYPE: "unavailable",
    }
    trace.add(
        names.send("motet.event.t.plan"),
        root,
        0,
        1,
        "producer",
        failed,
        status="error",
        message="NATS is\naway",
    )
    assert "✗ unavailable: NATS is away" in trace.draw()


def test_notes_tell_what_was_saved_and_what_went_wrong() -> None:
    trace = Trace()
    root = trace.add("work", None, 0, 1)
    cached = chat((10, 1)) | {names.CACHED: True}
    trace.add(names.chat("m"), root, 0, 1, "client", cached)
    sent = trace.send(root, "a.b", 2, "s")
    process = {names.REUSED: True, names.ATTEMPT: 2, names.QUEUE_WAIT_S: 75.2}
    trace.add(names.process("motet.call.a.b"), sent, 3, 1, "consumer", process)
    long = {names.ERROR_TYPE: "builtins.ValueError"}
    trace.add("t", root, 5, 1, attributes=long, status="error", message="x" * 500)
    drawn = trace.draw().splitlines()
    assert drawn[1] == "├─ chat m   1 ms  cached"
    assert drawn[2] == "├─ a.b (s)  2 ms  waited 1 min 15 s  attempt 2  done before"
    assert drawn[3].endswith("…")
    assert len(drawn[3]) < 220


def test_nothing_is_said_to_be_nothing() -> None:
    assert draw(TraceTree.of([])) == "No spans."


def test_a_very_deep_trace_is_drawn() -> None:
    trace = Trace()
    parent: str | None = None
    for number in range(1500):
        parent = trace.add(f"s{number}", parent, number, 1)
    assert len(trace.draw().splitlines()) == 1500
