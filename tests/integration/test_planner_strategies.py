"""The planner, the retriever and its strategies together: what a task asks for, and its budget."""

from __future__ import annotations

from typing import Any

import pytest

from motet.agent import Agent
from motet.messages import (
    STRATEGIES,
    Budget,
    Document,
    GraphSearchRequest,
    GraphSearchResult,
    IngestRequest,
    IngestResult,
    Task,
    TaskState,
    Usage,
)
from motet.testing import ScriptedModel, TestMesh
from motet_planner.app import agent as planner
from motet_retriever.app import agent as retriever
from tests.embedder import LetterEmbedder

GOAL = "Who owns the ship Alba?"
ALBA = "# Alba\n\nThe Alba is a ship of the Norden Institute.\n"
ANSWERS: dict[str, Any] = {
    "plan": {"steps": [{"skill": "retriever.search", "what": GOAL, "needs": []}]},
    "answer": lambda asked: {
        "answer": "The Alba is a ship of the Norden Institute.",
        "quotes": [],
        "status": "answered" if "Norden" in asked.last else "unanswered",
        "open": [],
    },
    "variants": {"questions": ["Alba shipowner"]},
    "passage": {"passage": "The Alba belongs to an institute."},
    "decompose": {"questions": ["Who owns the ship Alba?"]},
    "follow_up": lambda asked: {"enough": "no", "next": f"more than {len(asked.last)}"},
}


def graph() -> Agent:
    agent = Agent("graph", "Knows how things are connected.")

    @agent.skill("search", "Finds passages by connections.", plannable=False)
    async def search(_request: GraphSearchRequest, _call: Any) -> GraphSearchResult:
        return GraphSearchResult(passages=())

    return agent


async def join(mesh: TestMesh, model: ScriptedModel, reworded_by: ScriptedModel) -> None:
    await mesh.join(graph())
    await mesh.join(retriever, context={"embedder": LetterEmbedder(), "model": reworded_by})
    await mesh.join(planner, context={"model": model})
    document = Document(source="alba.md", media_type="text/markdown", text=ALBA)
    await mesh.motet.call("retriever.ingest", IngestRequest(documents=(document,)), IngestResult)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_search_is_done_as_asked_and_leaves_the_budget_for_the_answer(
    mesh: TestMesh, strategy: str
) -> None:
    spends = Usage(input_tokens=200, model_calls=1)
    await join(mesh, ScriptedModel(ANSWERS, usage=spends), ScriptedModel(ANSWERS, usage=spends))
    # Plan and answer are 400; without a share, the search could take all of the rest.
    budget = Budget(tokens=1_300)

    wanted = {"goal": GOAL, "strategy": "plan", "retrieval": strategy, "budget": budget}
    task = await mesh.motet.submit(Task.model_validate(wanted))
    record = await task.result(30)
    await mesh.trace(task.id)

    # The graph of this mesh knows nothing, so that it alone finds nothing.
    assert record.state == TaskState.SUCCEEDED, record.fault
    assert record.answer is not None
    assert record.answer.answered == (strategy != "graph")
    assert record.usage.tokens <= 1_300
    assert any(span.name == f"retrieval {strategy}" for span in mesh.spans())


async def test_a_strategy_that_does_not_exist_is_a_fault_of_the_task(mesh: TestMesh) -> None:
    await mesh.join(planner, context={"model": ScriptedModel({})})

    subject = mesh.bus.topology.task_submit
    stored = await mesh.bus.store(subject, b'{"goal": "hello", "retrieval": "guess"}', None)
    record = await mesh.motet.task(f"task-{stored.sequence}").result(20)

    assert record.state == TaskState.FAILED
    assert record.fault is not None
    assert record.fault.type == "invalid_input"
    assert "retrieval" in record.fault.message
