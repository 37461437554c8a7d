"""`motet trace`: the delegation tree of a task, with durations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.terminal import AsJson, Status, client_settings, fail, out, run, write_json

if TYPE_CHECKING:
    from motet.settings import Settings
    from motet.telemetry.tree import SpanNode, TraceTree

__all__ = ["show_tree", "trace"]


def trace(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's id.")],
    spans: Annotated[
        bool, typer.Option("--spans", help="A line for every span, not one a hand-off.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw who did what in a task, and how long it took."""

    async def main() -> None:
        settings = client_settings()
        if not as_json:
            await show_tree(settings, task, every_span=spans)
        else:
            write_json([_plain(top) for top in (await _tree(settings, task)).tops])

    run(main())


async def show_tree(settings: Settings, task: str, *, every_span: bool = False) -> None:
    """Draws a task's tree; a line that is too long is cut at the right edge."""
    from rich.text import Text

    from motet.telemetry.drawing import draw

    drawn = Text(draw(await _tree(settings, task), every_span=every_span))
    out().print(drawn, no_wrap=True, overflow="ellipsis")


async def _tree(settings: Settings, task: str) -> TraceTree:
    from motet.telemetry.span_store import SpanStore
    from motet.telemetry.tree import read_tree

    folder = settings.spans_dir or settings.data_dir / "spans"
    tree = await read_tree(SpanStore(folder), task)
    if not tree.tops:
        fail(
            f"No trace of task {task!r} is in {folder}. Services on other machines send theirs to "
            "a collector; MOTET_SPANS_DIR names the folder of those on this one.",
            Status.FAILED,
        )
    return tree


def _plain(node: SpanNode) -> dict[str, Any]:
    span = node.span
    return {
        "name": span.name,
        "service": span.service,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "start_ns": span.start_ns,
        "duration_s": span.duration_s,
        "status": span.status,
        "message": span.message,
        "attributes": dict(span.attributes),
        "children": [_plain(child) for child in node.children],
    }
