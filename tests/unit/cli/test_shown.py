"""What the command line shows of a task: the same words on a terminal, in a pipe, at 80 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from motet.cli import report
from motet.cli.layout import plural, seconds
from motet.cli.live import LiveView
from motet.messages import Answer, Fault, TaskRecord, TaskState
from tests.unit.cli.recorded import EVENTS, RECORD, at


def console(width: int = 80, encoding: str = "utf-8") -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return Console(file=file, width=width, highlight=False)


def written(on: Console) -> str:
    on.file.flush()
    buffer = on.file.buffer  # type: ignore[attr-defined]
    return str(buffer.getvalue().decode(on.file.encoding))


def live(width: int = 80, encoding: str = "utf-8") -> str:
    to = console(width, encoding)
    with LiveView(to) as view:
        for event in EVENTS:
            view.show(event)
    return "\n".join(line.rstrip() for line in written(to).splitlines())


def test_the_live_view_shows_every_event_in_order() -> None:
    assert (
        live(90)
        == """\
   0.0s ●  submitted
   0.1s ●  planning
   2.3s ●  plan, 3 steps
           s1 retriever.search         Find what the observatory spent on instruments in
                                       2023
           s2 retriever.search         The same for 2024
           s3 tool_executor.calculate  Growth in per cent (after s1, s2)
   2.3s ●  running
   2.4s →  retriever.search s1  from planner
   2.4s →  retriever.search s2  from planner
   2.5s ✓  retriever.search s1  0.08 s, 30 tokens
   2.5s ↻  retriever.search s2  attempt 1 failed, again in 0.50 s: The store does not
           answer. (unavailable)
   2.6s   →  tool_executor.calculate x  from retriever
   2.7s   ·  tool_executor.calculate x  halfway there
   2.8s   ✗  tool_executor.calculate x  0.20 s: The expression divides by zero.
             (invalid_input); because: boom (internal)
   2.9s ●  plan 2, 1 step: step s3 failed
           s4 retriever.search         Look elsewhere
   5.0s ●  evaluating
 125.3s ●  succeeded"""
    )


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    to = console(width)
    to.print(report.record(to, RECORD))
    shown = live(width) + "\n" + written(to)
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= width


def test_an_output_without_unicode_gets_other_signs() -> None:
    assert live(80, "ascii").isascii()
    assert "ok retriever.search s1" in live(80, "ascii")


def test_the_report_has_answer_citations_and_cost() -> None:
    to = console()
    to.print(report.record(to, RECORD))
    shown = " ".join(written(to).split())
    assert "grew by 27.6 % between 2023 and 2024 [1] [2]." in shown
    assert "[1] Annual report 2023 annual-report-2023.md, characters 1,220 to 1,480" in shown
    assert "“In 2023 the observatory spent 1,450,000 euro on instruments. More." in shown
    assert "…”" in shown
    assert "annual-report-2024.md, characters 0 to 0 not found in the passage" in shown
    assert "$0.0000 · 2,340 tokens (2,100 in, 240 out) · 3 calls · 5 model calls · 12 s" in shown


def test_the_report_of_a_failure_has_the_fault_and_its_cause() -> None:
    fault = Fault(
        type="unavailable", message="No plan.", cause=Fault(type="internal", message="Boom.")
    )
    to = console()
    to.print(
        report.record(
            to,
            TaskRecord(
                id="t",
                task=None,
                state=TaskState.FAILED,
                fault=fault,
                accepted_at=at(0),
                updated_at=at(1),
            ),
        )
    )
    assert "failed: No plan. (unavailable); because: Boom. (internal)" in written(to)


def test_markup_in_what_models_write_is_shown_and_not_obeyed() -> None:
    to = console()
    to.print(report.answer(to, Answer(text="use [bold] and [/] here")))
    assert "use [bold] and [/] here" in written(to)


@pytest.mark.parametrize(
    "value, words",
    [(0.004, "0.00 s"), (0.08, "0.08 s"), (2.44, "2.4 s"), (35.4, "35 s"), (125, "2 min 05 s")],
)
def test_durations(value: float, words: str) -> None:
    assert seconds(value) == words


def test_counts() -> None:
    assert plural(1, "step") == "1 step"
    assert plural(1234, "token") == "1,234 tokens"
