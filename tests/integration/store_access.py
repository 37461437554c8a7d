"""Who sees what, and what a filter leaves: the part of the port's promise that nobody gets around.

Inherited by every adapter's tests, through `PassageStoreContract`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from motet.messages import ANYBODY, AllOf, AnyOf, Condition, Filter, NoneOf, Passage, Principal
from motet_retriever.stores.port import (
    Branch,
    Found,
    HiddenError,
    IndexedPassage,
    Level,
    PassageStore,
    Query,
    owner,
)
from tests.integration.store_filters import described, filters, holds
from tests.integration.stored_documents import unit, version

__all__ = ["AccessContract", "FilterContract"]

RED = Principal(tenant="one", access=("red",))
BOTH = Principal(tenant="one", access=("blue", "red"))
NONE = Principal(tenant="one")
OTHER = Principal(tenant="two", access=("red", "blue"))
PRINCIPALS = (RED, BOTH, NONE, OTHER)


def passages(found: Mapping[Branch, Sequence[Found]]) -> dict[Branch, set[str]]:
    return {branch: {each.passage.text for each in hits} for branch, hits in found.items()}


async def seen(store: PassageStore, principal: Principal, **options: Any) -> set[str]:
    """Texts that a search finds; both branches agree."""
    query = Query(1000, principal, vector=unit(0), words="word", **options)
    found = passages(await store.search(query))
    assert found["dense"] == found["sparse"]
    return found["dense"]


async def pages(store: PassageStore, principal: Principal) -> list[str]:
    """Sources of all documents, page by page."""
    sources: list[str] = []
    after: str | None = None
    while True:
        documents, after = await store.page(principal, 2, after)
        sources += [document.source for document in documents]
        if after is None:
            return sources


class AccessContract(ABC):
    """Nobody sees, counts, replaces or removes what is not theirs to see."""

    @abstractmethod
    async def open(self, path: Path) -> PassageStore: ...

    @pytest.fixture
    async def shared(self, store: PassageStore) -> PassageStore:
        """The same sources in two tenants, and labels."""
        await store.put(*version("open", ["word of one"], by=NONE))
        await store.put(*version("open", ["word of two"], by=OTHER))
        await store.put(
            *version("red", ["word in red", "word in red too"], by=RED, labels=("red",))
        )
        await store.put(*version("any", ["word in any"], by=BOTH, labels=("blue", "green")))
        await store.put(*version("green", ["word in green"], by=NONE, labels=("green",)))
        return store

    async def test_a_principal_sees_its_tenant_and_one_label_suffices(
        self, shared: PassageStore
    ) -> None:
        red = {"word in red", "word in red too"}
        assert await seen(shared, NONE) == {"word of one"}
        assert await seen(shared, RED) == {"word of one", *red}
        assert await seen(shared, BOTH) == {"word of one", "word in any", *red}
        assert await seen(shared, OTHER) == {"word of two"}
        assert await seen(shared, ANYBODY) == set()

    async def test_every_list_is_of_what_is_seen(self, shared: PassageStore) -> None:
        sources = ["open", "red", "any", "green", "nowhere"]
        for principal, expected in (
            (NONE, {"open"}),
            (RED, {"open", "red"}),
            (BOTH, {"open", "red", "any"}),
            (OTHER, {"open"}),
            (ANYBODY, set[str]()),
        ):
            assert set(await shared.find(principal, sources)) == expected
            assert sorted(await pages(shared, principal)) == sorted(expected)
            for source in sources:
                there = await shared.read(principal, source)
                assert bool(there) == (source in expected)
                assert {each.source for each in there} <= {source}

    async def test_pages_are_full_of_what_is_seen(self, store: PassageStore) -> None:
        for number in range(9):
            labels = () if number % 3 == 0 else ("red",)
            await store.put(*version(f"s{number}", ["word"], by=RED, labels=labels))
        documents, after = await store.page(NONE, 3, None)
        assert (len(documents), after) == (3, None)

    async def test_passages_are_got_by_who_sees_them(self, shared: PassageStore) -> None:
        everything = [
            each
            for principal in PRINCIPALS
            for source in ("open", "red", "any")
            for each in await shared.read(principal, source)
        ]
        ids = list({each.id for each in everything})
        for principal in PRINCIPALS:
            got = await shared.get(principal, [*ids, "nothing", ids[0]])
            assert {each.text for each in got.values()} == await seen(shared, principal)
            assert all(key == passage.id for key, passage in got.items())
        assert await shared.get(RED, []) == {}

    async def test_what_is_hidden_is_not_replaced(self, shared: PassageStore) -> None:
        for principal in (NONE, RED):
            for labels in ((), ("green",), ("red",)):
                with pytest.raises(HiddenError):
                    await shared.put(
                        *version("any", ["word mine"], "v2", by=principal, labels=labels)
                    )
        assert "word in any" in await seen(shared, BOTH)
        assert await seen(shared, NONE) == {"word of one"}

    async def test_what_is_hidden_is_not_deleted(self, shared: PassageStore) -> None:
        assert await shared.delete(NONE, ["any", "red", "green"]) == {}
        assert await shared.delete(ANYBODY, ["open"]) == {}
        assert await shared.delete(OTHER, ["open", "red"]) == {"open": 1}
        assert len(await seen(shared, BOTH)) == 4

    async def test_labels_change_with_the_document(self, shared: PassageStore) -> None:
        await shared.put(*version("red", ["word now blue"], "v2", by=RED, labels=("blue",)))
        assert await seen(shared, RED) == {"word of one"}
        assert "word now blue" in await seen(shared, BOTH)
        with pytest.raises(HiddenError):
            await shared.put(*version("red", ["word"], "v3", by=RED))
        # The same version with other labels: who sees it is still what was said last.
        await shared.put(*version("red", ["word now blue"], "v2", by=BOTH))
        assert "word now blue" in await seen(shared, NONE)

    async def test_named_sources_are_those_of_the_tenant(self, shared: PassageStore) -> None:
        sources = ("open", "red", "any")
        assert await seen(shared, NONE, sources=sources) == {"word of one"}
        assert await seen(shared, OTHER, sources=sources) == {"word of two"}

    async def test_who_is_beside_is_searched_too_and_nothing_else(
        self, shared: PassageStore
    ) -> None:
        task = owner("one/task")
        await shared.put(*version("open", ["word of a task"], by=task))
        await shared.put(*version("open", ["word of another"], by=owner("one/other")))
        await shared.put(*version("open", ["word of theirs"], by=owner("two/task")))
        assert await seen(shared, NONE) == {"word of one"}
        assert await seen(shared, task) == {"word of a task"}
        assert await seen(shared, NONE, beside=task) == {"word of one", "word of a task"}
        assert await seen(shared, NONE, beside=task, exact=True) == {
            "word of one",
            "word of a task",
        }
        assert await seen(shared, NONE, beside=task, sources=("red",)) == set()
        both = {"word of one", "word of a task"}
        assert await seen(shared, NONE, beside=task, sources=("open", "red")) == both
        named = Condition(field="source", op="eq", value="open")
        assert await seen(shared, NONE, beside=task, where=named) == both
        assert [each.text for each in await shared.read(task, "open")] == ["word of a task"]
        assert await pages(shared, task) == ["open"]
        assert await pages(shared, NONE) == ["open"]
        assert await shared.delete(task, ["open"]) == {"open": 1}
        assert await seen(shared, NONE, beside=task) == {"word of one"}
        assert await seen(shared, owner("one/other")) == {"word of another"}

    async def test_what_a_task_has_is_exported_as_its_own(self, store: PassageStore) -> None:
        await store.put(*version("a", ["word"], by=owner("one/task")))
        (stored,), _ = await store.export(10, None)
        assert stored.tenant == "one/task"
        assert set(await store.find(stored.owner, ["a"])) == {"a"}

    @pytest.mark.parametrize("level", get_args(Level))
    @pytest.mark.parametrize("exact", [False, True])
    async def test_no_filter_shows_what_is_hidden(
        self, shared: PassageStore, level: Level, exact: bool
    ) -> None:
        """Conditions that hold for what is hidden, and opposites of those that do not."""
        secret = Condition(field="source", op="in", value=("red", "any", "green"))
        absent = Condition(field="fields.none", op="missing")
        never = Condition(field="source", op="eq", value="nothing")
        tricks: list[Filter] = [
            secret,
            absent,
            NoneOf(none_of=(never,)),
            NoneOf(none_of=(NoneOf(none_of=(secret,)),)),
            AnyOf(any_of=(secret, absent)),
            AllOf(all_of=(AnyOf(any_of=(secret, NoneOf(none_of=(secret,)))),)),
            Condition(field="source", op="ne", value="open"),
            Condition(field="source", op="prefix", value="r"),
            Condition(field="fields.to", op="not_in", value=("passage one red",)),
        ]
        for where in tricks:
            for principal in (NONE, ANYBODY, OTHER):
                mine = {"word of one"} if principal is NONE else {"word of two"}
                found = await seen(shared, principal, where=where, level=level, exact=exact)
                assert found <= (mine if principal is not ANYBODY else set())
                for source in ("red", "any", "green"):
                    assert await shared.read(principal, source, where=where) == []

    async def test_levels_are_apart(self, store: PassageStore) -> None:
        by, document, parts = version("a", ["word one", "word two"], by=RED, labels=("red",))
        whole = IndexedPassage(
            Passage(
                id="6a3b4b0e-7f3b-4d9f-8a54-0d2f4f0c9d11",
                source="a",
                title="Title of a",
                text="word whole",
                position=2,
                start=0,
                end=20,
            ),
            "word whole",
            unit(0),
            ("section", "document"),
        )
        await store.put(by, document, [*parts, whole])
        alone = IndexedPassage(
            version("b", ["word b"])[2][0].passage, "word b", unit(0), get_args(Level)
        )
        await store.put(*version("b", [], by=RED)[:2], [alone])
        assert await seen(store, RED) == {"word one", "word two", "word b"}
        assert await seen(store, RED, level="section") == {"word whole", "word b"}
        assert await seen(store, RED, level="document") == {"word whole", "word b"}
        assert await seen(store, NONE, level="document") == {"word b"}
        assert [each.text for each in await store.read(RED, "a")] == ["word one", "word two"]
        assert set(await store.get(RED, [whole.passage.id])) == {whole.passage.id}
        assert await store.get(NONE, [whole.passage.id]) == {}
        assert await store.delete(RED, ["a"]) == {"a": 2}
        assert await seen(store, RED, level="section") == {"word b"}

    async def test_read_in_order_of_position(self, store: PassageStore) -> None:
        words = [f"word {number}" for number in range(40)]
        by, document, parts = version("a", words)
        await store.put(by, document, parts[::-1])
        assert [each.text for each in await store.read(ANYBODY, "a")] == words
        assert [each.text for each in await store.read(ANYBODY, "a", limit=3)] == words[:3]
        later = Condition(field="position", op="gte", value=38)
        assert [each.text for each in await store.read(ANYBODY, "a", where=later)] == words[38:]
        assert await store.read(ANYBODY, "b") == []

    async def test_vectors_come_where_asked(self, store: PassageStore) -> None:
        await store.put(*version("a", ["word one", "word two", "word three"]))
        query = Query(9, ANYBODY, vector=unit(0), words="word", vectors=True)
        for hits in (await store.search(query)).values():
            assert len(hits) == 3
            for each in hits:
                assert each.vector is not None
                np.testing.assert_allclose(each.vector, unit(each.passage.position), atol=1e-6)
        found = await store.search(Query(9, ANYBODY, vector=unit(0)))
        assert [each.vector for each in found["dense"]] == [None] * 3

    def test_principals_behave_like_a_dictionary(
        self, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        contract = self

        class Machine(RuleBasedStateMachine):
            """Each principal sees what a dictionary of all tenants' documents has for it."""

            def __init__(self) -> None:
                super().__init__()
                self.runner = asyncio.Runner()
                self.path = tmp_path_factory.mktemp("store")
                self.store = self.runner.run(contract.open(self.path))
                self.model: dict[tuple[str, str], tuple[set[str], list[str]]] = {}
                self.versions = 0

            def visible(self, principal: Principal) -> dict[str, list[str]]:
                return {
                    source: words
                    for (tenant, source), (labels, words) in self.model.items()
                    if tenant == principal.tenant and (not labels or labels & set(principal.access))
                }

            @rule(
                by=st.sampled_from(PRINCIPALS),
                source=st.sampled_from("ab"),
                labels=st.sets(st.sampled_from(["red", "blue", "green"]), max_size=2),
                count=st.integers(0, 3),
            )
            def put(self, by: Principal, source: str, labels: set[str], count: int) -> None:
                self.versions += 1
                words = [f"word {self.versions} at{n}" for n in range(count)]
                name = f"v{self.versions % 2}"
                document = version(source, words, name, by=by, labels=tuple(sorted(labels)))
                hidden = (by.tenant, source) in self.model and source not in self.visible(by)
                if hidden:
                    with pytest.raises(HiddenError):
                        self.runner.run(self.store.put(*document))
                else:
                    self.runner.run(self.store.put(*document))
                    self.model[by.tenant, source] = (labels, words)

            @rule(
                by=st.sampled_from(PRINCIPALS),
                sources=st.lists(st.sampled_from("abc"), unique=True, max_size=3),
            )
            def delete(self, by: Principal, sources: list[str]) -> None:
                there = self.visible(by)
                expected = {each: len(there[each]) for each in sources if each in there}
                assert self.runner.run(self.store.delete(by, sources)) == expected
                for source in expected:
                    del self.model[by.tenant, source]

            @rule()
            def reopen(self) -> None:
                self.runner.run(self.store.close())
                self.store = self.runner.run(contract.open(self.path))

            @invariant()
            def each_sees_its_own(self) -> None:
                for principal in PRINCIPALS:
                    there = self.visible(principal)
                    texts = {text for words in there.values() for text in words}
                    assert self.runner.run(seen(self.store, principal)) == texts
                    assert set(self.runner.run(self.store.find(principal, ["a", "b"]))) == set(
                        there
                    )
                    assert sorted(self.runner.run(pages(self.store, principal))) == sorted(there)
                    for source in "ab":
                        found = self.runner.run(self.store.read(principal, source))
                        assert [each.text for each in found] == there.get(source, [])

            def teardown(self) -> None:
                self.runner.run(self.store.close())
                self.runner.close()

        Machine.TestCase.settings = settings(max_examples=6, stateful_step_count=8, deadline=None)
        Machine.TestCase().runTest()


class FilterContract(ABC):
    """A filter holds for what it says, whatever else is stored."""

    @abstractmethod
    async def open(self, path: Path) -> PassageStore: ...

    def test_filters_mean_what_they_say(self, tmp_path: Path) -> None:
        """Every operator, alone and joined, as `holds` has it; of what the principal sees."""
        with asyncio.Runner() as runner:
            store = runner.run(self.open(tmp_path))
            there: list[Passage] = []

            @settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))
            @given(st.lists(described(), min_size=25, max_size=25))
            def fill(fields: list[dict[str, Any]]) -> None:
                if there:
                    return
                for number, each in enumerate(fields):
                    for by, labels in ((RED, ()), (OTHER, ()), (BOTH, ("blue",))):
                        source = f"s{number}{''.join(labels)}"
                        document = version(source, ["word"], by=by, labels=labels, **each)
                        runner.run(store.put(*document))
                        there.extend(each.passage for each in document[2] if by is RED)

            @settings(max_examples=80, deadline=None)
            @given(filters())
            def meets(where: Filter) -> None:
                query = Query(1000, RED, vector=unit(0), words="word", where=where)
                expected = {each.source for each in there if holds(where, each)}
                for hits in runner.run(store.search(query)).values():
                    assert {each.passage.source for each in hits} == expected
                read = runner.run(store.read(RED, "s1", where=where))
                assert {each.source for each in read} == expected & {"s1"}

            fill()
            meets()
            runner.run(store.close())

    async def test_any_number_of_fields_can_be_filtered_by(self, store: PassageStore) -> None:
        """More than a store keeps indexes of."""
        for number in range(5):
            fields = {f"n{number}-{each}": each for each in range(32)}
            await store.put(*version(f"s{number}", ["word"], fields=fields))
        for number in range(5):
            where = Condition(field=f"fields.n{number}-31", op="gt", value=30)
            query = Query(10, ANYBODY, vector=unit(0), words="word", where=where)
            found = await store.search(query)
            for hits in found.values():
                assert {each.passage.source for each in hits} == {f"s{number}"}

    async def test_a_passage_with_fields_comes_back_as_it_was(self, store: PassageStore) -> None:
        fields = {"a": True, "b": (1, "x", 2.5, False), "c": "2026-01-01T00:00:00Z", "d": ()}
        document = version("a", ["word"], fields=fields, page=3, language="en", block="table")
        await store.put(*document)
        (found,) = await store.read(ANYBODY, "a")
        assert found == document[2][0].passage
        assert found.fields["a"] is True
