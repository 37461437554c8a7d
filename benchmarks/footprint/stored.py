"""What a mesh has stored: in each stream, on disk, in the span store, and NATS' memory for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.footprint.memory import memory
from motet.bus import Bus

__all__ = ["Stored", "bytes_in"]


@dataclass(frozen=True)
class Stored:
    """A moment."""

    streams: dict[str, tuple[int, int]]
    """Bytes and messages by stream."""
    disk: int
    nats_mb: float
    spans: int
    span_bytes: int

    @classmethod
    async def now(cls, bus: Bus, nats_pid: int, data: Path) -> Stored:
        """What is there now; `data` is the mesh's folder."""
        streams: dict[str, tuple[int, int]] = {}
        for config in bus.topology.streams():
            state = (await bus.js.stream_info(config.name or "")).state
            streams[config.name or ""] = (state.bytes, state.messages)
        files = [each for each in (data / "spans").rglob("*.jsonl") if each.is_file()]
        return cls(
            streams,
            bytes_in(data / "nats"),
            memory(nats_pid)["rss"],
            sum(each.read_bytes().count(b"startTimeUnixNano") for each in files),
            sum(each.stat().st_size for each in files),
        )

    def each(self, before: Stored, tasks: int) -> dict[str, Any]:
        """What one of `tasks` tasks has added since `before`."""
        grown = {
            name: round((size - before.streams[name][0]) / tasks)
            for name, (size, _) in self.streams.items()
        }
        messages = {
            name: round((count - before.streams[name][1]) / tasks, 2)
            for name, (_, count) in self.streams.items()
        }
        spans = self.spans - before.spans
        return {
            "tasks": tasks,
            "stream_bytes": {name: size for name, size in grown.items() if size},
            "stream_bytes_all": sum(grown.values()),
            "messages": {name: count for name, count in messages.items() if count},
            "disk_bytes": round((self.disk - before.disk) / tasks),
            "nats_memory_bytes": round((self.nats_mb - before.nats_mb) * 1e6 / tasks),
            "spans": round(spans / tasks, 1),
            "span_store_bytes": round((self.span_bytes - before.span_bytes) / tasks),
            "span_bytes": round((self.span_bytes - before.span_bytes) / spans) if spans else 0,
        }


def bytes_in(folder: Path) -> int:
    """Bytes on disk of a folder's files, by the blocks that they take."""
    return sum(each.stat().st_blocks * 512 for each in folder.rglob("*") if each.is_file())
