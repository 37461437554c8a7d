"""Codes: a byte a component of every vector, to find the few that are worth an exact comparison.

An embedding of length 1 becomes whole numbers from -127 to 127 and a factor. A question is compared
with all codes of what its principal sees in one matrix product (NumKong; several questions at once
cost little more than one), outside Python's global lock. What is nearest by codes is a proposal:
the engine then compares the embeddings themselves, with all conditions in its own query. Why not a
graph: docs/decisions/0013-dense-search-by-codes.md.

Invariants:

- Only what is to be seen is proposed: rows are chosen by who finds them before they are ranked.
- The engine's shard has the truth. What is here follows from it, and the file only saves the time
  to read all embeddings again: a row counts if the shard has a point of its id, whose embedding
  never changes, and what the shard has and the file has not is told to be `missing`.
- The file grows by whole chunks with a checksum, one a document; what follows a broken one is cut.

Not for several threads at once.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import numkong
import numpy as np
from numpy.typing import NDArray

from motet_retriever.stores.port import Vector

__all__ = ["Coded", "Codes"]

LARGEST = 127
HEAD = struct.Struct("<III")
"""Of a chunk: bytes of its description, rows, and CRC-32 of all that follows."""
ID_BYTES = 16
ROOM = 1024
"""Rows that there is room for at first."""
MASKS = 100
"""Principals for whom it is remembered which rows they see, a byte a row each."""
WASTE = 4096
"""Rows of the file that may be of what is gone, besides as many as count."""


class Coded(NamedTuple):
    """The passages of a document."""

    document: str
    ids: Sequence[UUID]
    """Of the points."""
    to: Sequence[tuple[str, ...]]
    """Who finds each."""
    vectors: Vector


class Codes:
    """Codes of the vectors of a shard, kept in a file."""

    def __init__(self, path: Path, dimension: int) -> None:
        """Opens the file, which is made if need be; nothing counts until `keep_only`."""
        self._path = path
        self._dimension = dimension
        self._codes = np.zeros((ROOM, dimension), np.int8)
        self._scales = np.zeros(ROOM, np.float32)
        self._groups = np.zeros(ROOM, np.int32)
        """Who finds the row, as an index into `_to`; 0 is nobody, as there is no such row."""
        self._to: list[frozenset[str]] = [frozenset()]
        self._group_of: dict[tuple[str, ...], int] = {(): 0}
        self._ids: list[UUID | None] = [None] * ROOM
        self._rows: dict[str, list[int]] = {}
        self._free: list[int] = []
        self._used = 0
        self._masks: dict[tuple[str, ...], NDArray[np.bool_]] = {}
        self._in_file = 0
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        for document, ids, to, scales, codes in self._read():
            self._insert(document, ids, to, scales, codes)
            self._in_file += len(ids)

    def __len__(self) -> int:
        """How many rows count."""
        return self._used - len(self._free)

    def keep_only(self, ids: Iterable[UUID]) -> set[UUID]:
        """Forgets all rows but these; returns which of them are missing."""
        missing = set(ids)
        for document, rows in list(self._rows.items()):
            there = {each for row in rows if (each := self._ids[row]) is not None}
            if there <= missing:
                missing -= there
            else:  # a document's points come and go together, so it is another version
                self.drop(document)
        self._tidy(0)
        return missing

    def put(self, coded: Coded) -> None:
        """Sets the rows of a document."""
        self.drop(coded.document)
        codes, scales = _quantized(coded.vectors)
        self._insert(coded.document, coded.ids, coded.to, scales, codes)
        self._write(coded.document, coded.ids, coded.to, scales, codes)
        self._tidy(len(self) + WASTE)

    def drop(self, document: str) -> None:
        """Forgets the rows of a document."""
        for row in self._rows.pop(document, ()):
            self._groups[row] = 0
            self._codes[row] = 0
            self._ids[row] = None
            self._free.append(row)
        self._masks.clear()

    def nearest(
        self, vectors: Vector, seen: Sequence[tuple[str, ...]], count: int
    ) -> list[list[UUID]]:
        """The ids of the `count` rows nearest to each vector, of those found by one of `seen`."""
        if not self._used:
            return [[] for _ in seen]
        codes, _ = _quantized(vectors)
        packed = numkong.dots_pack(codes, dtype="int8")
        dots = np.asarray(numkong.dots_packed(self._codes[: self._used], packed))
        found: list[list[UUID]] = []
        for place, keys in enumerate(seen):
            scores = np.where(
                self._mask(keys), dots[:, place] * self._scales[: self._used], -np.inf
            )
            best = np.argpartition(scores, -count)[-count:] if count < len(scores) else None
            rows = np.arange(len(scores)) if best is None else best
            rows = rows[scores[rows] > -np.inf]
            found.append([each for row in rows if (each := self._ids[row]) is not None])
        return found

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _mask(self, keys: tuple[str, ...]) -> NDArray[np.bool_]:
        mask = self._masks.get(keys)
        if mask is None:
            if len(self._masks) == MASKS:
                self._masks.clear()
            wanted = frozenset(keys)
            finds = np.array([not wanted.isdisjoint(to) for to in self._to])
            mask = self._masks[keys] = finds[self._groups[: self._used]]
        return mask

    def _insert(
        self,
        document: str,
        ids: Sequence[UUID],
        to: Sequence[tuple[str, ...]],
        scales: NDArray[np.float32],
        codes: NDArray[np.int8],
    ) -> None:
        self.drop(document)
        rows = [self._free.pop() if self._free else self._next() for _ in ids]
        if not rows:
            return
        self._codes[rows] = codes
        self._scales[rows] = scales
        for row, each, keys in zip(rows, ids, to, strict=True):
            self._ids[row] = each
            group = self._group_of.setdefault(keys, len(self._to))
            if group == len(self._to):
                self._to.append(frozenset(keys))
            self._groups[row] = group
        self._rows[document] = rows
        self._masks.clear()

    def _next(self) -> int:
        if self._used == len(self._ids):
            more = len(self._ids)
            self._codes = np.concatenate([self._codes, np.zeros_like(self._codes)])
            self._scales = np.concatenate([self._scales, np.zeros_like(self._scales)])
            self._groups = np.concatenate([self._groups, np.zeros_like(self._groups)])
            self._ids += [None] * more
        self._used += 1
        return self._used - 1

    def _write(
        self,
        document: str,
        ids: Sequence[UUID],
        to: Sequence[tuple[str, ...]],
        scales: NDArray[np.float32],
        codes: NDArray[np.int8],
    ) -> None:
        self._in_file += len(ids)
        self._file.write(_chunk(document, ids, to, scales, codes))

    def _read(self) -> Iterator[tuple[str, list[UUID], list[tuple[str, ...]], Any, Any]]:
        """What the file has, up to the first chunk that is not whole."""
        data = self._path.read_bytes()
        at = 0
        while at + HEAD.size <= len(data):
            described, rows, checksum = HEAD.unpack_from(data, at)
            first = at + HEAD.size
            last = first + described + rows * (ID_BYTES + 4 + self._dimension)
            body = memoryview(data)[first:last]
            if last > len(data) or zlib.crc32(body) != checksum:
                break
            description = json.loads(bytes(body[:described]))
            keys = [tuple(each) for each in description["to"]]
            ids_end = described + rows * ID_BYTES
            ids = bytes(body[described:ids_end])
            scales = np.frombuffer(body[ids_end : ids_end + rows * 4], np.float32)
            codes = np.frombuffer(body[ids_end + rows * 4 :], np.int8)
            yield (
                description["document"],
                [UUID(bytes=ids[n : n + ID_BYTES]) for n in range(0, len(ids), ID_BYTES)],
                [keys[each] for each in description["rows"]],
                scales,
                codes.reshape(rows, self._dimension),
            )
            at = last
        self._file.truncate(at)
        self._file.seek(at)

    def _tidy(self, gone: int) -> None:
        """Writes the file anew when more than so many of its rows are of what is gone."""
        if self._in_file <= len(self) + gone:
            return
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            for document, rows in self._rows.items():
                ids = [each for row in rows if (each := self._ids[row]) is not None]
                to = [tuple(sorted(self._to[self._groups[row]])) for row in rows]
                file.write(_chunk(document, ids, to, self._scales[rows], self._codes[rows]))
        self._file.close()
        new.replace(self._path)
        self._file = self._path.open("r+b", buffering=0)
        self._file.seek(0, 2)
        self._in_file = len(self)


def _quantized(vectors: Vector) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes, and the factor that makes embeddings of them again."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    largest[largest == 0] = 1
    codes = np.rint(vectors * (LARGEST / largest)).astype(np.int8)
    return codes, (largest[:, 0] / LARGEST).astype(np.float32)


def _chunk(
    document: str,
    ids: Sequence[UUID],
    to: Sequence[tuple[str, ...]],
    scales: NDArray[np.float32],
    codes: NDArray[np.int8],
) -> bytes:
    keys = list(dict.fromkeys(to))
    place = {each: number for number, each in enumerate(keys)}
    description = json.dumps(
        {"document": document, "to": keys, "rows": [place[each] for each in to]}
    ).encode()
    body = b"".join([description, *(each.bytes for each in ids), scales.tobytes(), codes.tobytes()])
    return HEAD.pack(len(description), len(ids), zlib.crc32(body)) + body
