"""The journal of a process' spans: what a process had begun when it was killed.

A span is written out a moment after it ended, and its children may run in other processes long
before. So a process that is killed would take spans with it that others name as their parent. To
prevent that, each span is noted when it starts, in a file that is mapped into memory: what is
written there is the operating system's at once, and outlives the process. What always holds:

- A span is in the journal before its context can leave the process, and stays there until it has
  been written to the span store.
- A note costs about a microsecond and no system call. It has no attributes: ids, name and start.
- When more spans are under way than there is room for, the newest are not noted.

A death of the whole machine loses what the operating system had not written to the disk.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, get_args

from opentelemetry.sdk.trace import ReadableSpan

from motet.telemetry import names
from motet.telemetry.record import Kind, SpanRecord

__all__ = ["SUFFIX", "SpanJournal", "read_journal"]

SUFFIX: Final = ".journal"

_NOTE: Final = struct.Struct("<16sQQQB86sB")
"""Trace, span, parent or 0, start in ns, kind, name, and, last of all, whether the note holds."""
_HEAD: Final = struct.Struct("<64s64s")
"""Service and instance, in the place of the first note."""
_SIZE: Final = _NOTE.size
_HOLDS: Final = _SIZE - 1
_ROOM: Final = 4096
_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""In the order of `SpanKind`'s values."""


class SpanJournal:
    """The journal that a process writes."""

    def __init__(self, path: Path) -> None:
        """Makes the file.

        Raises:
            OSError: It cannot be made.
        """
        self._path = path
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.ftruncate(file, _ROOM * _SIZE)
            self._memory = mmap.mmap(file, _ROOM * _SIZE)
        finally:
            os.close(file)
        self._free = [place * _SIZE for place in range(_ROOM - 1, 0, -1)]
        self._places: dict[int, int] = {}
        self._headed = False

    def begin(self, span: ReadableSpan) -> None:
        """Notes a span that has started."""
        context = span.context
        if context is None or not context.trace_flags & 1:
            return
        if not self._headed:
            self._head(span)
        try:
            place = self._free.pop()
        except IndexError:
            return
        self._places[context.span_id] = place
        _NOTE.pack_into(
            self._memory,
            place,
            context.trace_id.to_bytes(16),
            context.span_id,
            span.parent.span_id if span.parent else 0,
            span.start_time or 0,
            span.kind.value,
            span.name.encode(),
            1,
        )

    def forget(self, spans: Iterable[ReadableSpan]) -> None:
        """Strikes out spans that have been written, or are given up."""
        for span in spans:
            place = self._places.pop(span.context.span_id, None) if span.context else None
            if place is not None:
                self._memory[place + _HOLDS] = 0
                self._free.append(place)

    def close(self) -> None:
        """Removes the file, unless some spans have never ended."""
        if not self._places:
            self._path.unlink(missing_ok=True)

    def _head(self, span: ReadableSpan) -> None:
        self._headed = True
        told = (names.SERVICE_NAME, names.SERVICE_INSTANCE_ID)
        values = (str(span.resource.attributes.get(name, "")).encode() for name in told)
        _HEAD.pack_into(self._memory, 0, *values)


def read_journal(path: Path) -> Iterator[SpanRecord]:
    """The spans that a process has begun and not yet written, or never will.

    Raises:
        FileNotFoundError: It is gone.
    """
    data = path.read_bytes()
    if len(data) < _SIZE:
        return
    service, instance = (_text(part) for part in _HEAD.unpack_from(data))
    holds = data[_HOLDS::_SIZE]
    number = 0
    while (number := holds.find(1, number + 1)) > 0:
        trace, span, parent, start, kind, name, _ = _NOTE.unpack_from(data, number * _SIZE)
        yield SpanRecord(
            trace_id=trace.hex(),
            span_id=f"{span:016x}",
            name=_text(name),
            start_ns=start,
            end_ns=None,
            parent_id=f"{parent:016x}" if parent else None,
            kind=_KINDS[kind],
            service=service,
            instance=instance,
        )


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode(errors="replace")
