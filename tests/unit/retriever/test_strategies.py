"""Strategies: what each asks and finds, with a chat model and without; and what none shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from motet.errors import FaultError
from motet.messages import STRATEGIES, FaultType, Principal, SearchResult
from motet.telemetry import names
from motet.testing.models import Asked, ScriptedModel
from motet_retriever.reranking import ModelReranker
from motet_retriever.strategies.multi_hop import FANS, HOPS, NAMES
from tests.unit.retriever.library import Call, Library

QUESTION = "Who leads the institute that owns the ship Alba?"
"""Its answer stands in two documents, of which the second shares few words with it."""

MODELS: dict[str, Any] = {
    "variants": {"questions": ["Alba shipowner", "head of the institute"]},
    "passage": {"passage": "The Norden Institute is led by a director."},
    "decompose": {"questions": ["Who owns the ship Alba?", "Who leads #1?"]},
    "follow_up": [
        {"enough": "no", "next": "Who leads the Norden Institute?"},
        {"enough": "yes", "next": ""},
    ],
    "rank": {"order": [2]},
}


@pytest.fixture
async def library() -> Any:
    library = Library()
    await library.add("alba", "The Alba is a ship of the Norden Institute.", title="Alba")
    await library.add("norden", "Norden Institute: Ana Roth leads it since 2019.", title="Norden")
    for number, text in enumerate(
        (
            "Who owns an institute, leads a ship.",
            "The ship of a leading institute.",
            "An institute that owns ships.",
            "Ships that lead.",
        )
    ):
        await library.add(f"other{number}", text, title=f"Other {number}")
    yield library
    await library.telemetry.shutdown()


def sources(result: SearchResult) -> list[str]:
    return [each.source for each in result.passages]


def model(**answers: Any) -> ScriptedModel:
    return ScriptedModel({**MODELS, **answers})


async def test_multi_hop_goes_on_by_names(library: Library) -> None:
    plain = await library.find(QUESTION, limit=2)
    assert "norden" not in sources(plain)
    result = await library.find(QUESTION, limit=3, strategy="multi_hop")
    assert {"alba", "norden"} <= set(sources(result))
    assert "Norden Institute leads owns" in result.queries
    (norden,) = (each for each in result.passages if each.source == "norden")
    assert '1st by words for "Norden Institute leads owns"' in norden.reason


async def test_multi_hop_asks_no_question_twice_and_ends(library: Library) -> None:
    result = await library.find(QUESTION, strategy="multi_hop")
    assert len(set(result.queries)) == len(result.queries) == len(library.store.asked) - 1
    assert 0 < len(result.queries) <= HOPS * FANS * NAMES


async def test_multi_hop_by_a_model(library: Library) -> None:
    scripted = model()
    search = library.search(model=scripted)
    result = await library.find(QUESTION, limit=6, strategy="multi_hop", search=search)
    assert result.queries == ("Who owns the ship Alba?", "Who leads the Norden Institute?")
    plain = await library.find(QUESTION, limit=6)
    assert sources(result).index("norden") < sources(plain).index("norden")
    (norden,) = (each for each in result.passages if each.source == "norden")
    assert 'by words for "Who leads the Norden Institute?"' in norden.reason
    assert [asked.name for asked in scripted.asked] == ["decompose", "follow_up", "follow_up"]
    shown = scripted.asked[1].last
    assert "(Alba) The Alba is a ship of the Norden Institute." in shown


async def test_multi_query_by_a_model(library: Library) -> None:
    search = library.search(model=model())
    result = await library.find(QUESTION, strategy="multi_query", search=search)
    assert result.queries == ("Alba shipowner", "head of the institute")
    assert {said.query for hit in result.passages for said in hit.branches} >= {
        None,
        *result.queries,
    }


async def test_multi_query_without_a_model(library: Library) -> None:
    result = await library.find(QUESTION, strategy="multi_query")
    assert 2 <= len(result.queries) <= 4
    assert QUESTION not in result.queries
    own = sources(await library.find(QUESTION))
    assert {"alba", own[0]} <= set(sources(result)[:2])


async def test_hyde_by_a_model(library: Library) -> None:
    search = library.search(model=model())
    result = await library.find(QUESTION, strategy="hyde", search=search)
    assert result.queries == (MODELS["passage"]["passage"],)
    dense = {
        said.query for hit in result.passages for said in hit.branches if said.branch == "dense"
    }
    assert dense == set(result.queries)
    sparse = {
        said.query for hit in result.passages for said in hit.branches if said.branch == "sparse"
    }
    assert sparse == {None}


async def test_hyde_without_a_model_moves_towards_the_nearest(library: Library) -> None:
    await library.find(QUESTION, strategy="hyde")
    first, *rest = library.store.asked
    assert first.vectors
    assert first.words is None
    moved = next(query for query in rest if query.vector is not None)
    near = (await library.store.search(first))["dense"][:3]
    assert first.vector is not None
    assert moved.vector is not None
    for each in near:
        assert each.vector is not None
        assert float(moved.vector @ each.vector) > float(first.vector @ each.vector)
    assert float(moved.vector @ moved.vector) == pytest.approx(1)


@pytest.mark.parametrize("strategy", ["multi_query", "hyde", "multi_hop"])
@pytest.mark.parametrize("type", ["model_failed", "model_output_invalid", "budget_exceeded"])
async def test_a_model_that_fails_is_done_without(
    library: Library, strategy: str, type: str
) -> None:
    failing = {name: FaultError.of(type, "no answer") for name in MODELS}
    search = library.search(model=ScriptedModel(failing))
    result = await library.find(QUESTION, strategy=strategy, search=search)
    assert result == await library.find(QUESTION, strategy=strategy)
    attributes = [
        {**(span.attributes or {})}
        for span in library.exporter.get_finished_spans()
        if span.name == f"retrieval {strategy}"
    ]
    assert attributes[0][names.NOTES] == ["without the chat model: no answer"]
    assert attributes[1].get(names.NOTES) is None


async def test_a_model_that_is_cancelled_ends_the_search(library: Library) -> None:
    failing = {name: FaultError.of(FaultType.CANCELLED, "over") for name in MODELS}
    with pytest.raises(FaultError, match="over"):
        await library.find(
            QUESTION, strategy="multi_hop", search=library.search(model=ScriptedModel(failing))
        )


async def test_hierarchical_goes_by_documents_and_sections(library: Library) -> None:
    """Two documents say the same; one is about it, and one of its sections most."""
    about = ("Rent", "Rent of the harbour")
    await library.add(
        "lease",
        "The sum is 900 euros.",
        "It is paid monthly.",
        "The pier is old.",
        title="Harbour rent",
        section=lambda place: about if place < 2 else ("Pier",),
    )
    await library.add(
        "diary",
        "The sum is 900 euros.",
        "Cats sleep.",
        title="Diary",
        section=lambda place: (("Notes",), ("Cats",))[place],
    )
    result = await library.find("rent of the harbour: the sum", strategy="hierarchical")
    first = result.passages[0]
    assert (first.source, first.position) == ("lease", 0)
    assert "in the 1st document and the 1st section" in first.reason
    assert {query.level for query in library.store.asked} == {"document", "section", "passage"}
    assert all(each.text for each in result.passages), "wholes are not given as passages"


async def test_hierarchical_with_a_filter_on_passages(library: Library) -> None:
    await library.add("book", *(f"page {n} of the Alba" for n in range(4)), title="Book")
    where = {"field": "position", "op": "gte", "value": 3}
    result = await library.find(QUESTION, strategy="hierarchical", filter=where)
    assert [(each.source, each.position) for each in result.passages] == [("book", 3)]


async def test_graph_proposes_and_the_store_decides(library: Library) -> None:
    await library.add("secret", "Hidden.", labels=("legal",))
    await library.add("theirs", "Hidden.", tenant="other")
    ids = [
        ("secret#0", 0.9),
        ("norden#0", 0.8),
        ("theirs#0", 0.7),
        ("gone#0", 0.6),
        ("alba#0", 0.5),
    ]
    call = Call(graph=lambda _: ids)
    result = await library.find(QUESTION, strategy="graph", call=call)
    assert sources(result) == ["norden", "alba"]
    assert result.passages[0].text == "Norden Institute: Ana Roth leads it since 2019."
    assert result.passages[0].reason == "1st by connections"
    assert not result.more
    legal = Call(Principal(access=("legal",)), graph=lambda _: ids)
    assert sources(await library.find(QUESTION, strategy="graph", call=legal))[0] == "secret"


async def test_graph_within_filter_and_sources(library: Library) -> None:
    call = Call(graph=lambda _: [("norden#0", 0.8), ("alba#0", 0.5)])

    async def found(**request: Any) -> list[str]:
        return sources(await library.find(QUESTION, strategy="graph", call=call, **request))

    assert await found(sources=("alba",)) == ["alba"]
    assert await found(filter={"field": "title", "op": "eq", "value": "Norden"}) == ["norden"]
    assert await found(filter={"field": "language", "op": "exists"}) == []


async def test_hybrid_graph_fuses(library: Library) -> None:
    call = Call(graph=lambda request: [("norden#0", 0.8)])
    result = await library.find(
        QUESTION, strategy="hybrid_graph", call=call, weights={"graph": 5}, limit=10
    )
    assert sources(result)[0] == "norden"
    assert {said.branch for said in result.passages[0].branches} >= {"graph", "dense"}
    assert len(result.passages) == 6


async def test_without_a_graph(library: Library) -> None:
    with pytest.raises(FaultError, match=r"'graph' needs the skill graph\.search") as raised:
        await library.find(QUESTION, strategy="graph")
    assert raised.value.fault.type == "unknown_skill"
    result = await library.find(QUESTION, strategy="hybrid_graph")
    hybrid = await library.find(QUESTION)
    assert sources(result) == sources(hybrid)
    assert all(each.reason.endswith("; without the graph") for each in result.passages)
    assert "graph.search" in library.spans()["retrieval hybrid_graph"][names.NOTES][0]


async def test_a_graph_that_fails(library: Library) -> None:
    def fail(_: Any) -> Any:
        raise FaultError.of(FaultType.UNAVAILABLE, "the store is away", retryable=True)

    result = await library.find(QUESTION, strategy="hybrid_graph", call=Call(graph=fail))
    assert sources(result) == sources(await library.find(QUESTION))
    with pytest.raises(FaultError, match="the store is away"):
        await library.find(QUESTION, strategy="graph", call=Call(graph=fail))


REQUESTS: list[dict[str, Any]] = [
    *({"strategy": each} for each in STRATEGIES),
    *({"mode": each} for each in ("hybrid", "dense", "sparse")),
]
OPTIONS: list[dict[str, Any]] = [
    {"expand": "document", "limit": 100},
    {"expand": "section", "diversity": 0.5, "offset": 1},
    {"sources": ("secret", "theirs", "shared", "alba")},
    {"filter": {"none_of": [{"field": "source", "op": "eq", "value": "nothing"}]}},
    {"filter": {"any_of": [
        {"field": "source", "op": "in", "value": ["secret", "theirs", "shared"]},
        {"field": "position", "op": "gte", "value": 0},
    ]}},
    {"filter": {"field": "source", "op": "prefix", "value": "s"}},
    {"rerank": "model", "per_document": 1, "half_life_days": 10, "limit": 100},
]  # fmt: skip


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: "-".join(*each.items()))
@pytest.mark.parametrize("scripted", [True, False])
async def test_nothing_hidden_is_shown(
    library: Library, request_: dict[str, Any], scripted: bool
) -> None:
    """Of another label, another tenant, or another tenant's document of the same source."""
    mark = "OCHRE"
    await library.add("secret", *(f"{mark} MAUVE Alba {n}" for n in range(3)), labels=("legal",))
    await library.add("theirs", f"{mark} MAUVE Alba Norden", title=mark, tenant="other")
    await library.add("shared", f"{mark} MAUVE", f"more {mark}", tenant="other")
    await library.add("shared", "MAUVE of ours", "and more of ours")
    everything = [
        (each.passage.id, 0.5)
        for _, passages in library.store.documents.values()
        for each in passages
    ]
    shown: list[str] = []

    def asked(said: Callable[[Asked], Any] | Any) -> Any:
        def answer(asked: Asked) -> Any:
            shown.append(asked.messages[-1][1])
            return said

        return answer

    follow = {"enough": "no", "next": "What is MAUVE of secret?"}
    chat = ScriptedModel(
        {
            **{name: asked(said) for name, said in MODELS.items()},
            "follow_up": asked(follow),
            "rank": asked({"order": [1]}),
        }
    )
    search = library.search(
        model=chat if scripted else None, rerankers={"model": ModelReranker(chat)}
    )
    call = Call(Principal(access=("staff",)), graph=lambda _: everything)
    for options in OPTIONS:
        result = await library.find(
            "MAUVE secret of Alba", call=call, search=search, **request_, **options
        )
        assert mark not in result.model_dump_json()
        assert {each.source for each in result.passages}.isdisjoint({"secret", "theirs"})
    assert set(library.store.principals) == {call.principal}
    assert not any(mark in prompt for prompt in shown)
    assert bool(shown)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_nothing_deleted_is_found(library: Library, strategy: str) -> None:
    everything = [(f"{source}#0", 0.5) for _, source in library.store.documents]
    call = Call(graph=lambda _: everything)
    await library.store.delete(Principal(), ["alba"])
    result = await library.find(QUESTION, strategy=strategy, call=call, limit=100)
    assert set(sources(result)) == {
        source for _, source in library.store.documents
    } - {"alba"}  # fmt: skip
    await library.store.delete(Principal(), sources(result))
    assert (await library.find(QUESTION, strategy=strategy, call=call)).passages == ()
