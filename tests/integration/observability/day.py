"""A day's work: a little of everything that metrics are about, in a mesh of real agents.

A model answers and its cache does, a step is tried again, a step fails for good, a tool runs, an
answer is scored, a person is asked, a task is late, and a call is delivered twice.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from langchain_core.embeddings import DeterministicFakeEmbedding

from motet.agent import Agent, Call
from motet.errors import FaultError
from motet.messages import Answer, Citation, Task
from motet.models.chat import chat_model
from motet.models.choice import ModelChoice
from motet.models.embeddings import RemoteEmbedder
from motet.settings import Settings
from motet.testing import Flaky, TestMesh, with_fault
from motet_evaluator.app import agent as evaluator
from motet_tool_executor.app import agent as tool_executor
from tests.embedder import LetterEmbedder
from tests.integration.bus.agents import Done, Order, worker
from tests.integration.bus.questions import WHICH, asked, respond
from tests.unit.models.fake_server import FakeServer, completion, failure, serving

__all__ = ["days_work"]

MODEL = "openai:gpt-4.1-mini"
EMBEDDER = RemoteEmbedder(
    ModelChoice(provider="openai", name="text-embedding-3-small"),
    DeterministicFakeEmbedding(size=8),
    timeout_s=5,
)


def _planner(settings: Settings) -> Agent:
    agent = Agent("planner", "Does what its goal names.")
    model = chat_model(settings)

    @agent.task
    async def run(task: Task, call: Call) -> Answer:
        match task.goal:
            case "think":
                # The second time the cache answers.
                for _ in range(2):
                    await model.text([("user", "what now?")], max_tokens=5)
                await EMBEDDER.embed(["what now?"])
                await call.delegate("worker.work", {}, step="flaky")
                sum_ = {"expression": "40 + 2", "variables": {}}
                await call.delegate("tool_executor.calculate", sum_, step="sum")
                cited = Citation(number=1, passage_id="a", source="a", title="a", quote="so it is")
                return Answer(text="So it is [1].", citations=(cited,))
            case "ask":
                await call.delegate("guide.work", {}, step="asks")
            case "stumble":
                await model.text([("user", "stumble")], max_tokens=5)
            case "dawdle":
                await call.delegate("slow.work", {}, step="sleeps")
            case _:
                await call.delegate("broken.work", {}, step="fails")
        return Answer(text="done")

    return agent


async def _guide(request: Order, call: Call) -> Done:
    return Done(text=str((await call.ask(WHICH)).value))


async def _break(request: Order, call: Call) -> Done:
    raise FaultError.of("broken", "Broken.")


async def _sleep(request: Order, call: Call) -> Done:
    await asyncio.sleep(60)
    return Done(text="")


async def _work(request: Order, call: Call) -> Done:
    return Done(text="")


async def days_work(mesh: TestMesh, folder: Path) -> dict[str, str]:
    """Works; gives the ids of the tasks by their goals."""
    with serving(FakeServer(answers=[completion("go on"), failure(400, "no")])) as server:
        chosen = mesh.settings.model_copy(
            update={"model": MODEL, "model_url": f"{server.url}/v1", "cache_dir": folder}
        )
        tired = FaultError.of("tired", "Tired.", retryable=True)
        await mesh.join(with_fault(worker(_work), "work", Flaky(tired)))
        await mesh.join(worker(_break, "broken"))
        await mesh.join(worker(_sleep, "slow"))
        await mesh.join(worker(_guide, "guide"))
        await mesh.join(tool_executor)
        await mesh.join(evaluator, context={"embedder": LetterEmbedder()})
        await mesh.join(_planner(chosen))

        made: dict[str, str] = {}
        for goal, tenant in (("think", "acme"), ("fail", "acme"), ("stumble", "default")):
            task = await mesh.motet.submit(Task(goal=goal, tenant=tenant))
            made[goal] = task.id
            await task.result(20)
            if goal == "think":
                await task.evaluation(20)
        # Long enough for its call to be seen in the queue.
        late = await mesh.motet.submit(Task(goal="dawdle", deadline_s=4))
        made["dawdle"] = late.id
        assert (await late.result(20)).state == "expired"
        waiting = await mesh.motet.submit("ask")
        made["ask"] = waiting.id
        (question,) = await asked(mesh, waiting.id)
        await mesh.motet.reply(respond(question))
        await waiting.result(20)
    await _twice(mesh)
    return made


async def _twice(mesh: TestMesh) -> None:
    """The same call published twice, long enough apart that the stream takes both."""
    headers = {"motet-task": "twice", "motet-call": "twice"}
    for _ in range(2):
        await mesh.bus.store(
            mesh.bus.topology.call("worker", "work"), json.dumps({}).encode(), headers
        )
        await mesh.outcome("twice", "twice")
        headers["motet-reissued"] = "1"
    await mesh.drained("CALLS")
