"""The response cache: answers of models on disk, shared by the processes of one machine.

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
from pathlib import Path
from typing import Any

__all__ = ["ResponseCache", "request_key"]

_MAX_BYTES = 256 << 20
_BUSY_TIMEOUT_S = 2.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    answer TEXT NOT NULL,
    used_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_used_at ON answers (used_at);
"""

_log = logging.getLogger(__name__)


def request_key(**parts: Any) -> str:
    """A digest of everything that an answer depends on; `parts` must be JSON."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class ResponseCache:
    """Answers by key."""

    def __init__(self, folder: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        self._path = folder / "answers.sqlite3"
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    async def get(self, key: str) -> str | None:
        """The answer to an equal request, or None."""
        try:
            return await asyncio.to_thread(self._get, key)
        except (sqlite3.Error, OSError) as error:
            _log.warning("The response cache %s cannot be read: %s", self._path, error)
            return None

    async def put(self, key: str, answer: str) -> None:
        """Keeps an answer."""
        try:
            await asyncio.to_thread(self._put, key, answer)
        except (sqlite3.Error, OSError) as error:
            _log.warning("The response cache %s cannot be written: %s", self._path, error)

    def close(self) -> None:
        """Ends the connection; the next operation opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _get(self, key: str) -> str | None:
        with self._lock, self._connected() as connection:
            row = connection.execute(
                "UPDATE answers SET used_at = ? WHERE key = ? RETURNING answer", (time.time(), key)
            ).fetchone()
        return None if row is None else str(row[0])

    def _put(self, key: str, answer: str) -> None:
        with self._lock, self._connected() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, answer, time.time())
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
