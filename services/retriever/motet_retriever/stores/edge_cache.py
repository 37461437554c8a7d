"""Beside the shard: a byte a component of every embedding, and the passages as they are given back.

The engine has both, and is slow at them: it compares embeddings under Python's global lock, and
takes 40 µs to read a payload. Here an embedding of length 1 is a code, whole numbers from -127 to
127 and a factor. A question is compared with all codes in one matrix product (NumKong; several
questions at once cost little more than one), outside the lock. What is nearest by codes is a
proposal: the engine compares the embeddings themselves, with all conditions in its own query. Why
not a graph: docs/decisions/0013-dense-search-by-codes.md.

Invariants:

- Only what is to be seen is proposed: rows are chosen by who finds them before they are ranked.
- The shard has the truth, and what is here follows from it. A row counts if the shard has a point
  of its id, whose content never changes; what the shard has and the file has not is told to be
  missing. So the file may be lost, or cut anywhere.
- The file grows by chunks with a checksum, one a document; what follows a broken one is cut off.

Not for several threads at once.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import numkong
import numpy as np
from numpy.typing import NDArray

from motet_retriever.stores.port import Vector

__all__ = ["CachedDocument", "EdgeCache"]

LARGEST = 127
MADE_AS = b"mtc1"
"""Begins a chunk; another version of what is in it begins otherwise, and is made again."""
HEAD = struct.Struct("<4sIIQI")
"""Of a chunk: `MADE_AS`, bytes of its description, rows, bytes of their texts, and CRC-32 of what
follows."""
ID_BYTES = 16
ROOM = 1024
"""Rows that there is room for at first."""
MASKS = 100
"""Principals for whom it is remembered which rows they see, a byte a row each."""
THREADS = min(os.cpu_count() or 1, 4)
"""Threads that compare a question with codes."""
PART = 10_000
"""Rows for which a thread of their own is worth it."""
SAMPLED = 16
"""Of how many scores one is looked at to guess how high the highest are."""
NOTHING: tuple[str, int, int] = ("", 0, 0)
"""What a row that is not taken has: a passage's id, and where it begins and ends in the file."""
WASTE = 4096
"""Rows of the file that may be of what is gone, besides as many as count."""


_Rows: TypeAlias = NDArray[np.intp]


class CachedDocument(NamedTuple):
    """The passages of a document."""

    document: str
    ids: Sequence[UUID]
    """Of the points."""
    to: Sequence[tuple[str, ...]]
    """Who finds each."""
    vectors: Vector
    names: Sequence[str]
    """The passages' own ids."""
    texts: Sequence[str]
    """The passages in JSON."""


class _Chunk(NamedTuple):
    """A document in the file."""

    document: str
    ids: Sequence[UUID]
    to: Sequence[tuple[str, ...]]
    scales: NDArray[np.float32]
    codes: NDArray[np.int8]
    names: Sequence[str]
    lengths: Sequence[int]
    """Bytes of each text."""
    texts_at: int
    """Where in the file the texts begin."""


class EdgeCache:
    """Codes and passages of a shard, the former in memory, the latter in a file."""

    def __init__(self, path: Path, dimension: int) -> None:
        """Opens the file, which is made if need be; nothing counts until `keep_only`."""
        self._path = path
        self._dimension = dimension
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="codes")
        self._load()

    def __len__(self) -> int:
        """How many rows count."""
        return len(self._row_of)

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

    def put(self, cached: CachedDocument) -> None:
        """Sets the rows of a document."""
        codes, scales = _quantized(cached.vectors)
        texts = [text.encode() for text in cached.texts]
        head, body = _packed(cached, scales, codes, cached.names, texts)
        at = self._file.seek(0, os.SEEK_END) + len(head) + len(body)
        self._file.write(b"".join([head, body, *texts]))
        self._insert(_Chunk(*cached[:3], scales, codes, cached.names, [*map(len, texts)], at))
        self._in_file += len(texts)
        self._tidy(len(self) + WASTE)

    def drop(self, document: str) -> None:
        """Forgets the rows of a document."""
        for row in self._rows.pop(document, ()):
            self._groups[row] = 0
            if (gone := self._ids[row]) is not None:
                del self._row_of[gone.int]
            self._ids[row] = None
            self._free.append(row)
        self._masks.clear()

    def nearest(
        self, vectors: Vector, seen: Sequence[tuple[str, ...]], count: int
    ) -> Callable[[], list[list[UUID]]]:
        """The ids of the `count` rows nearest to each vector, of those found by one of `seen`.

        They are looked for in other threads; calling what is returned waits for them.
        """
        codes, _ = _quantized(vectors)
        packed = numkong.dots_pack(codes, dtype="int8")
        masks = [self._mask(keys) for keys in seen]

        def best_of(rows: slice) -> list[tuple[_Rows, Vector]]:
            dots = np.asarray(numkong.dots_packed(self._codes[rows], packed))
            scales = self._scales[rows]
            return [
                _best(dots[:, place] * scales, mask[rows], rows.start, count)
                for place, mask in enumerate(masks)
            ]

        # Neither the product nor what follows holds the lock for long.
        looking = self._threads.map(best_of, _parts(self._used))

        def merged() -> list[list[UUID]]:
            parts = list(looking)
            found: list[list[UUID]] = []
            for place in range(len(seen)):
                rows = np.concatenate([part[place][0] for part in parts] or [np.empty(0, np.intp)])
                if len(rows) > count:
                    scores = np.concatenate([part[place][1] for part in parts])
                    rows = rows[np.argpartition(scores, -count)[-count:]]
                found.append([each for row in rows if (each := self._ids[row]) is not None])
            return found

        return merged

    def passage(self, point: UUID) -> tuple[str, bytes] | None:
        """A passage's id, and the passage in JSON; None if it is not here."""
        row = self._row_of.get(point.int)
        if row is None:
            return None
        name, at, end = self._texts[row]
        if end > len(self._mapped):
            self._mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return name, self._mapped[at:end]

    def close(self) -> None:
        """Closes the file."""
        self._threads.shutdown()
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

    def _load(self) -> None:
        """Takes all from the file."""
        self._codes = np.zeros((ROOM, self._dimension), np.int8)
        self._scales = np.zeros(ROOM, np.float32)
        self._groups = np.zeros(ROOM, np.int32)
        """Who finds the row, as an index into `_to`; 0 is nobody, as there is no such row."""
        self._to: list[frozenset[str]] = [frozenset()]
        self._group_of: dict[tuple[str, ...], int] = {(): 0}
        self._ids: list[UUID | None] = [None] * ROOM
        self._texts = [NOTHING] * ROOM
        self._mapped: mmap.mmap | bytes = b""
        self._rows: dict[str, list[int]] = {}
        self._row_of: dict[int, int] = {}
        """By the number of a point's id, which is found faster than the id."""
        self._free: list[int] = []
        self._used = 0
        self._masks: dict[tuple[str, ...], NDArray[np.bool_]] = {}
        self._in_file = 0
        for chunk in self._read():
            self._insert(chunk)
            self._in_file += len(chunk.ids)

    def _read(self) -> Iterator[_Chunk]:
        """What the file has, up to the first chunk that is not whole."""
        size = self._file.seek(0, os.SEEK_END)
        at = 0
        if size:
            with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                while chunk := self._chunk(data, at):
                    yield chunk
                    at = chunk.texts_at + sum(chunk.lengths)
        self._file.truncate(at)

    def _chunk(self, data: mmap.mmap, at: int) -> _Chunk | None:
        """The chunk that begins there, if it is whole."""
        if at + HEAD.size > len(data):
            return None
        made_as, described, rows, texts, checksum = HEAD.unpack_from(data, at)
        first = at + HEAD.size
        ids_at = first + described
        scales_at = ids_at + rows * ID_BYTES
        codes_at = scales_at + rows * np.float32().itemsize
        texts_at = codes_at + rows * self._dimension
        end = texts_at + texts
        whole = made_as == MADE_AS and end <= len(data)
        if not whole or checksum != zlib.crc32(data[first:end]):
            return None
        description = json.loads(data[first:ids_at])
        keys = [tuple(each) for each in description["to"]]
        ids = data[ids_at:scales_at]
        return _Chunk(
            description["document"],
            [UUID(bytes=ids[each : each + ID_BYTES]) for each in range(0, len(ids), ID_BYTES)],
            [keys[each] for each in description["rows"]],
            np.frombuffer(data[scales_at:codes_at], np.float32),
            np.frombuffer(data[codes_at:texts_at], np.int8).reshape(rows, self._dimension),
            description["names"],
            description["lengths"],
            texts_at,
        )

    def _insert(self, chunk: _Chunk) -> None:
        self.drop(chunk.document)
        rows = [self._free.pop() if self._free else self._next() for _ in chunk.ids]
        if not rows:
            return
        self._codes[rows] = chunk.codes
        self._scales[rows] = chunk.scales
        self._rows[chunk.document] = rows
        at = chunk.texts_at
        parts = zip(rows, chunk.ids, chunk.to, chunk.names, chunk.lengths, strict=True)
        for row, each, keys, name, length in parts:
            self._ids[row] = each
            self._row_of[each.int] = row
            self._texts[row] = (name, at, at + length)
            at += length
            group = self._group_of.setdefault(keys, len(self._to))
            if group == len(self._to):
                self._to.append(frozenset(keys))
            self._groups[row] = group

    def _next(self) -> int:
        if self._used == len(self._ids):
            more = len(self._ids)
            self._codes = np.concatenate([self._codes, np.zeros_like(self._codes)])
            self._scales = np.concatenate([self._scales, np.zeros_like(self._scales)])
            self._groups = np.concatenate([self._groups, np.zeros_like(self._groups)])
            self._ids += [None] * more
            self._texts += [NOTHING] * more
        self._used += 1
        return self._used - 1

    def _tidy(self, gone: int) -> None:
        """Writes the file anew when more than so many of its rows are of what is gone."""
        if self._in_file <= len(self) + gone:
            return
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            for document, rows in self._rows.items():
                ids = [each for row in rows if (each := self._ids[row]) is not None]
                to = [tuple(sorted(self._to[self._groups[row]])) for row in rows]
                there = [each for name in ids if (each := self.passage(name)) is not None]
                names, texts = [each[0] for each in there], [each[1] for each in there]
                scales, codes = self._scales[rows], self._codes[rows]
                parts = _packed((document, ids, to), scales, codes, names, texts)
                file.write(b"".join([*parts, *texts]))
        self._file.close()
        new.replace(self._path)
        self._file = self._path.open("r+b", buffering=0)
        self._load()


def _parts(rows: int) -> list[slice]:
    """The rows in as many parts as are compared at once."""
    step = max(PART, -(-rows // THREADS))
    return [slice(first, min(first + step, rows)) for first in range(0, rows, step)]


def _best(scores: Vector, seen: NDArray[np.bool_], first: int, count: int) -> tuple[_Rows, Vector]:
    """The rows of the `count` highest scores of those that are seen, and the scores.

    `first` is the row of the first score.
    """
    rows: _Rows | None = None
    if len(scores) > SAMPLED * count:
        # What exceeds a threshold that a sample gives is a few times as much as is wanted.
        sample = scores[::SAMPLED]
        kept = min(len(sample), 3 * count // SAMPLED + SAMPLED)
        rows = np.flatnonzero(scores >= np.partition(sample, -kept)[-kept])
        rows = rows[seen[rows]]
    if rows is None or len(rows) < count:
        rows = np.flatnonzero(seen)
    scores = scores[rows]
    if len(rows) > count:
        best = np.argpartition(scores, -count)[-count:]
        rows, scores = rows[best], scores[best]
    return rows + first, scores


def _quantized(vectors: Vector) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes, and the factor that makes embeddings of them again."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    largest[largest == 0] = 1
    codes = np.rint(vectors * (LARGEST / largest)).astype(np.int8)
    return codes, (largest[:, 0] / LARGEST).astype(np.float32)


def _packed(
    whose: Any,
    scales: NDArray[np.float32],
    codes: NDArray[np.int8],
    names: Sequence[str],
    texts: Sequence[bytes],
) -> tuple[bytes, bytes]:
    """The head of a chunk, and all that comes before the texts."""
    document, ids, to, *_ = whose
    keys = list(dict.fromkeys(to))
    place = {each: number for number, each in enumerate(keys)}
    description = json.dumps(
        {
            "document": document,
            "to": keys,
            "rows": [place[each] for each in to],
            "names": names,
            "lengths": [*map(len, texts)],
        }
    ).encode()
    body = b"".join([description, *(each.bytes for each in ids), scales.tobytes(), codes.tobytes()])
    checksum = zlib.crc32(b"".join(texts), zlib.crc32(body))
    return HEAD.pack(MADE_AS, len(description), len(ids), sum(map(len, texts)), checksum), body
