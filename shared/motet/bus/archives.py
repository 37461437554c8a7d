"""Archives: what a NATS server gives away of a stream, and takes back, since version 2.15.

An archive holds the stream's state, its consumers, its messages in their order, and a mark at its
end. Without the mark it was cut short. Two things are changed here, both by writing anew a few
frames (see `motet.bus.s2`):

- What a stream was given while its archive was made is put in before the mark.
- The state says up to where sequence numbers were used, and the restored stream goes on after
  that. It may be made to say more.

Invariants:

- What was extended is an archive like any other, to a server and to the command `nats`.
- A file is read and written a frame at a time, however large it is.

Source: nats-server 2.15, `server/archive/archive.go` and `server/stream_backup.go`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from motet.bus import s2

__all__ = ["ArchiveError", "ArchivedMessage", "Extension", "FormatError", "check", "pieces"]

_MAGIC = b"NATSARC1"
_STATE = b"state.json"
_END = bytes(5)
"""An entry without name, time, sequence and content."""

_FLUSH_BYTES = 1 << 20


class ArchiveError(ValueError):
    """A file is no archive, or not a whole one."""


class FormatError(ArchiveError):
    """It is in another format, such as that of servers before 2.15."""


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    """A message as a stream holds it."""

    sequence: int
    subject: str
    stored_ns: int
    """When it was stored: nanoseconds of Unix time."""
    headers: bytes
    """As they are on the wire; empty when there are none."""
    body: bytes

    def entry(self) -> bytes:
        """The message as an archive holds it."""
        name = self.subject.encode()
        return b"".join(
            (
                _uvarint(len(name)),
                _varint(self.stored_ns),
                _uvarint(self.sequence),
                _uvarint(len(self.headers)),
                _uvarint(len(self.body)),
                name,
                self.headers,
                self.body,
            )
        )


def check(file: Path, frames: s2.Frames) -> None:
    """Sees that a file is an archive that has its end.

    Args:
        file: The file.
        frames: Where its frames lie.

    Raises:
        ArchiveError: It is none, or was cut short.
    """
    with file.open("rb") as opened:
        _last(opened, frames)
        if frames.first is not None:
            _read_state(_frame(opened, frames.first))


class Extension:
    """Puts messages into an archive, after those that it has."""

    def __init__(self, file: Path, frames: s2.Frames) -> None:
        """Changes nothing yet.

        Args:
            file: The archive. Once something was added, it is of no use before `finish`.
            frames: Where its frames lie.
        """
        self._file = file
        self._frames = frames
        self._opened: BinaryIO | None = None
        self._pending = bytearray()
        self.count = 0
        """How many messages were added."""
        self.size = 0
        """Their bytes."""

    def add(self, messages: Iterable[ArchivedMessage]) -> None:
        """Puts messages in, which must come in their order.

        Raises:
            ArchiveError: The archive has no end.
        """
        opened = self._opened or self._begin()
        for message in messages:
            entry = message.entry()
            self.count += 1
            self.size += len(entry)
            self._pending += entry
        if len(self._pending) >= _FLUSH_BYTES:
            self._write(opened)

    def finish(self) -> None:
        """Marks the end again."""
        if self._opened is None:
            return
        self._pending += _END
        self._write(self._opened)
        self._opened.flush()
        os.fsync(self._opened.fileno())

    def close(self) -> None:
        """Lets go of the file."""
        if self._opened is not None:
            self._opened.close()

    def _begin(self) -> BinaryIO:
        """Takes the mark off."""
        self._opened = opened = self._file.open("r+b")
        place, data = _last(opened, self._frames)
        self._pending += data[: -len(_END)]
        if place == self._frames.first:
            state, written, rest = _read_state(bytes(self._pending))
            # A stream that never held a message begins at 0, and one that holds any at 1.
            state["first_seq"] = max(1, state["first_seq"])
            self._pending[:] = _with_state(state, written, rest)
        opened.seek(place.at)
        opened.truncate()
        return opened

    def _write(self, opened: BinaryIO) -> None:
        opened.write(s2.encode(bytes(self._pending)))
        self._pending.clear()


def pieces(
    file: Path, size: int, *, last_sequence: int | None = None, empty: bool = False
) -> Iterator[bytes]:
    """An archive for a server, in pieces.

    Args:
        file: The archive.
        size: Bytes of a piece.
        last_sequence: What the restored stream is to go on after, if its own end lies before that.
        empty: Whether the archive holds no message.

    Raises:
        ArchiveError: It is no archive.
    """
    with file.open("rb") as opened:
        if last_sequence is not None:
            head = _raised(opened, last_sequence, empty=empty)
            yield from (head[at : at + size] for at in range(0, len(head), size))
        while piece := opened.read(size):
            yield piece


def _raised(opened: BinaryIO, last_sequence: int, *, empty: bool) -> bytes:
    """The beginning of an archive with another end of its stream; what follows is read next."""
    frames, head = s2.Frames(), bytearray()
    while frames.first is None or not frames.first.at + frames.first.length <= len(head):
        read = opened.read(_FLUSH_BYTES)
        if not read:
            raise ArchiveError("it has no beginning")
        frames.feed(read)
        head += read
    at, length = frames.first
    state, written, rest = _read_state(_frame(opened, frames.first))
    if state["last_seq"] < last_sequence:
        state["last_seq"] = last_sequence
        if empty:
            # As a stream has it whose messages have all gone.
            state["first_seq"] = last_sequence + 1
    opened.seek(at + length)
    return bytes(head[:at]) + s2.encode(_with_state(state, written, rest))


def _read_state(data: bytes) -> tuple[dict[str, Any], int, bytes]:
    """The state that an archive begins with, when it was written, and what follows.

    Raises:
        ArchiveError: There is none.
    """
    if not data.startswith(_MAGIC):
        raise FormatError("it is not in the format of NATS 2.15")
    numbers, at = [], len(_MAGIC)
    for _ in range(5):
        number, at = _read_uvarint(data, at)
        numbers.append(number)
    name_length, written, _, headers, length = numbers
    begin = at + name_length
    end = begin + length
    if data[at:begin] != _STATE or headers or end > len(data):
        raise ArchiveError("it does not begin with a stream's state")
    return json.loads(data[begin:end]), written, data[end:]


def _with_state(state: Mapping[str, Any], written: int, rest: bytes) -> bytes:
    body = json.dumps(state, separators=(",", ":")).encode()
    header = b"".join(map(_uvarint, (len(_STATE), written, 0, 0, len(body))))
    return b"".join((_MAGIC, header, _STATE, body, rest))


def _last(opened: BinaryIO, frames: s2.Frames) -> tuple[s2.Place, bytes]:
    """The last frames as one, of which the mark is the end, and where they begin.

    Raises:
        ArchiveError: There is no mark.
    """
    if not frames.whole:
        raise ArchiveError("it ends within a frame")
    data = b""
    for place in reversed(frames.last):
        data = _frame(opened, place) + data
        if len(data) < len(_END):
            continue  # the mark lies across two frames
        if data.endswith(_END):
            return place, data
        break
    raise ArchiveError("it has no end")


def _frame(opened: BinaryIO, place: s2.Place) -> bytes:
    opened.seek(place.at)
    try:
        return s2.decode(opened.read(place.length))
    except s2.FrameError as error:
        raise ArchiveError(str(error)) from error


def _uvarint(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _varint(value: int) -> bytes:
    """Signed, as Go's `binary.PutVarint` has it."""
    return _uvarint(value << 1 if value >= 0 else ~(value << 1))


def _read_uvarint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ArchiveError("it does not begin with a stream's state")
