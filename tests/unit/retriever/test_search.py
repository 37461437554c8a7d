"""Search: what is asked of the store, what is given back page by page, what the trace shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind

from motet.errors import FaultError
from motet.messages import STRATEGIES, FaultType, Passage, Principal, SearchRequest
from motet.telemetry import names
from motet_retriever import search as searching
from motet_retriever.search import Search
from motet_retriever.stores.port import HiddenError
from motet_retriever.strategies import STRATEGIES as DONE
from tests.unit.retriever.library import Call, Library

LEGAL = Principal(access=("legal",))


@pytest.fixture
async def library() -> Any:
    library = Library()
    await library.add(
        "fruit.md",
        "Apples are red.",
        "Apples cost two euros.",
        section=lambda place: ("Fruit", "Price") if place else ("Fruit",),
    )
    await library.add("stone.md", "Granite is hard and grey.")
    await library.add("tree.md", "Oaks grow old.", language="en")
    await library.add("secret.md", "Apples are poisoned.", labels=("legal",))
    await library.add("theirs.md", "Apples of another tenant.", tenant="other")
    yield library
    await library.telemetry.shutdown()


def sources(passages: Any) -> list[str]:
    return [each.source for each in passages]


async def test_hybrid(library: Library) -> None:
    result = await library.find("the price of apples in euros", limit=2)
    first, second = result.passages
    assert (first.source, first.section) == ("fruit.md", ("Fruit", "Price"))
    assert {(each.branch, each.rank) for each in first.branches} == {("dense", 1), ("sparse", 1)}
    assert first.reason == "1st by meaning, 1st by words"
    assert first.score == 1.0
    assert second.score < 1.0
    assert (result.strategy, result.queries, result.more) == ("hybrid", (), True)


async def test_one_branch(library: Library) -> None:
    for mode, strategy, others in (
        ("dense", "basic", {"stone.md", "tree.md"}),
        ("sparse", None, set[str]()),
    ):
        result = await library.find("apples", mode=mode, limit=10)
        assert result.strategy == strategy
        assert {each.branch for hit in result.passages for each in hit.branches} == {mode}
        assert set(sources(result.passages)) == {"fruit.md"} | others


def test_every_strategy_is_done() -> None:
    assert tuple(DONE) == STRATEGIES


async def test_the_default_strategy(library: Library) -> None:
    search = library.search(strategy="basic")
    assert (await library.find("apples", search=search)).strategy == "basic"
    assert (await library.find("apples", search=search, mode="hybrid")).strategy == "hybrid"
    assert (await library.find("apples", search=search, strategy="hyde")).strategy == "hyde"


async def test_sources_filter_and_limit(library: Library) -> None:
    within = ("stone.md", "tree.md")
    assert set(sources((await library.find("apples", sources=within)).passages)) == set(within)
    english = {"field": "language", "op": "eq", "value": "en"}
    assert sources((await library.find("apples", filter=english)).passages) == ["tree.md"]
    assert len((await library.find("apples", limit=1)).passages) == 1


async def test_stop_words_alone(library: Library) -> None:
    assert (await library.find("zzz", mode="sparse")).passages == ()
    assert (await library.find("zzz")).passages


async def test_the_store_is_asked_for_the_calls_principal(library: Library) -> None:
    seen = await library.find("apples", call=Call(LEGAL), limit=10)
    assert "secret.md" in sources(seen.passages)
    assert "secret.md" not in sources((await library.find("apples", limit=10)).passages)
    theirs = await library.find("apples", call=Call(Principal(tenant="other")))
    assert sources(theirs.passages) == ["theirs.md"]


async def test_hidden_is_not_replaced(library: Library) -> None:
    with pytest.raises(HiddenError):
        await library.add("secret.md", "Mine now.")


async def test_weights_and_fusion_of_a_request(library: Library) -> None:
    words = await library.find("apples grey", weights={"dense": 0, "sparse": 2})
    assert {each.branch for hit in words.passages for each in hit.branches} == {"sparse"}
    scaled = await library.find("apples cost", fusion="dbsf")
    assert scaled.passages[0].score not in (0.0, 1.0)


async def test_the_limit_of_a_document(library: Library) -> None:
    one = await library.find("apples cost euros", per_document=1, limit=10)
    assert sorted(sources(one.passages)) == ["fruit.md", "stone.md", "tree.md"]


async def test_age(library: Library) -> None:
    now = datetime.now(UTC)
    for days in (0, 400):
        await library.add(f"news{days}", "Pears are cheap.", time=now - timedelta(days=days))
    result = await library.find("pears are cheap", half_life_days=30, limit=2)
    assert sources(result.passages)[0] == "news0"
    assert result.passages[0].reason.endswith("; 0 days old")
    asked = await library.find("pears are cheap", half_life_days=30, limit=10)
    (old,) = (each for each in asked.passages if each.source == "news400")
    assert old.score < 0.001
    assert old.reason.endswith("; 400 days old")


async def test_diversity(library: Library) -> None:
    for number in range(3):
        await library.add(f"copy{number}", "Quinces smell sweet.")
    await library.add("quince", "Quinces ripen in October, and jam is made of them.")
    same = sources((await library.find("quinces smell sweet", limit=3)).passages)
    other = sources((await library.find("quinces smell sweet", limit=3, diversity=0.7)).passages)
    assert set(same) == {"copy0", "copy1", "copy2"}
    assert other[1] == "quince"


async def test_context(library: Library) -> None:
    found = await library.find("apples cost", limit=1, expand="document")
    assert found.passages[0].context == "Apples are red.\n\nApples cost two euros."
    section = await library.find("apples cost", limit=1, expand="section")
    assert section.passages[0].context == "Apples cost two euros."
    short = library.search(expand_characters=10)
    cut = await library.find("apples cost", limit=1, expand="document", search=short)
    assert cut.passages[0].context == "Apples cos"
    assert (await library.find("apples cost", limit=1)).passages[0].context == ""


class Shelf(Library):
    """Many documents, of one passage or of three, some of whose texts are the same."""

    async def fill(self, count: int) -> Shelf:
        for number in range(count):
            kind = ("apple pie", "apple cake", "pear tart")[number % 3]
            texts = [f"{kind} {number % 7}", f"{kind} {number}", "cream"][: 1 + 2 * (number % 2)]
            await self.add(
                f"d{number:03}", *texts, time=datetime(2025, 1 + number % 12, 1, tzinfo=UTC)
            )
        return self


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "diversity": st.sampled_from([0.3, 1.0]),
        "per_document": st.integers(1, 2),
        "half_life_days": st.just(100.0),
        "fusion": st.sampled_from(["rrf", "dbsf"]),
    },
)
HOW = st.sampled_from(
    [
        {"strategy": "basic"}, {"strategy": "hybrid"}, {"mode": "sparse"}, {"strategy": "hyde"},
        {"strategy": "multi_query"}, {"strategy": "hierarchical"}, {"strategy": "multi_hop"},
    ]
)  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(HOW, OPTIONS, st.integers(1, 9), st.integers(2, 12))
async def test_pages_have_no_gaps_and_no_repeats(
    how: dict[str, Any], options: dict[str, Any], limit: int, candidates: int
) -> None:
    """Whatever the page's size, and however few candidates the branches propose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "DEPTHS", (14, 1000))
        await _pages(how, options, limit, candidates)


async def _pages(how: dict[str, Any], options: dict[str, Any], limit: int, candidates: int) -> None:
    shelf = await Shelf().fill(16)
    search = shelf.search(candidates=candidates)
    request = {**how, **options}
    whole = await shelf.find("apple pie", search=search, limit=100, **request)
    assert not whole.more
    paged: list[Passage] = []
    while True:
        page = await shelf.find(
            "apple pie", search=search, limit=limit, offset=len(paged), **request
        )
        paged += page.passages
        if not page.more:
            break
        assert len(page.passages) == limit
    assert [each.id for each in paged] == [each.id for each in whole.passages]
    assert len({each.id for each in paged}) == len(paged)
    if "diversity" not in options:
        scores = [each.score for each in paged]
        assert scores == sorted(scores, reverse=True)
    if how.get("mode") != "sparse":
        everything = {
            each.passage.id
            for _, passages in shelf.store.documents.values()
            for each in passages
            if "passage" in each.levels
        }
        cap = options.get("per_document", 3)
        assert len(paged) == sum(
            min(cap, sum(key.startswith(f"{source}#") for key in everything))
            for _, source in shelf.store.documents
        )
    await shelf.telemetry.shutdown()


async def test_a_page_past_the_end(library: Library) -> None:
    past = await library.find("apples", offset=100)
    assert (past.passages, past.more) == ((), False)


async def test_a_small_page_asks_the_store_once(library: Library) -> None:
    await library.find("apples", limit=10)
    assert [query.limit for query in library.store.asked] == [10]


class Reversing:
    """A reranker that prefers what stood last."""

    name = "test:reversing"

    def __init__(self, fault: FaultError | None = None) -> None:
        self.fault = fault
        self.read: list[list[str]] = []

    async def scores(self, question: str, texts: list[str]) -> list[float]:
        if self.fault is not None:
            raise self.fault
        self.read.append(texts)
        return [place / len(texts) for place in range(len(texts))]

    async def close(self) -> None: ...


def with_reranker(library: Library, reranker: Reversing, **options: Any) -> Search:
    return library.search(rerankers={"api": reranker}, usual="api", **options)


async def test_the_best_are_re_read(library: Library) -> None:
    before = await library.find("apples cost", limit=4)
    reranker = Reversing()
    search = with_reranker(library, reranker, rerank_candidates=3)
    after = await library.find("apples cost", limit=4, search=search)
    ids = [each.id for each in before.passages]
    assert [each.id for each in after.passages] == [*reversed(ids[:3]), *ids[3:]]
    assert reranker.read[0][0].startswith("fruit.md > Fruit > Price\nApples cost")
    first = after.passages[0]
    assert (first.branches[-1].branch, first.branches[-1].rank) == ("rerank", 1)
    assert first.reason.endswith("; 1st after re-reading")
    scores = [each.score for each in after.passages]
    assert scores == sorted(scores, reverse=True)
    page = await library.find("apples cost", limit=2, offset=1, search=search)
    assert [each.id for each in page.passages] == [each.id for each in after.passages[1:3]]


async def test_without_re_reading(library: Library) -> None:
    reranker = Reversing()
    search = with_reranker(library, reranker)
    await library.find("apples", search=search, rerank="none")
    await library.find("apples", search=search, strategy="multi_hop")
    assert reranker.read == []
    await library.find("apples", search=search, strategy="multi_hop", rerank="api")
    assert len(reranker.read) == 1


async def test_a_reranker_that_fails_leaves_the_order(library: Library) -> None:
    fault = FaultError.of(FaultType.MODEL_FAILED, "no answer")
    search = with_reranker(library, Reversing(fault))
    before = await library.find("apples cost")
    after = await library.find("apples cost", search=search)
    assert after.passages == before.passages
    assert library.spans()["retrieval hybrid"][names.NOTES] == ["not re-read: no answer"]
    with pytest.raises(FaultError, match="no answer"):
        await library.find("apples cost", search=search, rerank="api")


async def test_a_reranker_that_is_not_there(library: Library) -> None:
    for kind, said in (("cross_encoder", "RERANKER=local"), ("model", "MODEL"), ("api", "URL")):
        with pytest.raises(FaultError, match=said) as raised:
            await library.find("apples", rerank=kind)
        assert raised.value.fault.type == "invalid_input"


async def test_the_spans(library: Library) -> None:
    await library.find("apples", limit=3)
    inner, outer = library.exporter.get_finished_spans()
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    assert {inner.kind, outer.kind} == {SpanKind.CLIENT}
    spans = library.spans()
    assert spans["retrieval hybrid"] == {
        names.GEN_AI_OPERATION: "retrieval",
        names.GEN_AI_DATA_SOURCE: "documents",
        names.GEN_AI_RETRIEVAL_TOP_K: 3,
        names.PASSAGES: 3,
        names.BRANCH: ["dense", "sparse"],
    }
    assert spans["retrieval documents"] == {
        names.GEN_AI_OPERATION: "retrieval",
        names.GEN_AI_DATA_SOURCE: "documents",
        names.GEN_AI_RETRIEVAL_TOP_K: 10,
        names.GEN_AI_REQUEST_MODEL: "fake:letters",
        names.PASSAGES: 4,
        names.BRANCH: ["dense", "sparse"],
    }


async def test_contents_are_recorded_when_asked_for(library: Library) -> None:
    await library.find("apples", mode="sparse", search=library.search(record_content=True))
    spans = library.spans()
    for name in ("retrieval sparse", "retrieval documents"):
        assert spans[name][names.GEN_AI_RETRIEVAL_QUERY] == "apples"
        assert names.GEN_AI_REQUEST_MODEL not in spans[name]


async def test_a_fault_marks_the_span(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(texts: list[str]) -> None:
        raise FaultError.of(FaultType.MODEL_FAILED, "no model")

    monkeypatch.setattr(library.embedder, "embed_queries", fail)
    with pytest.raises(FaultError):
        await library.find("apples")
    assert library.spans()["retrieval hybrid"][names.ERROR_TYPE] == "model_failed"


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_call_that_is_over_ends(library: Library, strategy: str) -> None:
    call = Call(graph=lambda _: [])
    call.stop = FaultError.of(FaultType.CANCELLED, "over")
    with pytest.raises(FaultError, match="over"):
        await library.find("apples", call=call, strategy=strategy)
    assert library.store.asked == []


def test_offset_and_limit_stay_within_what_is_reached() -> None:
    last = SearchRequest(query="x", offset=900, limit=100)
    assert last.offset + last.limit == 1000
