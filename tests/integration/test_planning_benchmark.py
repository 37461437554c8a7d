"""The planning benchmark's scripted models, through the services and over HTTP.

A model that is right from the passages is right through every strategy: the machine around a good
model costs it nothing. One that is wrong is never told as supported.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.planning import chosen
from benchmarks.planning.figures import Result
from benchmarks.planning.scripted import SCRIPTS
from benchmarks.planning.scripted_server import ScriptedServer
from benchmarks.planning.systems import Systems
from benchmarks.planning.world import load
from motet.messages import IngestRequest, IngestResult
from motet.models import chat_model
from motet.testing import test_mesh
from motet_planner.app import agent as planner
from motet_retriever.app import agent as retriever
from motet_tool_executor.app import agent as tools
from tests.embedder import LetterEmbedder

WORLD = load(None)
QUESTIONS = chosen(WORLD.questions, None, 16)
"""Two of each kind, the first eight one of each."""


@asynccontextmanager
async def systems(url: str, folder: Path, script: str) -> AsyncGenerator[Systems]:
    with ScriptedServer(SCRIPTS[script](WORLD.questions)) as scripted:
        async with test_mesh(
            url,
            folder,
            model=f"local:{script}",
            model_url=scripted.url,
            model_profile="capable",
            model_tools=True,
            model_cache=False,
        ) as mesh:
            await mesh.join(retriever, context={"embedder": LetterEmbedder()})
            await mesh.join(tools)
            await mesh.join(planner)
            request = IngestRequest(documents=WORLD.documents)
            await mesh.motet.call("retriever.ingest", request, IngestResult)
            model = chat_model(mesh.settings)
            yield Systems(mesh.motet, model, 30)
            await model.close()


async def asked(systems: Systems, strategy: str, most: int = 8) -> list[Result]:
    return [await systems.named(strategy)(question) for question in QUESTIONS[:most]]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("strategy", ["plan", "react", "deep"])
async def test_a_model_that_is_right_is_right_through_every_strategy(
    nats_url: str, tmp_path: Path, strategy: str
) -> None:
    async with systems(nats_url, tmp_path, "scripted-right") as asking:
        results = await asked(asking, strategy, len(QUESTIONS))

    assert [each for each in results if not each.right] == []
    assert all(each.tokens > 0 for each in results)
    by_kind = {each.kind: each for each in results}
    assert by_kind["unanswerable"].answered is False
    assert by_kind["table"].answered is True


@pytest.mark.timeout(180)
@pytest.mark.parametrize("script", ["scripted-wrong", "scripted-misquoting"])
@pytest.mark.parametrize("strategy", ["plan", "react"])
async def test_a_model_that_is_wrong_is_never_told_as_supported(
    nats_url: str, tmp_path: Path, strategy: str, script: str
) -> None:
    async with systems(nats_url, tmp_path, script) as asking:
        results = await asked(asking, strategy)

    assert not any(each.right for each in results)
    assert [each for each in results if each.supported] == []


@pytest.mark.timeout(180)
async def test_plain_rag_and_the_bare_model_are_measured_alike(
    nats_url: str, tmp_path: Path
) -> None:
    async with systems(nats_url, tmp_path, "scripted-right") as asking:
        plain = await asked(asking, "plain_rag")
        bare = await asked(asking, "bare")

    # Without the passages even this model knows nothing but that it knows nothing.
    assert {each.kind for each in bare if each.right} == {"unanswerable"}
    assert sum(each.right for each in plain) > sum(each.right for each in bare)
    assert all(each.found is not None for each in plain if each.kind != "unanswerable")
    assert all(0 < each.tokens < 10_000 for each in (*plain, *bare))
