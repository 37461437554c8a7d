"""The response cache: what models gave, on disk, shared by the processes of one machine.

Invariants:

- An answer is found again only for an equal request to an equal model; the key is a digest of all
  that could change the answer.
- The file stays within its bound: past it, the answers that were used longest ago go first.
- A cache that cannot be read or written is a slow cache, never a failed request.

SQLite does it, in write-ahead mode, which is safe across processes and costs well under a
millisecond, beside seconds for a model. (diskcache, the usual library, unpickles what it reads and
has had no release since 2023.)
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["DiskCache", "ResponseCache", "request_key"]

_MAX_BYTES = 256 << 20
_AT_ONCE = 500
"""Keys that one statement names; SQLite takes some thousand."""
_BUSY_TIMEOUT_S = 2.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    answer BLOB NOT NULL,
    used_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_used_at ON answers (used_at);
"""

_log = logging.getLogger(__name__)


def request_key(**parts: Any) -> str:
    """A digest of everything that an answer depends on; `parts` must be JSON."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class DiskCache:
    """Values by key; `get` leaves out what is not there, or cannot be read now."""

    def __init__(self, path: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        """`path` is the file; its folder is made with it."""
        self._path = path
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those of the values that are there."""
        try:
            return await asyncio.to_thread(self._get, keys)
        except (sqlite3.Error, OSError) as error:
            _log.warning("The response cache %s cannot be read: %s", self._path, error)
            return {}

    async def put(self, values: Mapping[str, bytes]) -> None:
        """Keeps values."""
        try:
            await asyncio.to_thread(self._put, values)
        except (sqlite3.Error, OSError) as error:
            _log.warning("The response cache %s cannot be written: %s", self._path, error)

    def close(self) -> None:
        """Ends the connection; the next operation opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _get(self, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with self._lock, self._connected() as connection:
            for first in range(0, len(keys), _AT_ONCE):
                some = keys[first : first + _AT_ONCE]
                marks = ",".join("?" * len(some))
                found.update(
                    connection.execute(
                        "UPDATE answers SET used_at = ? "  # noqa: S608  # only marks are put in
                        f"WHERE key IN ({marks}) RETURNING key, answer",
                        (time.time(), *some),
                    ).fetchall()
                )
        return found

    def _put(self, values: Mapping[str, bytes]) -> None:
        now = time.time()
        with self._lock, self._connected() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)",
                [(key, value, now) for key, value in values.items()],
            )
            if self._bytes_used(connection) > self._max_bytes:
                connection.execute(
                    "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY used_at "
                    "LIMIT (SELECT count(*) / 4 + 1 FROM answers))"
                )

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(_SCHEMA)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    @staticmethod
    def _bytes_used(connection: sqlite3.Connection) -> int:
        """Bytes of the pages that hold something; a page freed by a deletion is used again."""
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


class ResponseCache:
    """Answers by key."""

    def __init__(self, folder: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        self._disk = DiskCache(folder / "answers.sqlite3", max_bytes=max_bytes)

    async def get(self, key: str) -> str | None:
        """The answer to an equal request, or None."""
        found = await self._disk.get([key])
        return found[key].decode() if key in found else None

    async def put(self, key: str, answer: str) -> None:
        """Keeps an answer."""
        await self._disk.put({key: answer.encode()})

    def close(self) -> None:
        """Ends the connection; the next operation opens another."""
        self._disk.close()
