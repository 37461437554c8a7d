"""S2: the frames that a stream's snapshot is compressed in, as far as Motet must change one.

A snapshot is a row of frames, each compressed by itself (S2 is Snappy with longer copies; its
framing is Snappy's). A server writes them and reads them back. Motet lets them pass, and reads and
writes anew only the first and the last of them: see `motet.bus.archives`. What it writes is not
compressed, as the format allows.

Invariants:

- A frame that is read is checked by the CRC-32C that it carries.
- Where frames lie is learnt from their headers, while they pass.

Sources: google/snappy, `framing_format.txt`; klauspost/compress, `s2/s2.go` and
`s2/decode_other.go`.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

__all__ = ["IDENTIFIER", "FrameError", "Frames", "Place", "decode", "encode"]

IDENTIFIER = b"\xff\x06\x00\x00S2sTwO"
"""What a stream begins with."""

PLAIN_BYTES = 1 << 16
"""Bytes of a frame that is written here."""

_HEADER_BYTES = 4
_CRC_BYTES = 4
_COMPRESSED, _PLAIN = 0x00, 0x01
_SKIPPABLE = 0x80
_LITERAL, _COPY1, _COPY2 = 0, 1, 2
_LONG_LITERAL = 60
_LONG_REPEAT = 5
_REPEATS = (4, 1 << 8, 1 << 16)
"""What is added to the length of a repeat that is written in one, two or three bytes."""


class FrameError(ValueError):
    """These bytes are no S2, or not as they were written."""


class Place(NamedTuple):
    """Where a frame lies, its header included."""

    at: int
    length: int


class Frames:
    """The places of a stream's frames of data: of the first, and of the last two."""

    def __init__(self) -> None:
        self.first: Place | None = None
        self.last: deque[Place] = deque(maxlen=2)
        self.size = 0
        """Bytes that have passed."""
        self._header = bytearray()
        self._frame = 0
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Lets the next bytes pass.

        Raises:
            FrameError: No frame begins where one must.
        """
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
            else:
                step = min(_HEADER_BYTES - len(self._header), len(data) - at)
                self._header += data[at : at + step]
                if len(self._header) == _HEADER_BYTES:
                    self._begin(self.size + step - _HEADER_BYTES)
            at += step
            self.size += step

    @property
    def whole(self) -> bool:
        """Whether what has passed ends where a frame ends."""
        return self.first is not None and not self._left and not self._header

    def _begin(self, at: int) -> None:
        kind, length = self._header[0], int.from_bytes(self._header[1:], "little")
        self._header.clear()
        self._left = length
        if at == 0 and kind != IDENTIFIER[0]:
            raise FrameError("it does not begin as S2 does")
        if kind in (_COMPRESSED, _PLAIN):
            place = Place(at, _HEADER_BYTES + length)
            self.first = self.first or place
            self.last.append(place)
        elif kind < _SKIPPABLE:
            raise FrameError(f"a frame of the unknown kind {kind:#x} lies at {at}")


def decode(frame: bytes) -> bytes:
    """What a frame of data holds.

    Raises:
        FrameError: It is not whole, or was changed.
    """
    kind, length = frame[0], int.from_bytes(frame[1:_HEADER_BYTES], "little")
    if len(frame) != _HEADER_BYTES + length or length < _CRC_BYTES:
        raise FrameError("a frame is not whole")
    crc = int.from_bytes(frame[_HEADER_BYTES : _HEADER_BYTES + _CRC_BYTES], "little")
    body = frame[_HEADER_BYTES + _CRC_BYTES :]
    try:
        data = body if kind == _PLAIN else _block(body)
    except IndexError:
        raise FrameError("a frame is not whole") from None
    if _masked(data) != crc:
        raise FrameError("a frame does not have its CRC")
    return data


def encode(data: bytes) -> bytes:
    """Frames that hold `data` as it is."""
    frames = bytearray()
    for at in range(0, len(data), PLAIN_BYTES):
        piece = data[at : at + PLAIN_BYTES]
        frames.append(_PLAIN)
        frames += (len(piece) + _CRC_BYTES).to_bytes(_HEADER_BYTES - 1, "little")
        frames += _masked(piece).to_bytes(_CRC_BYTES, "little")
        frames += piece
    return bytes(frames)


def _block(source: bytes) -> bytes:
    """A compressed block, as it was.

    Raises:
        IndexError: It ends too early.
        FrameError: It means nothing.
    """
    size, at = _uvarint(source)
    made = bytearray()
    offset = 0
    while at < len(source):
        tag = source[at]
        kind, length = tag & 3, tag >> 2
        at += 1
        if kind == _LITERAL:
            more = max(0, length - _LONG_LITERAL + 1)
            if more:
                length = int.from_bytes(source[at : at + more], "little")
            at += more
            made += source[at : at + length + 1]
            at += length + 1
            continue
        if kind == _COPY1:
            distance = (tag & 0xE0) << 3 | source[at]
            length, at = length & 7, at + 1
            if distance:
                offset = distance
            elif length >= _LONG_REPEAT:
                more = length - _LONG_REPEAT + 1
                length = int.from_bytes(source[at : at + more], "little") + _REPEATS[more - 1]
                at += more
            length += 4
        else:
            more = 2 if kind == _COPY2 else 4
            offset = int.from_bytes(source[at : at + more], "little")
            length, at = length + 1, at + more
        if not 0 < offset <= len(made):
            raise FrameError("a frame copies what is not there")
        start = len(made) - offset
        copied = made[start : start + length]
        # A copy may reach into what it makes itself.
        made += (copied * (length // len(copied) + 1))[:length]
    if len(made) != size:
        raise FrameError("a frame does not have its length")
    return bytes(made)


def _uvarint(data: bytes) -> tuple[int, int]:
    value = shift = at = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _table() -> tuple[int, ...]:
    made: list[int] = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        made.append(crc)
    return tuple(made)


_CRC_32C = _table()


def _masked(data: bytes) -> int:
    """The CRC-32C of `data`, masked as Snappy's framing has it."""
    crc, table = 0xFFFFFFFF, _CRC_32C
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
