"""The live view: what happens in a task, a line an event, as it happens.

Lines are only ever added, so that the view is the same on a terminal, in a pipe and in a log; on
a terminal one more line at the bottom names what is being worked on.
"""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import Self, assert_never

from rich.console import Console, Group, RenderableType
from rich.status import Status
from rich.table import Table
from rich.text import Text

from motet.cli.layout import GUTTER, glyph, hanging, plural, seconds, width
from motet.messages import (
    CallFinished,
    CallRetried,
    CallStarted,
    Event,
    Fault,
    PersonAsked,
    PersonReplied,
    PlanMade,
    Progress,
    StateChanged,
    Streamed,
    TaskScored,
    TaskState,
)

__all__ = ["LiveView"]

_SKILL_WIDTH = 24
_STATE_STYLES = {
    TaskState.SUCCEEDED: "bold green",
    TaskState.FAILED: "bold red",
    TaskState.EXPIRED: "bold red",
    TaskState.CANCELLED: "bold yellow",
}


class LiveView:
    """Shows the events of one task. `with LiveView(console) as view: view.show(event)`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began: datetime | None = None
        self._state = TaskState.SUBMITTED
        self._running: dict[str, CallStarted] = {}
        self._depth: dict[str, int] = {}
        self._steps: dict[str, str] = {}
        self._writing = ""
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status(Text("waiting", style="dim"), spinner="dots")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def show(self, event: Event) -> None:
        """Shows one event; they must come in order."""
        if self._began is None:
            self._began = event.at
        line = self._line(event)
        if line is not None:
            self._console.print(line)
        if self._status is not None:
            self._status.update(Text(self._activity(), style="dim"))

    def _line(self, event: Event) -> RenderableType | None:  # noqa: PLR0911 - one a kind
        match event:
            case StateChanged():
                return self._state_line(event)
            case PlanMade():
                return self._plan(event)
            case CallStarted():
                self._running[event.call] = event
                self._steps[event.call] = event.step
                self._depth[event.call] = self._depth.get(event.parent or "", -1) + 1
                said = Text.assemble((f"from {event.caller}", "dim"))
                return self._call(event, "start", "cyan", event.skill, said)
            case CallFinished():
                self._running.pop(event.call, None)
                return self._call_end(event)
            case CallRetried():
                said = Text.assemble(
                    f"attempt {event.attempt} failed, again in {seconds(event.delay_s)}: ",
                    described(event.fault),
                )
                return self._call(event, "again", "yellow", event.skill, said)
            case Progress():
                said = Text(event.message, style="dim")
                return self._call(event, "note", "dim", event.skill, said)
            case PersonAsked():
                said = Text.assemble(
                    ("asks: ", "bold yellow"),
                    event.question.prompt,
                    (f"  motet approvals show {event.task}.{event.id}", "dim"),
                )
                return self._call(event, "note", "yellow", event.skill, said)
            case PersonReplied():
                return self._replied(event)
            case Streamed():
                self._writing = event.text
                return None
            case TaskScored():
                return None
            case _:
                assert_never(event)

    def _state_line(self, event: StateChanged) -> RenderableType:
        self._state = event.state
        self._writing = ""
        style = _STATE_STYLES.get(event.state, "bold")
        said = Text(event.state.value, style=style)
        if event.fault is not None:
            said.append(": ", style="default")
            said.append_text(described(event.fault))
        mark = (2, Text(glyph(self._console, "state"), style=style))
        return hanging(self._console, (GUTTER - 1, self._time(event)), mark, text=said)

    def _replied(self, event: PersonReplied) -> RenderableType:
        said = Text.assemble((event.decision, "bold"), f" by {event.by or 'somebody'}")
        if event.reason:
            said.append(f": {event.reason}")
        mark = (2, Text(glyph(self._console, "note"), style="yellow"))
        return hanging(self._console, (GUTTER - 1, self._time(event)), mark, text=said)

    def _plan(self, event: PlanMade) -> RenderableType:
        title = f"plan, {plural(len(event.steps), 'step')}"
        if event.revision > 1:
            title = f"plan {event.revision}, {plural(len(event.steps), 'step')}"
        said = Text(title, style="bold")
        if event.reason:
            said.append(f": {event.reason}", style="not bold")
        mark = (2, Text(glyph(self._console, "state"), style="bold"))
        head = hanging(self._console, (GUTTER - 1, self._time(event)), mark, text=said)
        steps = Table.grid(padding=(0, 1, 0, 0))
        id_width = max([2, *(min(12, len(step.id)) for step in event.steps)])
        steps.add_column(width=GUTTER + 2)
        steps.add_column(width=id_width, no_wrap=True)
        steps.add_column(width=_SKILL_WIDTH, no_wrap=True, overflow="ellipsis")
        left = width(self._console) - GUTTER - id_width - _SKILL_WIDTH - 6
        steps.add_column(width=max(20, left))
        for step in event.steps:
            purpose = Text(step.purpose)
            if step.strategy:
                purpose.append(f" by {step.strategy}", style="dim")
            if step.needs:
                purpose.append(f" (after {', '.join(step.needs)})", style="dim")
            steps.add_row("", Text(step.id, style="bold"), Text(step.skill, style="cyan"), purpose)
        return Group(head, steps)

    def _call_end(self, event: CallFinished) -> RenderableType:
        spent = event.usage
        said = Text(seconds(event.duration_s))
        if spent.tokens:
            said.append(f", {plural(spent.tokens, 'token')}", style="dim")
        if event.ok:
            return self._call(event, "done", "green", event.skill, said)
        if event.fault is not None:
            said.append(": ").append_text(described(event.fault))
        return self._call(event, "failed", "red", event.skill, said)

    def _call(
        self,
        event: CallStarted | CallFinished | CallRetried | Progress | PersonAsked,
        sign: str,
        style: str,
        skill: str,
        said: Text,
    ) -> RenderableType:
        text = Text(skill, style="cyan")
        step = self._steps.get(event.call)
        if step:
            text.append(f" {step}", style="bold")
        text.append("  ").append_text(said)
        depth = self._depth.get(event.call, 0)
        mark = Text("  " * depth + glyph(self._console, sign), style=style)
        return hanging(
            self._console,
            (GUTTER - 1, self._time(event)),
            (2 + 2 * depth, mark),
            text=text,
        )

    def _time(self, event: Event) -> Text:
        began = self._began or event.at
        passed = max(0.0, (event.at - began).total_seconds())
        return Text(f"{passed:5.1f}s ", style="dim", justify="right")

    def _activity(self) -> str:
        if self._writing:
            # The last words of what is being written, in the one line that there is for it.
            written = " ".join(self._writing.split())
            return f"{self._state.value}: … {written[-max(20, width(self._console) - 30) :]}"
        if self._running:
            skills = sorted({call.skill for call in self._running.values()})
            return f"{self._state.value}: {', '.join(skills)}"
        return self._state.value


def described(fault: Fault) -> Text:
    """A fault, and what caused it, in words."""
    text = Text.assemble(fault.message, (f" ({fault.type})", "dim"))
    if fault.cause is not None:
        text.append("; because: ").append_text(described(fault.cause))
    return text
