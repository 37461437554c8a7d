"""Planning: tasks over a small world, by each strategy of the planner, beside plain RAG.

A mesh of the retriever, the graph, the tools and the planner, each a process, with NATS and the
local model as `motet up` runs them, takes in a world of documents; then each question is asked of
every system, one at a time: of the planner as a task, by each strategy; of `plain_rag`, which is
one prompt over the five passages that the same retriever gives; and of the same model `bare`. The
systems take turns within each question, each time another one first, so that a busy machine is as
busy for all of them. The response cache is off.

The questions are of eight kinds, ten of each: one hop, several hops, calculation, list, table,
comparison of versions and houses, unanswerable, other languages. What counts as right is said in
`benchmarks/planning/checking.py`: deterministic rules over the text of the answer, the same for all
systems. A task that fails, or is not done by its deadline, is wrong.

`success` is in percent, with Wilson's 95 % interval; `tokens` are input and output, the mean of a
question; `seconds` the median. `beside_plain_rag` counts the questions that only the strategy
(`better`) or only plain RAG (`worse`) got right, with the exact p of McNemar's test, and has the
ratio of the medians of seconds. `wrong_but_supported` counts wrong answers all of whose citations
are marked as supported. `passages_found` is how many of the documents with an answer are among the
five passages.

DIR has `corpus.json` ([{title, text}]) and `questions.json` ([{question, answer, gold_titles}]).
An `answer` may be a text, a list of texts that must all be there, one of which may be a list of
forms, or null where the corpus does not tell; `kind`, `not` (what must not be in an answer),
`choices` and `quotes` may be given.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, get_args

from benchmarks.planning.checking import Expected
from benchmarks.planning.figures import BARE, PLAIN_RAG, Result, figures
from benchmarks.planning.scripted import SCRIPTS
from benchmarks.planning.scripted_server import ScriptedServer
from benchmarks.planning.systems import Systems
from benchmarks.planning.world import Question, World, load
from motet.client import Motet
from motet.embedded import EmbeddedMesh
from motet.messages import IngestRequest, IngestResult, Task
from motet.models import chat_model
from motet.models.capability import Capability
from motet.settings import Settings, load_settings

__all__ = ["run"]

AGENTS = ("retriever", "graph", "tool_executor", "planner")
STRATEGIES = tuple(get_args(Task.model_fields["strategy"].annotation))
NEEDS_TOOLS = "deep"
"""The strategy that only models which call tools take."""
INGEST_S = 1800.0
WARM = "What are these documents about?"


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def run(arguments: list[str], data: Path | None) -> dict[str, Any]:
    """Runs the benchmark and returns its figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks planning",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--strategies", help=f"of {', '.join(STRATEGIES)}, separated by commas")
    parser.add_argument("--without", default="", help="systems to leave out, such as bare")
    parser.add_argument("--kinds", help="only questions of these kinds, separated by commas")
    parser.add_argument("--limit", type=int, help="only so many questions, spread over the kinds")
    parser.add_argument("--model", help=f"as MOTET_MODEL names it, or one of {', '.join(SCRIPTS)}")
    parser.add_argument("--deadline", type=float, default=300, help="seconds for each question")
    parser.add_argument("--log", type=Path, help="a file of results, one a line; goes on from it")
    options = parser.parse_args(arguments)
    if data is not None and not (data / "corpus.json").exists():
        parser.error(f"{data} has no corpus.json; give the folder of a set with --data")
    world = load(data)
    questions = chosen(world.questions, options.kinds, options.limit)
    if not questions:
        parser.error(f"no question is of the kinds {options.kinds}")
    with tempfile.TemporaryDirectory(prefix="motet-planning-") as folder:
        return asyncio.run(_measure(world, questions, options, Path(folder)))


def chosen(questions: Sequence[Question], kinds: str | None, limit: int | None) -> list[Question]:
    """The questions that are asked: of some kinds, and the first of each kind in turn."""
    wanted = None if kinds is None else set(kinds.split(","))
    by_kind: dict[str, list[Question]] = {}
    for each in questions:
        if wanted is None or each.kind in wanted:
            by_kind.setdefault(each.kind, []).append(each)
    turns = max((len(each) for each in by_kind.values()), default=0)
    mixed = [of[turn] for turn in range(turns) for of in by_kind.values() if turn < len(of)]
    return mixed[:limit]


async def _measure(
    world: World, questions: list[Question], options: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        settings = _settings(folder, options.model, world, stack)
        mesh = await stack.enter_async_context(
            EmbeddedMesh(settings, agents=AGENTS, on_death="end", notice=_say)
        )
        motet = await stack.enter_async_context(
            Motet.open(mesh.settings.model_copy(update={"spans_dir": None}))
        )
        await _ingest(motet, world)
        model = chat_model(mesh.settings)
        stack.push_async_callback(model.close)
        strategies = _strategies(options.strategies, await model.capability())
        names = [*strategies, PLAIN_RAG, BARE]
        names = [name for name in names if name not in options.without.split(",")]
        systems = Systems(motet, model, options.deadline)
        log = _Log(options.log, f"{world.identity} {mesh.settings.model}")
        results = await mesh.run(_ask(systems, names, questions, log))
    return figures(results, strategies) | {"model": mesh.settings.model}


def _settings(folder: Path, model: str | None, world: World, stack: AsyncExitStack) -> Settings:
    given: dict[str, Any] = {"data_dir": folder / "data", "model_cache": False}
    if model in SCRIPTS:
        server = stack.enter_context(ScriptedServer(SCRIPTS[model](world.questions)))
        given |= {
            "model": f"local:{model}",
            "model_url": server.url,
            "model_profile": "capable",
            "model_tools": True,
        }
    elif model is not None:
        given["model"] = model
    return load_settings(**given)


def _strategies(wanted: str | None, capability: Capability) -> list[str]:
    if wanted is not None:
        names = [name for name in wanted.split(",") if name]
        if unknown := [name for name in names if name not in STRATEGIES]:
            sys.exit(
                f"There is no strategy {', '.join(unknown)}; there are {', '.join(STRATEGIES)}."
            )
        return names
    able = capability.calls_tools
    return [name for name in STRATEGIES if name != "auto" and (able or name != NEEDS_TOOLS)]


async def _ingest(motet: Motet, world: World) -> None:
    request = IngestRequest(documents=world.documents)
    result = await motet.call("retriever.ingest", request, IngestResult, timeout_s=INGEST_S)
    for item in result.items:
        if item.status == "failed":
            raise ValueError(f"{item.source}: {item.reason}")
    passages = sum(item.passages for item in result.items)
    _say(f"{len(world.documents)} documents, {passages} passages")


class _Log:
    """Results on disk, so that a run that broke off goes on where it was."""

    def __init__(self, file: Path | None, run: str) -> None:
        self._file = file
        self._run = run
        self._known: dict[tuple[str, str], Result] = {}
        if file is not None and file.exists():
            for line in file.read_text().splitlines():
                read = json.loads(line)
                if read.pop("run") == run:
                    result = Result(**read)
                    self._known[result.system, result.question] = result

    def known(self, system: str, question: Question) -> Result | None:
        return self._known.get((system, question.id))

    def add(self, result: Result) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as file:
                line = json.dumps({"run": self._run, **result.record()}, ensure_ascii=False)
                file.write(f"{line}\n")


async def _ask(
    systems: Systems, names: list[str], questions: list[Question], log: _Log
) -> list[Result]:
    warm = Question("warm", "warm", WARM, (), Expected(WARM, None))
    for name in names:
        await systems.named(name)(warm)
    results: list[Result] = []
    for place, question in enumerate(questions):
        first = place % len(names)
        for name in names[first:] + names[:first]:
            result = log.known(name, question)
            if result is None:
                result = await systems.named(name)(question)
                log.add(result)
            results.append(result)
            mark = "right" if result.right else f"wrong, {result.reason}"
            _say(
                f"{place + 1}/{len(questions)} {question.id} {name}: {mark} "
                f"({result.seconds:.1f} s, {result.tokens} tokens)"
            )
    return results
