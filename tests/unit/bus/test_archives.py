"""Archives and their frames: read as they were written, and refused where they were not."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.bus import s2
from motet.bus.archives import (
    ArchivedMessage,
    ArchiveError,
    Extension,
    FormatError,
    check,
    pieces,
)

STATE = {"messages": 0, "first_seq": 0, "last_seq": 0, "consumer_count": 0}


def message(sequence: int, body: bytes = b"body") -> ArchivedMessage:
    headers = b"NATS/1.0\r\nA: b\r\n\r\n"
    return ArchivedMessage(sequence, "subject", 1_700_000_000_123_456_789, headers, body)


def uvarint(data: io.BytesIO) -> int:
    value = shift = 0
    while True:
        byte = data.read(1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value


def frames_of(file: Path) -> s2.Frames:
    frames = s2.Frames()
    frames.feed(file.read_bytes())
    return frames


def written(file: Path, state: dict[str, int], *messages: ArchivedMessage) -> Path:
    """An archive as a server writes it, but not compressed."""
    body = json.dumps(state).encode()
    entries = b"".join(each.entry() for each in messages)
    head = b"NATSARC1" + bytes([len(b"state.json"), 0, 0, 0, len(body)]) + b"state.json" + body
    file.write_bytes(s2.IDENTIFIER + s2.encode(head + entries + bytes(5)))
    return file


def read(data: bytes) -> tuple[dict[str, int], list[ArchivedMessage]]:
    """What an archive holds."""
    frames, plain, at = s2.Frames(), b"", len(s2.IDENTIFIER)
    frames.feed(data)
    assert frames.whole
    while at < len(data):
        length = 4 + int.from_bytes(data[at + 1 : at + 4], "little")
        plain += s2.decode(data[at : at + length])
        at += length
    left = io.BytesIO(plain)
    assert left.read(8) == b"NATSARC1"
    state: dict[str, int] = {}
    messages: list[ArchivedMessage] = []
    while True:
        name, stored, sequence, headers, body = (uvarint(left) for _ in range(5))
        subject = left.read(name).decode()
        if subject == "state.json":
            state = json.loads(left.read(body))
        elif not subject:
            assert not left.read()
            return state, messages
        else:
            stored = stored >> 1 ^ -(stored & 1)
            messages.append(
                ArchivedMessage(sequence, subject, stored, left.read(headers), left.read(body))
            )


@given(st.binary(max_size=300_000), st.lists(st.integers(1, 100_000)))
def test_frames_are_found_wherever_their_bytes_are_parted(data: bytes, sizes: list[int]) -> None:
    whole = s2.IDENTIFIER + s2.encode(data)
    at_once, parted = s2.Frames(), s2.Frames()
    at_once.feed(whole)
    rest = whole
    for size in sizes:
        parted.feed(rest[:size])
        rest = rest[size:]
    parted.feed(rest)
    assert (parted.first, parted.last, parted.size) == (at_once.first, at_once.last, len(whole))
    assert parted.whole == bool(data)
    if parted.first is not None:
        at, length = parted.first
        assert s2.decode(whole[at : at + length]) == data[: s2.PLAIN_BYTES]


@pytest.mark.parametrize(
    "frame,told",
    [
        (s2.encode(b"abc")[:-1], "not whole"),
        (s2.encode(b"abc")[:-1] + b"d", "CRC"),
        (b"\x00\x06\x00\x00" + bytes(4) + b"\x03\x08", "not have its length"),
        (b"\x00\x07\x00\x00" + bytes(4) + b"\x04\x01\x01", "copies what is not there"),
        (b"\x00\x05\x00\x00" + bytes(4) + b"\xff", "not whole"),
    ],
)
def test_a_frame_that_was_changed_is_refused(frame: bytes, told: str) -> None:
    with pytest.raises(s2.FrameError, match=told):
        s2.decode(frame)


@pytest.mark.parametrize("start", [b"sNaPpY", b"\x02\x00\x00\x00"])
def test_what_is_no_s2_is_refused(start: bytes) -> None:
    with pytest.raises(s2.FrameError):
        s2.Frames().feed(start)


def test_an_empty_archive_is_extended(tmp_path: Path) -> None:
    """The stream begins at 1 then: a server takes no message into one that begins at 0."""
    file = written(tmp_path / "archive", STATE)
    extension = Extension(file, frames_of(file))
    extension.add([message(1), message(4)])
    extension.finish()
    extension.close()
    assert read(file.read_bytes()) == ({**STATE, "first_seq": 1}, [message(1), message(4)])
    check(file, frames_of(file))


@pytest.mark.parametrize("padding", range(7))
def test_the_mark_may_lie_across_two_frames(tmp_path: Path, padding: int) -> None:
    state = {**STATE, "messages": 1, "first_seq": 1, "last_seq": 1}
    file = tmp_path / "archive"
    # So long that the first frame ends within the last seven bytes.
    size = s2.PLAIN_BYTES - len(read_plain(written(file, state, message(1, b"")))) + padding
    written(file, state, message(1, bytes([1]) * (size - 2)))
    extension = Extension(file, frames_of(file))
    extension.add([message(2)])
    extension.finish()
    extension.close()
    _, messages = read(file.read_bytes())
    assert [each.sequence for each in messages] == [1, 2]


def read_plain(file: Path) -> bytes:
    data = file.read_bytes()[len(s2.IDENTIFIER) :]
    return s2.decode(data)


def test_what_is_added_in_nothing_changes_nothing(tmp_path: Path) -> None:
    file = written(tmp_path / "archive", STATE)
    before = file.read_bytes()
    extension = Extension(file, frames_of(file))
    extension.finish()
    extension.close()
    assert file.read_bytes() == before


def test_an_archive_without_its_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "archive"
    whole = written(file, STATE, message(1)).read_bytes()
    plain = read_plain(file)
    file.write_bytes(s2.IDENTIFIER + s2.encode(plain[:-5]))
    with pytest.raises(ArchiveError, match="no end"):
        check(file, frames_of(file))
    file.write_bytes(whole[:-3])
    with pytest.raises(ArchiveError, match="within a frame"):
        check(file, frames_of(file))
    file.write_bytes(s2.IDENTIFIER + s2.encode(b"tar" * 100 + bytes(1024)))
    with pytest.raises(FormatError, match=r"2\.15"):
        check(file, frames_of(file))


@pytest.mark.parametrize("size", [7, 100, 1 << 20])
def test_a_stream_goes_on_after_a_later_number(tmp_path: Path, size: int) -> None:
    state = {**STATE, "messages": 1, "first_seq": 3, "last_seq": 3}
    file = written(tmp_path / "archive", state, message(3, bytes(200_000)))
    assert b"".join(pieces(file, size)) == file.read_bytes()
    later = read(b"".join(pieces(file, size, last_sequence=500)))
    assert later == ({**state, "last_seq": 500}, [message(3, bytes(200_000))])
    same = read(b"".join(pieces(file, size, last_sequence=2)))
    assert same == (state, [message(3, bytes(200_000))])


def test_so_does_one_without_messages(tmp_path: Path) -> None:
    file = written(tmp_path / "archive", STATE)
    state, _ = read(b"".join(pieces(file, 100, last_sequence=500, empty=True)))
    assert (state["first_seq"], state["last_seq"]) == (501, 500)
