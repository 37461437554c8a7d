"""The local span store: where spans go and are looked up when there is no collector.

Each process writes files of its own in one folder, so that none waits for another:

- `<service>-<instance>-<number>.jsonl`, spans that ended, in the form of OTLP's file exporter. A
  file is only appended to; when it is full the next number begins and the oldest goes.
- `<service>-<instance>.open.json`, spans that have been in progress for a while, replaced as a
  whole. It tells what runs now, and after a process was killed, what it was doing.
- `<service>-<instance>.journal`, the bare outline of every span from its start until it is in one
  of the others: no span that has a child is lost with its process (see `span_journal`).

What always holds:

- What ended more than `FLUSH_S` and the time of one write before a process is killed is there.
- A reader needs no lock: half a line at the end, or a file that goes while it is read, is skipped.
- The folder stays below `max_folder_bytes`, apart from what is being written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span
from typing_extensions import override

from motet.errors import SetupError
from motet.telemetry import names, otlp_json
from motet.telemetry.background import BackgroundProcessor
from motet.telemetry.record import SpanRecord
from motet.telemetry.span_journal import SUFFIX, SpanJournal, read_journal

__all__ = ["FLUSH_S", "SpanFiles", "SpanStore", "SpanStoreProcessor"]

FLUSH_S: Final = 0.1
"""Seconds between writes."""
_BATCH: Final = 64
_MEBIBYTE: Final = 1 << 20


class SpanFiles:
    """One process' files: the sink that appends."""

    def __init__(
        self,
        folder: Path,
        process: str,
        *,
        max_file_bytes: int = 16 * _MEBIBYTE,
        max_files: int = 4,
        max_folder_bytes: int = 512 * _MEBIBYTE,
    ) -> None:
        """Files of `process`, which no other process may use, in `folder`.

        Raises:
            SetupError: The folder cannot be made or written to.
        """
        self._folder = folder
        self._process = process
        self._max_file_bytes = max_file_bytes
        self._max_files = max_files
        self._max_folder_bytes = max_folder_bytes
        self._number = 0
        self._size = 0
        self._torn = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = self._open()
            self.journal = SpanJournal(folder / f"{process}{SUFFIX}")
            """Notes of spans that are in no other file yet."""
        except OSError as error:
            raise SetupError(
                f"The folder of the span store, {folder}, cannot be written to ({error.strerror}). "
                "Set MOTET_SPANS_DIR to a folder that can, or unset it."
            ) from error

    def export(self, spans: Sequence[ReadableSpan], /) -> None:
        """Appends a line that holds the spans."""
        if self._size >= self._max_file_bytes or os.fstat(self._file).st_nlink == 0:
            os.close(self._file)
            self._number += 1
            self._file = self._open()
        line = otlp_json.encode(spans) + b"\n"
        if self._torn:
            line = b"\n" + line
        self._torn = True
        self._write(line)
        self._torn = False
        self.journal.forget(spans)

    def replace_open(self, spans: Sequence[ReadableSpan]) -> None:
        """Says which spans are in progress."""
        path = self._folder / f"{self._process}.open.json"
        if not spans:
            path.unlink(missing_ok=True)
            return
        draft = path.with_suffix(".draft")
        draft.write_bytes(otlp_json.encode(spans))
        draft.replace(path)

    def shutdown(self) -> None:
        """Closes the files."""
        os.close(self._file)
        self.journal.close()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.write(self._file, rest)
            self._size += written
            rest = rest[written:]

    def _open(self) -> int:
        self._prune()
        path = self._folder / f"{self._process}-{self._number:04d}.jsonl"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(file).st_size
        self._torn = self._size > 0
        return file

    def _prune(self) -> None:
        """Removes own files beyond `max_files`, and the folder's oldest beyond its size."""
        old = self._number - self._max_files
        (self._folder / f"{self._process}-{old:04d}.jsonl").unlink(missing_ok=True)
        files: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            # A journal has far fewer bytes than it is long.
            files.append((stat.st_mtime, min(stat.st_size, stat.st_blocks * 512), path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self._max_folder_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size


class SpanStoreProcessor(BackgroundProcessor):
    """Writes spans to the store: those that end, and those that stay in progress."""

    def __init__(self, files: SpanFiles, *, flush_s: float = FLUSH_S) -> None:
        super().__init__(files, interval_s=flush_s, max_batch=_BATCH)
        self._files = files
        self._flush_ns = int(flush_s * 1e9)
        self._open: dict[int, ReadableSpan] = {}
        self._told: set[int] = set()

    @override
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remembers a span."""
        self._files.journal.begin(span)
        self._open[_span_id(span)] = span

    @override
    def on_end(self, span: ReadableSpan) -> None:
        """Queues a span."""
        self._open.pop(_span_id(span), None)
        dropped = self.dropped
        super().on_end(span)
        if self.dropped != dropped:
            self._files.journal.forget((span,))

    @override
    def on_interval(self) -> None:
        """Tells which spans have been in progress for longer than an interval."""
        began_before = time.time_ns() - self._flush_ns
        spans = {
            span_id: span
            for span_id, span in self._open.copy().items()
            if (span.start_time or 0) < began_before
        }
        if spans.keys() != self._told:
            self._files.replace_open(list(spans.values()))
            self._told = set(spans)


def _span_id(span: ReadableSpan) -> int:
    """What tells spans apart: the SDK ends a copy of the span that it started."""
    return span.context.span_id if span.context else 0


class SpanStore:
    """Reads the spans that processes have written to a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def trace(self, trace_id: str) -> list[SpanRecord]:
        """The spans of a trace, by their start."""
        return self._collect({trace_id.lower()})

    def find(self, task_id: str) -> list[SpanRecord]:
        """The spans of every trace in which a task occurs, by their start."""
        needle = otlp_json.quoted(task_id)
        return self._collect(
            {
                span.trace_id
                for span in self._spans((needle,))
                if span.attributes.get(names.TASK) == task_id
            }
        )

    def _collect(self, traces: set[str]) -> list[SpanRecord]:
        needles = tuple(trace.encode() for trace in traces)
        spans: dict[tuple[str, str], SpanRecord] = {}
        for span in self._spans(needles):
            key = (span.trace_id, span.span_id)
            if span.trace_id in traces and (key not in spans or spans[key].end_ns is None):
                spans[key] = span
        return sorted(spans.values(), key=lambda span: span.start_ns)

    def every(self) -> Iterator[SpanRecord]:
        """Every span, in no order; one that ended may come in progress before."""
        return self._spans((b"",))

    def _spans(self, needles: tuple[bytes, ...]) -> Iterator[SpanRecord]:
        """The spans of all lines that contain one of the needles, and of all journals."""
        if not needles or not self._folder.is_dir():
            return
        # What is in progress is read first: a span that ends meanwhile is found then as ended.
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            with suppress(FileNotFoundError):
                yield from read_journal(path)
        for pattern in ("*.open.json", "*.jsonl"):
            for path in sorted(self._folder.glob(pattern)):
                try:
                    with path.open("rb") as file:
                        for line in file:
                            if any(needle in line for needle in needles):
                                yield from otlp_json.decode(line)
                except FileNotFoundError:
                    continue
