"""Blobs: what a reference promises bounds what is read, whatever lies in the store."""

from __future__ import annotations

import asyncio
import io

import pytest

from motet.bus import Blobs
from motet.errors import FaultError
from motet.messages import BlobRef, FaultType
from motet.testing import TestMesh

LARGE = b"x" * (3 << 20)


@pytest.fixture
def blobs(mesh: TestMesh) -> Blobs:
    return Blobs(mesh.bus)


class Counting(io.BytesIO):
    """A file that remembers how much was written to it."""

    written = 0

    def write(self, data: object) -> int:
        count = super().write(data)  # type: ignore[arg-type]
        self.written += count
        return count


async def test_it_comes_back_as_it_was(blobs: Blobs) -> None:
    ref = await blobs.put("files/one", LARGE)

    assert await blobs.get(ref) == LARGE
    file = Counting()
    await blobs.copy_to(ref, file)
    assert file.read() == LARGE


async def test_nothing_is_read_beyond_what_is_promised(blobs: Blobs) -> None:
    ref = await blobs.put("files/one", LARGE)
    forged = ref.model_copy(update={"size": 10})

    with pytest.raises(FaultError, match="more than the promised 10 bytes") as refused:
        await blobs.get(forged)
    assert refused.value.fault.type == FaultType.INVALID_INPUT
    file = Counting()
    with pytest.raises(FaultError, match="more than the promised 10 bytes"):
        await blobs.copy_to(forged, file)
    assert file.written == 0


async def test_what_does_not_fit_into_memory_is_not_begun(blobs: Blobs) -> None:
    ref = await blobs.put("files/one", LARGE)

    with pytest.raises(FaultError) as refused:
        await blobs.get(ref, max_bytes=len(LARGE) - 1)
    assert refused.value.fault.type == FaultType.TOO_LARGE
    assert await blobs.get(ref, max_bytes=len(LARGE)) == LARGE

    huge = BlobRef(name="files/one", size=1 << 40, sha256=ref.sha256)
    with pytest.raises(FaultError) as refused:
        await blobs.get(huge)
    assert refused.value.fault.type == FaultType.TOO_LARGE


async def test_what_is_kept_for_a_while_is_gone_afterwards_and_leaves_no_mark(
    mesh: TestMesh,
) -> None:
    blobs, stream = Blobs(mesh.bus), f"OBJ_{mesh.bus.topology.blobs}"
    data = bytes(range(256)) * 1200  # of several pieces
    ref = await blobs.keep("short", data, ttl_s=1)
    removed = await blobs.keep("removed", data)
    stays = await blobs.keep("stays", data)

    assert await blobs.get(ref) == await blobs.get(stays) == data
    await blobs.forget("removed")
    await blobs.forget("removed")
    with pytest.raises(FaultError, match="not_found"):
        await blobs.get(removed)

    async with asyncio.timeout(20):
        # A server tells nobody that a message has expired.
        while (state := (await mesh.bus.js.stream_info(stream)).state).messages > 4:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert state.messages == 3 + 1
    assert await blobs.get(stays) == data
