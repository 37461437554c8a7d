"""Pieces of a text: few, whole, and in order, however it is written."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from motet.bus.streaming import INTERVAL_S, PIECE_CHARACTERS, Streaming


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Published:
    """What came out."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, str]] = []
        self.more = asyncio.Event()

    async def __call__(self, offset: int, text: str) -> None:
        self.pieces.append((offset, text))
        self.more.set()
        self.more.clear()

    def check(self, text: str) -> None:
        assert "".join(piece for _, piece in self.pieces) == text
        offset = 0
        for at, piece in self.pieces:
            assert at == offset
            assert 0 < len(piece) <= PIECE_CHARACTERS
            offset += len(piece)


async def test_a_fast_model_does_not_flood() -> None:
    """Ten thousand tokens a second for three seconds, a delta a token."""
    clock, out = Clock(), Published()
    streaming = Streaming(out, clock)
    tokens = [f"tok{number % 10} " for number in range(30_000)]
    for token in tokens:
        await streaming.write(token)
        clock.now += 1e-4
    await streaming.close()

    out.check("".join(tokens))
    assert len(out.pieces) <= 3 / INTERVAL_S + len("".join(tokens)) / PIECE_CHARACTERS + 2


async def test_the_first_piece_does_not_wait_and_the_last_is_not_lost() -> None:
    out = Published()
    streaming = Streaming(out, Clock())
    await streaming.write("first")
    assert out.pieces == [(0, "first")]
    await streaming.write(" and")
    await streaming.write(" last")
    assert len(out.pieces) == 1
    await streaming.close()
    out.check("first and last")
    assert len(out.pieces) == 2


async def test_a_writer_that_pauses_is_read_meanwhile() -> None:
    out = Published()
    streaming = Streaming(out)
    await streaming.write("first")
    await streaming.write(" second")
    async with asyncio.timeout(20):
        while len(out.pieces) < 2:
            await out.more.wait()
    out.check("first second")
    await streaming.close()


@given(st.lists(st.tuples(st.text(max_size=3000), st.floats(0, 0.3)), max_size=20))
async def test_whatever_is_written_comes_out_whole(writes: list[tuple[str, float]]) -> None:
    clock, out = Clock(), Published()
    streaming = Streaming(out, clock)
    for text, later in writes:
        await streaming.write(text)
        clock.now += later
    await streaming.close()
    out.check("".join(text for text, _ in writes))
