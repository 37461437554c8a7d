"""Every strategy as a call on a mesh: its tree, what it finds, and what nobody else may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from motet.agent import Agent
from motet.errors import FaultError
from motet.messages import (
    ANYBODY,
    STRATEGIES,
    Answer,
    Budget,
    DeleteRequest,
    DeleteResult,
    Document,
    GraphSearchRequest,
    GraphSearchResult,
    IngestRequest,
    IngestResult,
    Passage,
    Principal,
    SearchRequest,
    SearchResult,
    Task,
)
from motet.testing.mesh import TestMesh
from motet.testing.models import ScriptedModel
from motet.testing.traces import assert_tree
from motet_retriever.app import agent
from tests.embedder import LetterEmbedder

QUESTION = "Who leads the institute that owns the ship Alba?"
MARK = "OCHRE"
"""Stands in every text that the caller may not see."""
ALBA = "# Alba\n\nThe Alba is a ship of the Norden Institute.\n\n# Crew\n\nNine people sail it.\n"
NORDEN = "# Norden\n\nAna Roth leads the Norden Institute since 2019.\n"
STAFF = Principal(access=("staff",))
LEGAL = Principal(access=("legal",))
OTHERS = Principal(tenant="other")

ANSWERS: dict[str, Any] = {
    "variants": {"questions": ["Alba shipowner"]},
    "passage": {"passage": "The Norden Institute is led by a director."},
    "decompose": {"questions": ["Who owns the ship Alba?", "Who leads #1?"]},
    "follow_up": {"enough": "yes", "next": ""},
    "rank": {"order": [1]},
}

TREES = {
    "basic": "retrieval documents",
    "hybrid": "retrieval documents",
    "multi_query": """
        retrieval documents
        chat scripted
        retrieval documents
    """,
    "hyde": """
        chat scripted
        * retrieval documents
        * retrieval documents
    """,
    "hierarchical": """
        retrieval documents [retrieval.level=document]
        * retrieval documents [retrieval.level=section]
        * retrieval documents
    """,
    "multi_hop": """
        retrieval documents
        chat scripted
        retrieval documents
        chat scripted
    """,
    "graph": """
        send motet.call.graph.search [step=graph]
          process motet.call.graph.search
            invoke_agent graph
    """,
    "hybrid_graph": """
        * retrieval documents
        * send motet.call.graph.search [step=graph]
          process motet.call.graph.search
            invoke_agent graph
    """,
}


class Proposals:
    """A graph agent that proposes whatever it is told to, to everybody."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.principals: list[Principal] = []
        self.agent = Agent("graph", "Knows how things are connected.")

        @self.agent.skill("search", "Finds passages by connections.")
        async def search(request: GraphSearchRequest, call: Any) -> GraphSearchResult:
            self.principals.append(call.principal)
            return GraphSearchResult(passages=tuple(map(self._passage, self.ids)))

    def _passage(self, key: str) -> Passage:
        text = f"{MARK}: what the graph has kept"
        return Passage(
            id=key, source="s", title=MARK, text=text, position=0, start=0, end=9, score=0.5
        )


@pytest.fixture
def proposals() -> Proposals:
    return Proposals()


@pytest.fixture
def chat() -> ScriptedModel:
    return ScriptedModel(ANSWERS)


@pytest.fixture
async def library(mesh: TestMesh, proposals: Proposals, chat: ScriptedModel) -> TestMesh:
    """Documents of everybody, of who has the label `legal`, and of another tenant."""
    await mesh.join(proposals.agent)
    await mesh.join(agent, context={"embedder": LetterEmbedder(), "model": chat})
    await ingest(mesh, {"alba.md": ALBA, "norden.md": NORDEN})
    await ingest(mesh, {"secret.md": _hidden("Secret")}, LEGAL, labels=("legal",))
    await ingest(mesh, {"theirs.md": _hidden("Theirs"), "alba.md": _hidden("Alba")}, OTHERS)
    return mesh


def _hidden(title: str) -> str:
    text = f"{MARK}: who leads the institute that owns the ship Alba."
    return f"# {title} {MARK}\n\n{text}\n\n# Norden Institute {MARK}\n\n{text}\n"


async def ingest(
    mesh: TestMesh, texts: Mapping[str, str], principal: Principal = ANYBODY, **options: Any
) -> None:
    documents = tuple(
        Document(source=source, media_type="text/markdown", text=text, **options)
        for source, text in texts.items()
    )
    result = await mesh.motet.call(
        "retriever.ingest", IngestRequest(documents=documents), IngestResult, principal=principal
    )
    assert {item.status for item in result.items} == {"added"}


async def find(
    mesh: TestMesh, principal: Principal = ANYBODY, query: str = QUESTION, **options: Any
) -> SearchResult:
    request = SearchRequest.model_validate({"query": query, **options})
    return await mesh.motet.call("retriever.search", request, SearchResult, principal=principal)


def sources(result: SearchResult) -> set[str]:
    return {each.source for each in result.passages}


async def everything(mesh: TestMesh) -> list[str]:
    """Ids of all passages of everybody, as only this test can know them."""
    found = [
        each.id
        for principal in (ANYBODY, LEGAL, OTHERS)
        for each in (await find(mesh, principal, strategy="hybrid", limit=100)).passages
    ]
    return list(dict.fromkeys(found))


class Ask(BaseModel):
    """What the planner of these tests is told, as JSON in the task's goal."""

    strategy: str


planner = Agent("planner", "Searches by the strategy that the task names.")


@planner.task
async def search(task: Task, call: Any) -> Answer:
    request = SearchRequest.model_validate({"query": QUESTION, "strategy": task.goal, "limit": 2})
    result = await call.delegate("retriever.search", request, SearchResult, step="s1")
    return Answer(answered=True, text=" ".join(each.source for each in result.passages))


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_tree(library: TestMesh, proposals: Proposals, strategy: str) -> None:
    proposals.ids = await everything(library)
    await library.join(planner)
    task = await library.motet.submit(Task(goal=strategy))
    record = await task.result(30)
    assert record.state == "succeeded", record.fault
    assert record.answer is not None
    assert set(record.answer.text.split()) <= {"alba.md", "norden.md"}
    assert_tree(await library.trace(task.id), _tree(strategy))


def _tree(strategy: str) -> str:
    import textwrap

    outer = """
        send motet.task.submit
          process motet.task.submit
            invoke_agent planner
              send motet.call.retriever.search [step=s1]
                process motet.call.retriever.search
                  invoke_agent retriever
    """
    lines = textwrap.dedent(outer).strip("\n").rstrip() + f"\n            retrieval {strategy}\n"
    inner = textwrap.dedent(TREES[strategy]).strip("\n")
    return lines + textwrap.indent(inner, " " * 14)


HOW: list[dict[str, Any]] = [
    *({"strategy": each} for each in STRATEGIES),
    *({"mode": each} for each in ("hybrid", "dense", "sparse")),
]
OPTIONS: list[dict[str, Any]] = [
    {"expand": "document", "limit": 100, "diversity": 0.5},
    {"expand": "section", "offset": 1, "rerank": "model", "half_life_days": 1},
    {"sources": ["secret.md", "theirs.md", "alba.md"]},
    {"filter": {"any_of": [
        {"field": "title", "op": "contains", "value": MARK},
        {"field": "source", "op": "in", "value": ["secret.md", "theirs.md"]},
        {"none_of": [{"field": "source", "op": "exists"}]},
    ]}},
    {"filter": {"none_of": [{"field": "title", "op": "eq", "value": "x"}]}, "limit": 100},
]  # fmt: skip


@pytest.mark.parametrize("how", HOW, ids=lambda each: "-".join(*each.items()))
async def test_nobody_sees_what_is_not_theirs(
    library: TestMesh, proposals: Proposals, chat: ScriptedModel, how: dict[str, Any]
) -> None:
    proposals.ids = await everything(library)
    for principal in (ANYBODY, STAFF):
        for options in OPTIONS:
            result = await find(library, principal, **how, **options)
            assert MARK not in result.model_dump_json()
            assert sources(result) <= {"alba.md", "norden.md"}
    assert not any(MARK in said for asked in chat.asked for _, said in asked.messages)
    assert "secret.md" in sources(await find(library, LEGAL, **how, limit=100))
    assert sources(await find(library, OTHERS, **how, limit=100)) == {"theirs.md", "alba.md"}
    assert set(proposals.principals) <= {ANYBODY, STAFF, LEGAL, OTHERS}


@pytest.mark.parametrize("how", HOW, ids=lambda each: "-".join(*each.items()))
async def test_nothing_deleted_is_found(
    library: TestMesh, proposals: Proposals, how: dict[str, Any]
) -> None:
    proposals.ids = await everything(library)
    assert "norden.md" in sources(await find(library, **how, limit=100))
    await library.motet.call(
        "retriever.delete", DeleteRequest(sources=("norden.md",)), DeleteResult
    )
    found = await find(library, **how, limit=100, expand="document")
    assert sources(found) == {"alba.md"}
    assert "Ana Roth" not in found.model_dump_json()


async def test_a_planners_words_choose_no_principal(library: TestMesh) -> None:
    """Whatever a model writes into the input, the call's headers decide."""
    body = {
        "query": QUESTION,
        "tenant": "other",
        "access": ["legal"],
        "principal": {"tenant": "other"},
    }
    found = await library.motet.call("retriever.search", body, SearchResult)
    assert MARK not in found.model_dump_json()


async def test_within_the_budget(library: TestMesh, chat: ScriptedModel) -> None:
    """A model that the budget does not allow is done without, and so is the graph."""
    request = SearchRequest(query=QUESTION, strategy="multi_hop")
    spent = Budget(tokens=1)
    result = await library.motet.call("retriever.search", request, SearchResult, budget=spent)
    assert chat.asked == []
    assert sources(result) == {"alba.md", "norden.md"}
    alone = request.model_copy(update={"strategy": "hybrid_graph"})
    found = await library.motet.call(
        "retriever.search", alone, SearchResult, budget=Budget(calls=0)
    )
    assert all(each.reason.endswith("; without the graph") for each in found.passages)


async def test_without_a_graph(mesh: TestMesh) -> None:
    await mesh.join(agent, context={"embedder": LetterEmbedder()})
    await ingest(mesh, {"alba.md": ALBA})
    with pytest.raises(FaultError) as raised:
        await find(mesh, strategy="graph")
    assert raised.value.fault.type == "unknown_skill"
    assert sources(await find(mesh, strategy="hybrid_graph")) == {"alba.md"}
