"""Footprint: memory of idle services; what a task, a span and a passage take of disk and memory.

`idle`: resident memory (RSS) and proportional memory (PSS, which divides what processes share) of
each process of a mesh with all six services, `--settle` seconds after it is up. The chat model and
the one that hears are elsewhere; embeddings are made in the services, as the images do.

`passages`: then `--passages` passages of some 830 characters are ingested, ten a document, each
with three statements of two names: what the stores take on disk, and how much their processes grow.

`tasks`: then `--tasks` tasks are done by all of them, one after another: three steps (a search, a
path through the graph, a calculation over what was found), read, checked, answered with a citation,
and scored. A server with fixed answers stands for the model, and the response cache is off.

`calls`: in a mesh of its own, tasks that make one call of an empty skill, without a model.

`queued`: then `--queued` such tasks, for which no planner runs.

Of what is done, the figures are a task's share: bytes that each stream says it keeps (without what
a server forgets as it restarts), bytes on disk and of memory of the NATS server, events, spans, and
bytes of the local span store. MB are 10^6 bytes. Nothing here is a time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.footprint.answers import Answers
from benchmarks.footprint.bare import calls_and_queue
from benchmarks.footprint.services import services

__all__ = ["run"]


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


async def _measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    with Answers() as answers:
        figures = await services(
            folder / "services",
            answers.url,
            settle_s=options.settle,
            passages=options.passages,
            tasks=options.tasks,
            say=_say,
        )
    figures |= await calls_and_queue(folder / "calls", options.calls, options.queued, say=_say)
    return figures


def run(arguments: list[str], data: Path | None) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks footprint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--settle", type=float, default=20, help="seconds before memory is read")
    parser.add_argument("--passages", type=int, default=2000, help="passages that are ingested")
    parser.add_argument("--tasks", type=int, default=200, help="tasks of three steps")
    parser.add_argument("--calls", type=int, default=2000, help="tasks of one call")
    parser.add_argument("--queued", type=int, default=20_000, help="tasks that wait")
    if data is not None:
        parser.error("this benchmark takes no --data")
    options = parser.parse_args(arguments)
    for name in [each for each in os.environ if each.startswith(("MOTET_", "OTEL_"))]:
        if name != "MOTET_CACHE_DIR":
            del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="motet-footprint-") as folder:
        return uvloop.run(_measure(options, Path(folder)))
