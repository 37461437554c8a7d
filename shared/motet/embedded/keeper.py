"""Ends what a dead owner left behind. Run as a script, never imported by a service.

The owner holds the other end of this process' standard input and writes one line for each process
group that it starts (`+<id>`) and for each that has ended (`-<id>`). The input ends when the
owner does, however it died: also by `kill -9`, of which no process hears. Then every group still
on the list gets SIGTERM, as many seconds as the first argument says, and SIGKILL.

It runs in a session of its own, so that no signal meant for the owner's terminal reaches it, with
the bare interpreter (`-I -S`): it stays for as long as the mesh and should weigh nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time


def main() -> None:
    """Reads the list until the owner is gone, then ends what is on it."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line[0] == "+" else groups.discard
        change(int(line[1:]))
    end(groups, grace_s=float(sys.argv[1]))


def end(groups: set[int], grace_s: float) -> None:
    """SIGTERM to each group, and SIGKILL to those that are alive `grace_s` seconds later."""
    deadline = time.monotonic() + grace_s
    alive = {group for group in groups if sent(group, signal.SIGTERM)}
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = {group for group in alive if sent(group, 0)}
    for group in alive:
        sent(group, signal.SIGKILL)


def sent(group: int, number: int) -> bool:
    """Sends a signal to a process group; False when nobody is left in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for a zombie's group
        return False
    return True


if __name__ == "__main__":
    main()
