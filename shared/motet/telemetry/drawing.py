"""Draws a trace as text, for `motet trace` and for people who read test failures.

The plain drawing has one line a hand-off: what a message goes through (`send`, `process`,
`invoke_agent`) is one thing to a reader, unless it was delivered more than once; then each attempt
has its line. The full drawing has one line a span.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from motet.telemetry import names
from motet.telemetry.record import SpanRecord
from motet.telemetry.tree import SpanNode, TraceTree

__all__ = ["draw"]

_WAIT_WORTH_TELLING_S: Final = 0.01
_MESSAGE_LENGTH: Final = 160


@dataclass(frozen=True)
class _Line:
    label: str
    took: str
    notes: tuple[str, ...]
    below: tuple[SpanNode, ...]


def draw(tree: TraceTree, *, every_span: bool = False) -> str:
    """The tree with durations, attempts, tokens, cost and errors; a line each, none at the end."""
    rows: list[tuple[str, str, tuple[str, ...]]] = []
    for top in tree.tops:
        rows.extend(_rows(top, every_span=every_span))
    if not rows:
        return "No spans."
    width = max(len(label) for label, _, _ in rows)
    took = max(len(took) for _, took, _ in rows)
    return "\n".join(
        "  ".join([f"{label:<{width}}", f"{time:>{took}}", *notes]).rstrip()
        for label, time, notes in rows
    )


def _rows(top: SpanNode, *, every_span: bool) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    # The stack holds a node with what stands before its label and before its children's.
    waiting = [(top, "", "")]
    while waiting:
        node, before, before_children = waiting.pop()
        line = _span_line(node) if every_span else _folded_line(node)
        yield before + line.label, line.took, line.notes
        below = line.below if every_span else tuple(filter(_worth_a_line, line.below))
        for number, child in reversed(list(enumerate(below))):
            last = number == len(below) - 1
            waiting.append(
                (
                    child,
                    before_children + ("└─ " if last else "├─ "),
                    before_children + ("   " if last else "│  "),
                )
            )


def _span_line(node: SpanNode) -> _Line:
    chain = (node,)
    notes = _notes(chain)
    if node.parent is None or node.parent.span.service != node.span.service:
        notes = (f"[{node.span.service}]", *notes)
    if node.span.links:
        notes += tuple(
            f"{link.attributes.get(names.LINK, 'linked')} of span {link.span_id}"
            for link in node.span.links
        )
    return _Line(node.name, _took(chain), notes, tuple(node.children))


def _folded_line(node: SpanNode) -> _Line:
    """A node with what belongs to the same hand-off."""
    chain, attempts = [node], list[SpanNode]()
    if _is_send(node) or node.name == names.submit():
        attempts = [
            child for child in node.children if _is_delivery(child) and not _is_heard(child)
        ]
        if len(attempts) == 1:
            chain.append(attempts[0])
    if _is_delivery(chain[-1]):
        agents = [child for child in chain[-1].children if _is_agent(child)]
        if len(agents) == 1:
            chain.append(agents[0])
    below = [child for link in chain for child in link.children if child not in chain]
    below.sort(key=lambda child: child.span.start_ns)
    took = _took(chain if len(attempts) < 2 else [node, *attempts])
    return _Line(_label(chain), took, _notes(chain), tuple(below))


def _label(chain: Sequence[SpanNode]) -> str:
    first = chain[0]
    if _is_attempt(first):
        return f"attempt {first.get(names.ATTEMPT, '?')}"
    if first.name.startswith(names.run("")):
        return f"{first.name} {first.get(names.TASK)}"
    if first.span.parent_id is None and first.get(names.TASK):
        return f"task {first.get(names.TASK)}"
    if not (_is_send(first) or _is_delivery(first) or _is_agent(first)):
        return first.name
    agent = _first(chain, names.AGENT) or _first(chain, names.GEN_AI_AGENT_NAME)
    skill, step = _first(chain, names.SKILL), _first(chain, names.STEP)
    if agent:
        label = f"{agent}.{skill}" if skill else str(agent)
    else:  # nobody took it: the subject tells whom it was for
        subject = first.name.partition(" ")[2]
        label = subject.partition(".call.")[2] or subject
    return f"{label} ({step})" if step else label


def _took(chain: Sequence[SpanNode]) -> str:
    """From the start of the first to the latest end."""
    ends = [node.span.end_ns for node in chain]
    if ends[-1] is None:
        return "not ended"
    last = max(end for end in ends if end is not None)
    return _seconds((last - chain[0].span.start_ns) / 1e9)


def _notes(chain: Sequence[SpanNode]) -> tuple[str, ...]:
    notes: list[str] = []
    first = chain[0]
    waited = _waited(chain)
    if waited is not None and waited >= _WAIT_WORTH_TELLING_S:
        notes.append(f"waited {_seconds(waited)}")
    attempt = _first(chain, names.ATTEMPT)
    if attempt is not None and attempt > 1 and not _is_attempt(first):
        notes.append(f"attempt {attempt}")
    if first.parent is None or first.get(names.GEN_AI_OPERATION) == names.OPERATION_CHAT:
        usage = first.usage()
        if usage.tokens:
            notes.append(f"{usage.input_tokens:,} → {usage.output_tokens:,} tokens")
        if usage.cost_usd:
            notes.append(f"${usage.cost_usd:.4f}")
    passages = _first(chain, names.PASSAGES)
    if passages is not None:
        notes.append(f"{passages} passage{'' if passages == 1 else 's'}")
    if _first(chain, names.CACHED):
        notes.append("cached")
    if _first(chain, names.REUSED):
        notes.append("done before")
    failed = next((node.span for node in reversed(chain) if node.span.status == "error"), None)
    if failed is not None:
        notes.append(_failure(failed))
    if first.span.parent_id is not None and first.parent is None:
        notes.append("(its parent is not recorded)")
    return tuple(notes)


def _waited(chain: Sequence[SpanNode]) -> float | None:
    """Seconds in the queue: as measured, or from the end of sending to the delivery."""
    told = _first(chain, names.QUEUE_WAIT_S)
    if told is not None:
        return float(told)
    if len(chain) > 1 and _is_delivery(chain[1]) and chain[0].span.end_ns is not None:
        return (chain[1].span.start_ns - chain[0].span.end_ns) / 1e9
    return None


def _failure(span: SpanRecord) -> str:
    kind = str(span.attributes.get(names.ERROR_TYPE, ""))
    message = " ".join(span.message.split()) or kind or "failed"
    if len(message) > _MESSAGE_LENGTH:
        message = message[: _MESSAGE_LENGTH - 1] + "…"
    return f"✗ {message}" if message.startswith(kind) else f"✗ {kind}: {message}"


def _first(chain: Sequence[SpanNode], key: str) -> Any:
    return next((node.get(key) for node in chain if node.get(key) is not None), None)


def _worth_a_line(node: SpanNode) -> bool:
    """Whether a node is more than plumbing that went well: an event sent, messages fetched."""
    plumbing = node.get(names.MESSAGING_OPERATION_TYPE) or _is_send(node) or _is_delivery(node)
    return (
        not plumbing
        or bool(node.children)
        or node.span.status == "error"
        or _is_attempt(node)
        or node.get(names.CALL) is not None
    )


def _is_send(node: SpanNode) -> bool:
    return node.span.kind == "producer"


def _is_delivery(node: SpanNode) -> bool:
    return node.span.kind == "consumer"


def _is_attempt(node: SpanNode) -> bool:
    """Whether a delivery has a line of its own, because there was more than one."""
    return _is_delivery(node) and node.parent is not None and not _is_heard(node)


def _is_heard(node: SpanNode) -> bool:
    """Whether a delivery is of an event, which nobody sent to whoever hears of it."""
    subject = str(node.get(names.MESSAGING_DESTINATION_TEMPLATE) or "")
    return subject.split(".")[1:2] == ["event"]


def _is_agent(node: SpanNode) -> bool:
    return node.get(names.GEN_AI_OPERATION) == names.OPERATION_INVOKE_AGENT


def _seconds(seconds: float) -> str:
    if seconds < 0.001:
        return f"{max(0.0, seconds) * 1000:.2f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
