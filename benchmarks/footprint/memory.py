"""Memory of processes, as Linux counts it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["Memory", "family", "memory"]

Memory = dict[str, float]
"""`rss` and `pss` in MB (10^6 bytes)."""


def memory(pid: int) -> Memory:
    """Of one process; of several that share pages, PSS counts each page once."""
    found: Memory = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("Rss", "Pss"):
            found[name.lower()] = round(int(value.split()[0]) * 1024 / 1e6, 1)
    return found


def family(pid: int) -> dict[str, Memory]:
    """Of a process, as `own`, and of those below it that take more than a few MB, by program."""
    found = {"own": memory(pid)}
    for child in _children(pid):
        name = Path(f"/proc/{child}/comm").read_text().strip()
        for below, taken in family(child).items():
            if taken["rss"] > 10:
                found[name if below == "own" else below] = taken
    return found


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for each in threads for child in (each / "children").read_text().split()]
