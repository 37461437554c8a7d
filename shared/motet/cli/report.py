"""What became of a task: the answer with its citations, what it cost, and who did what."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.text import Text

from motet.cli.layout import clock, glyph, hanging, indented, plural, seconds, width
from motet.cli.live import described
from motet.messages import (
    Answer,
    Citation,
    Evaluation,
    Scored,
    ScoreFailed,
    ScoreNotApplicable,
    TaskRecord,
    Usage,
)

__all__ = ["answer", "record", "scores", "spent"]

_QUOTE = 320
"""Characters of a passage that are shown."""

_MARGIN = 2


def record(console: Console, of: TaskRecord) -> RenderableType:
    """The whole outcome of a task: answer or fault, then what it cost."""
    parts: list[RenderableType] = []
    if of.answer is not None:
        parts.append(answer(console, of.answer))
    else:
        said = Text(of.state.value, style="bold")
        if of.fault is not None:
            said.append(": ").append_text(described(of.fault))
        parts.append(hanging(console, (_MARGIN - 1, Text()), text=said))
    took = (of.updated_at - of.accepted_at).total_seconds() if of.state.terminal else None
    parts += [Text(), indented(spent(console, of.usage, took), _MARGIN)]
    if of.evaluation is not None:
        parts.append(indented(scores(console, of.evaluation), _MARGIN))
    return Group(*parts)


def answer(console: Console, given: Answer) -> RenderableType:
    """The answer, then a numbered citation for each mark in it."""
    style = "bold" if given.answered else "bold yellow"
    parts: list[RenderableType] = [
        hanging(console, (_MARGIN - 1, Text()), text=Text(given.text, style=style))
    ]
    for citation in given.citations:
        parts += [Text(), *_citation(console, citation)]
    return Group(*parts)


def spent(console: Console, usage: Usage, took_s: float | None) -> Text:
    """Cost, tokens, calls and time in one line."""
    facts = [
        f"${usage.cost_usd:.4f}",
        f"{plural(usage.tokens, 'token')} ({usage.input_tokens:,} in, {usage.output_tokens:,} out)",
        plural(usage.calls, "call"),
        plural(usage.model_calls, "model call"),
    ]
    if took_s is not None:
        facts.append(seconds(took_s))
    return Text(f" {glyph(console, 'dot')} ".join(facts), style="dim")


def scores(console: Console, evaluation: Evaluation) -> Text:
    """What an evaluation found, in one line: `faithfulness 0.97 · citation accuracy 1.00`."""
    found: list[str] = []
    for metric, score in evaluation.scores.items():
        match score:
            case Scored():
                found.append(f"{metric.replace('_', ' ')} {score.value:.2f}")
            case ScoreFailed():
                found.append(f"{metric.replace('_', ' ')} failed")
            case ScoreNotApplicable():
                pass
    said = f" {glyph(console, 'dot')} ".join(found) or "nothing to score"
    return Text(said, style="dim")


def _citation(console: Console, citation: Citation) -> list[RenderableType]:
    where = Text.assemble(
        (citation.title, "bold"),
        f"  {citation.source}",
        (f", {_place(citation)}", "dim"),
    )
    if citation.supported is False:
        where.append("  not found in the passage", style="yellow")
    quote = " ".join(citation.quote.split())
    if len(quote) > _QUOTE:
        quote = quote[:_QUOTE].rsplit(" ", 1)[0] + glyph(console, "ellipsis")
    left, right = glyph(console, "left"), glyph(console, "right")
    number = f"[{citation.number}]"
    head = hanging(
        console, (_MARGIN - 1, Text()), (len(number), Text(number, style="bold cyan")), text=where
    )
    quoted = hanging(
        console,
        (_MARGIN - 1, Text()),
        (len(number), Text()),
        text=Text(f"{left}{quote}{right}", style="italic"),
    )
    return [head, quoted]


def _place(citation: Citation) -> str:
    """Where in its document the passage is."""
    if citation.start_s is None:
        return f"characters {citation.start:,} to {citation.end:,}"
    return f"{clock(citation.start_s)} to {clock(citation.end_s or citation.start_s)}"


def rule(console: Console, title: str) -> Text:
    """A heading with a line up to the right edge."""
    line = glyph(console, "dash") * max(4, width(console) - len(title) - 1)
    return Text.assemble((title, "bold"), " ", (line, "dim"))
