"""Passage stores keep what the port promises, whichever engine is behind them.

`PassageStoreContract` says what; each adapter inherits it and adds what is its own.
"""

from __future__ import annotations

import asyncio
import math
import signal
from abc import abstractmethod
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from motet.errors import SetupError
from motet.messages import ANYBODY, Condition, DocumentFailure, Principal, now
from motet_retriever.stores import edge_search
from motet_retriever.stores.bm25 import MEAN
from motet_retriever.stores.port import (
    Branch,
    HiddenError,
    IndexedPassage,
    PassageStore,
    Query,
    StoredDocument,
)
from motet_retriever.stores.qdrant_edge import QdrantEdgeStore
from tests.integration.store_access import AccessContract, FilterContract
from tests.integration.stored_documents import (
    DIMENSION,
    open_edge,
    open_or_fail,
    put_and_die,
    replace_and_die,
    run_in_process,
    unit,
    version,
)


async def texts(store: PassageStore, words: str, sources: tuple[str, ...] = ()) -> set[str]:
    """Texts of the passages that have one of `words`."""
    found = await store.search(Query(1000, ANYBODY, words=words, sources=sources))
    return {each.passage.text for each in found["sparse"]}


async def everything(store: PassageStore) -> dict[str, set[str]]:
    """Texts of all passages by source, as the dense branch sees them."""
    found = await store.search(Query(10_000, ANYBODY, vector=unit(0)))
    by_source: dict[str, set[str]] = {}
    for each in found["dense"]:
        by_source.setdefault(each.passage.source, set()).add(each.passage.text)
    return by_source


async def exported(store: PassageStore, at_once: int = 1) -> dict[tuple[str, str], StoredDocument]:
    """All that a store exports, by tenant and source; nothing comes twice."""
    documents: list[StoredDocument] = []
    after: str | None = None
    while True:
        some, after = await store.export(at_once, after)
        assert len(some) <= at_once
        documents += some
        if after is None:
            break
    by_name = {(each.tenant, each.document.source): each for each in documents}
    assert len(by_name) == len(documents)
    return by_name


def same(one: StoredDocument, principal: Principal, document: Any, passages: Any) -> None:
    """What was exported is what was put."""
    assert (one.tenant, one.document) == (principal.tenant, document)
    assert len(one.passages) == len(passages)
    wanted = {each.passage.id: each for each in passages}
    for each in one.passages:
        put = wanted[each.passage.id]
        assert (each.passage, each.words, each.levels) == (put.passage, put.words, put.levels)
        np.testing.assert_allclose(each.vector, put.vector, atol=1e-6)


class PassageStoreContract(AccessContract, FilterContract):
    """What the port promises."""

    @abstractmethod
    async def open(self, path: Path) -> PassageStore:
        """The store in `path`, made if need be."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[PassageStore]:
        async with await self.open(tmp_path) as store:
            yield store

    async def test_an_empty_store_finds_nothing(self, store: PassageStore) -> None:
        assert await store.search(Query(5, ANYBODY, vector=unit(0), words="apple")) == {
            "dense": [],
            "sparse": [],
        }
        assert await store.find(ANYBODY, ["a"]) == {}
        assert await store.page(ANYBODY, 10, None) == ([], None)
        assert await store.delete(ANYBODY, ["a"]) == {}

    async def test_a_passage_comes_back_as_it_was(self, store: PassageStore) -> None:
        by, document, passages = version("a", ["red apple", "green pear"])
        await store.put(by, document, passages)
        found = await store.search(Query(1, ANYBODY, vector=unit(1), words="apples"))
        (dense,) = found["dense"]
        (sparse,) = found["sparse"]
        assert (dense.passage, sparse.passage) == (passages[1].passage, passages[0].passage)
        assert (dense.id, sparse.id) == (dense.passage.id, sparse.passage.id)
        assert dense.score == pytest.approx(1)
        assert sparse.score > 0
        assert await store.find(ANYBODY, ["a", "b"]) == {"a": document}
        assert await store.page(ANYBODY, 10, None) == ([document], None)

    async def test_only_the_branches_that_are_asked(self, store: PassageStore) -> None:
        await store.put(*version("a", ["red apple"]))
        asked: dict[Branch, Query] = {
            "dense": Query(5, ANYBODY, vector=unit(0)),
            "sparse": Query(5, ANYBODY, words="apple"),
        }
        for branch, query in asked.items():
            assert {key: len(found) for key, found in (await store.search(query)).items()} == {
                branch: 1
            }

    async def test_best_first_and_not_more_than_asked(self, store: PassageStore) -> None:
        await store.put(*version("a", ["apple", "apple pear", "apple pear fig", "fig"]))
        vector = (unit(2) * 0.8 + unit(1) * 0.6).astype(np.float32)
        query = Query(3, ANYBODY, vector=vector, words="apple pear fig")
        found = await store.search(query)
        assert [each.passage.position for each in found["dense"][:2]] == [2, 1]
        assert found["sparse"][0].passage.position == 2
        for branch in found.values():
            scores = [each.score for each in branch]
            assert len(scores) == 3
            assert scores == sorted(scores, reverse=True)

    async def test_words_match_by_stem_and_without_case(self, store: PassageStore) -> None:
        await store.put(*version("a", ["The Runner was RUNNING", "a walk"]))
        assert await texts(store, "runs") == {"The Runner was RUNNING"}
        assert await texts(store, "the was a") == set()
        assert await texts(store, "!?") == set()

    async def test_rare_words_weigh_more(self, store: PassageStore) -> None:
        await store.put(*version("a", ["common rare", *["common other"] * 20]))
        found = await store.search(Query(1, ANYBODY, words="common rare"))
        assert found["sparse"][0].passage.text == "common rare"

    async def test_within_sources(self, store: PassageStore) -> None:
        for source in ("a", "b", "c"):
            await store.put(*version(source, [f"apple {source}"]))
        assert await texts(store, "apple", ("a", "c", "nowhere")) == {"apple a", "apple c"}
        found = await store.search(Query(9, ANYBODY, vector=unit(0), sources=("b",)))
        assert [each.passage.source for each in found["dense"]] == ["b"]

    async def test_the_newest_come_first(self, store: PassageStore) -> None:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        for day, (source, kind) in enumerate(zip("abcd", "xyxx", strict=True)):
            described = {"time": moment + timedelta(days=day), "fields": {"kind": kind}}
            await store.put(*version(source, [f"apple {source}"], **described))
        await store.put(*version("d", ["pear d"], "v2", time=moment, fields={"kind": "x"}))
        await store.put(*version("e", ["without a time"]))
        hidden = version(
            "f", ["fig"], labels=("staff",), time=moment, by=Principal(access=("staff",))
        )
        await store.put(*hidden)
        newest = await store.newest(ANYBODY, None, 10)
        assert [each.text for each in newest[:2]] == ["apple c", "apple b"]
        assert {each.text for each in newest[2:]} == {"apple a", "pear d"}
        where = Condition(field="fields.kind", op="eq", value="x")
        assert [each.source for each in await store.newest(ANYBODY, where, 1)] == ["c"]

    async def test_put_replaces_all_of_a_document(self, store: PassageStore) -> None:
        await store.put(*version("a", ["old one", "old two", "old three"]))
        await store.put(*version("b", ["other"]))
        by, new, passages = version("a", ["new one"], "v2")
        await store.put(by, new, passages)
        assert await everything(store) == {"a": {"new one"}, "b": {"other"}}
        assert await texts(store, "old") == set()
        assert (await store.find(ANYBODY, ["a"]))["a"] == new

    async def test_put_again(self, store: PassageStore) -> None:
        for _ in range(2):
            await store.put(*version("a", ["one", "two"]))
        assert await everything(store) == {"a": {"one", "two"}}

    async def test_a_document_without_passages(self, store: PassageStore) -> None:
        await store.put(*version("a", ["one"]))
        await store.put(*version("a", [], "v2"))
        assert await everything(store) == {}
        assert (await store.find(ANYBODY, ["a"]))["a"].passages == 0

    async def test_a_failure_is_kept_beside_the_version_that_is_there(
        self, store: PassageStore
    ) -> None:
        failure = DocumentFailure(reason="It is broken.", at=now())
        by, there, passages = version("a", ["one", "two"])
        await store.put(by, there, passages)
        _, other, _ = version("a", [], "v2", labels=("staff",))
        await store.fail(by, other.model_copy(update={"failure": failure}))
        assert await store.find(ANYBODY, ["a"]) == {
            "a": there.model_copy(update={"failure": failure})
        }
        assert await everything(store) == {"a": {"one", "two"}}
        await store.put(by, there, passages)
        assert await store.find(ANYBODY, ["a"]) == {"a": there}

    async def test_a_failure_alone_is_kept_and_deleted(self, store: PassageStore) -> None:
        failure = DocumentFailure(reason="It is broken.", at=now())
        by, document, _ = version("a", [])
        failed = document.model_copy(update={"failure": failure})
        for _ in range(2):
            await store.fail(by, failed)
            assert await store.page(ANYBODY, 10, None) == ([failed], None)
        assert await everything(store) == {}
        assert await store.delete(by, ["a"]) == {"a": 0}
        assert await store.page(ANYBODY, 10, None) == ([], None)

    async def test_who_does_not_see_a_document_cannot_say_that_it_failed(
        self, store: PassageStore
    ) -> None:
        staff = Principal(access=("staff",))
        by, document, passages = version("a", ["one"], by=staff, labels=("staff",))
        await store.put(by, document, passages)
        with pytest.raises(HiddenError):
            await store.fail(ANYBODY, document)
        assert await store.find(staff, ["a"]) == {"a": document}

    async def test_a_put_that_fails_leaves_the_version_before(self, store: PassageStore) -> None:
        await store.put(*version("a", ["old one", "old two"]))
        for source in ("a", "b"):
            by, document, passages = version(source, ["new"] * 300, "v2")
            broken = IndexedPassage(passages[-1].passage, "new", np.ones(3, np.float32))
            with pytest.raises(Exception, match="dim"):
                await store.put(by, document, [*passages[:-1], broken])
        assert await everything(store) == {"a": {"old one", "old two"}}
        assert await texts(store, "new") == set()
        assert set(await store.find(ANYBODY, ["a", "b"])) == {"a"}

    async def test_delete(self, store: PassageStore) -> None:
        for source in ("a", "b", "c"):
            await store.put(*version(source, [f"apple {source}", "pear"]))
        assert await store.delete(ANYBODY, ["a", "c", "nowhere"]) == {"a": 2, "c": 2}
        assert await everything(store) == {"b": {"apple b", "pear"}}
        assert await texts(store, "apple") == {"apple b"}
        assert [each.source for each in (await store.page(ANYBODY, 9, None))[0]] == ["b"]
        assert await store.delete(ANYBODY, ["a"]) == {}

    async def test_pages(self, store: PassageStore) -> None:
        names = {f"source {number}" for number in range(7)}
        for name in names:
            await store.put(*version(name, ["one"]))
        seen: list[str] = []
        after: str | None = None
        while True:
            documents, after = await store.page(ANYBODY, 3, after)
            assert len(documents) <= 3
            seen += [document.source for document in documents]
            if after is None:
                break
        assert len(seen) == 7
        assert set(seen) == names

    async def test_a_wrong_cursor(self, store: PassageStore) -> None:
        with pytest.raises(ValueError, match="UUID"):
            await store.page(ANYBODY, 3, "nonsense")

    async def test_export_gives_what_was_put(self, store: PassageStore) -> None:
        """Of all tenants and labels, in the version that counts, in a fixed order."""
        red, other = Principal(access=("red",)), Principal(tenant="other", access=("x", "y"))
        by, document, parts = version("a", ["one", "two", "three"], by=red, labels=("blue", "red"))
        parts = [
            replace(each, words=f"Title > {each.passage.position}\n{each.words}", levels=levels)
            for each, levels in zip(
                parts,
                [("passage",), ("passage", "section"), ("passage", "section", "document")],
                strict=True,
            )
        ]
        parent = parts[0].passage.model_copy(update={"id": str(uuid4()), "text": ""})
        mean = np.full(DIMENSION, DIMENSION**-0.5, np.float32)
        whole = IndexedPassage(parent, "Title\nall of its words", mean, ("document",))
        await store.put(*version("a", ["old"], "v0", by=red))
        put = {
            ("default", "a"): (by, document, [*parts, whole]),
            ("other", "a"): version("a", [f"long {n}" for n in range(600)], by=other),
            ("other", "empty"): version("empty", [], by=other, labels=("x", "y")),
            ("default", "gone"): version("gone", ["word"]),
        }
        for each in put.values():
            await store.put(*each)
        await store.delete(ANYBODY, ["gone"])
        del put["default", "gone"]
        why = DocumentFailure(reason="It is broken.", at=now())
        failed = version("failed", [])[1].model_copy(update={"failure": why})
        await store.fail(ANYBODY, failed)
        put["default", "failed"] = (ANYBODY, failed, [])
        again = version("empty", [], by=other)[1].model_copy(update={"failure": why})
        await store.fail(other, again)
        put["other", "empty"] = (
            other,
            put["other", "empty"][1].model_copy(update={"failure": why}),
            [],
        )
        found = await exported(store)
        assert set(found) == set(put)
        for name, each in put.items():
            same(found[name], *each)
        assert [*await exported(store, 3)] == [*await exported(store, 100)] == [*found]
        listed, _ = await store.export(100, None, passages=False)
        assert listed == [replace(each, passages=[]) for each in found.values()]
        with pytest.raises(ValueError, match="UUID"):
            await store.export(3, "nonsense")

    async def test_what_is_exported_can_be_put(self, store: PassageStore, tmp_path: Path) -> None:
        staff = Principal(access=("staff",))
        await store.put(*version("a", ["red apple", "green pear"], by=staff, labels=("staff",)))
        async with await self.open(tmp_path / "other") as other:
            for each in (await exported(store)).values():
                await other.put(each.owner, each.document, each.passages)
            query = Query(9, staff, vector=unit(1), words="apples")
            one, two = await store.search(query), await other.search(query)
            for branch in ("dense", "sparse"):
                assert [(each.id, each.passage) for each in one[branch]] == [
                    (each.id, each.passage) for each in two[branch]
                ]

    async def test_export_of_what_changes_meanwhile(self, store: PassageStore) -> None:
        """Each document whole and in one version, or not at all."""
        for source in "abc":
            await store.put(*version(source, [f"{source} v0"] * 300, "v0"))

        async def change(source: str) -> None:
            for number in range(1, 6):
                words = [f"{source} v{number}"] * (300 - number)
                await store.put(*version(source, words, f"v{number}"))
            await store.delete(ANYBODY, [source] if source == "b" else [])

        async def look() -> None:
            for _ in range(6):
                for each in (await exported(store, 2)).values():
                    texts = {passage.passage.text for passage in each.passages}
                    assert texts == {f"{each.document.source} {each.document.fingerprint}"}
                    assert len(each.passages) == each.document.passages

        await asyncio.gather(*map(change, "abc"), look())
        assert {source for _, source in await exported(store)} == {"a", "c"}

    async def test_calls_at_once(self, store: PassageStore) -> None:
        async def replace(number: int) -> None:
            await store.put(*version("shared", [f"one {number}", f"two {number}"], f"v{number}"))

        async def look() -> None:
            found = (await everything(store)).get("shared", set())
            assert len({text.split()[1] for text in found}) <= 1
            assert len(found) in (0, 2)

        await asyncio.gather(*(task for number in range(20) for task in (replace(number), look())))

    async def test_a_cancelled_put_is_all_or_nothing(self, store: PassageStore) -> None:
        await store.put(*version("a", ["old"]))
        for number in range(5):
            task = asyncio.create_task(
                store.put(*version("a", [f"new {number}"] * 300, f"v{number}"))
            )
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            (found,) = (await everything(store)).values()
            assert len(found) == 1

    async def test_what_was_put_is_there_after_opening_again(self, tmp_path: Path) -> None:
        async with await self.open(tmp_path) as store:
            await store.put(*version("a", ["apple", "pear"]))
            await store.put(*version("b", ["fig"]))
            await store.delete(ANYBODY, ["b"])
            await store.flush()
        async with await self.open(tmp_path) as store:
            assert await everything(store) == {"a": {"apple", "pear"}}
            assert set(await store.find(ANYBODY, ["a", "b"])) == {"a"}

    async def test_close_twice(self, tmp_path: Path) -> None:
        store = await self.open(tmp_path)
        await store.close()
        await store.close()

    def test_it_behaves_like_a_dictionary(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        contract = self

        class Machine(RuleBasedStateMachine):
            """Every search sees what a dictionary of the same documents has."""

            def __init__(self) -> None:
                super().__init__()
                self.runner = asyncio.Runner()
                self.path = tmp_path_factory.mktemp("store")
                self.store = self.runner.run(contract.open(self.path))
                self.model: dict[str, set[str]] = {}
                self.versions = 0

            @rule(source=st.sampled_from("abc"), count=st.integers(0, 4))
            def put(self, source: str, count: int) -> None:
                self.versions += 1
                words = [f"word{self.versions} of{source} at{n}" for n in range(count)]
                document = version(source, words, f"v{self.versions}")
                self.runner.run(self.store.put(*document))
                self.model[source] = set(words)

            @rule(sources=st.lists(st.sampled_from("abc"), unique=True, max_size=3))
            def delete(self, sources: list[str]) -> None:
                removed = self.runner.run(self.store.delete(ANYBODY, sources))
                expected = {
                    each: len(self.model.pop(each)) for each in sources if each in self.model
                }
                assert removed == expected

            @rule()
            def reopen(self) -> None:
                self.runner.run(self.store.close())
                self.store = self.runner.run(contract.open(self.path))

            @invariant()
            def dense_and_sparse_find_what_the_model_has(self) -> None:
                there = {source: found for source, found in self.model.items() if found}
                assert self.runner.run(everything(self.store)) == there
                for source in "abc":
                    found = self.runner.run(texts(self.store, f"of{source}"))
                    assert found == self.model.get(source, set())
                assert set(self.runner.run(self.store.find(ANYBODY, list("abc")))) == set(
                    self.model
                )

            def teardown(self) -> None:
                self.runner.run(self.store.close())
                self.runner.close()

        Machine.TestCase.settings = settings(max_examples=6, stateful_step_count=10, deadline=None)
        Machine.TestCase().runTest()


class TestQdrantEdge(PassageStoreContract):
    """Qdrant's engine in the process."""

    async def open(self, path: Path) -> PassageStore:
        return await open_edge(path)

    async def test_bm25_is_the_formula(self, store: PassageStore) -> None:
        lengths = [1, 2, 3]  # words that are no stop words
        await store.put(*version("a", ["apple", "apple pear", "apple apple fig", "plum"]))
        found = await store.search(Query(5, ANYBODY, words="apple"))
        k, b, average = 1.2, 0.75, MEAN
        rarity = math.log(1 + (4 - 3 + 0.5) / (3 + 0.5))
        for position, times in enumerate([1, 1, 2]):
            length = 1 - b + b * lengths[position] / average
            expected = rarity * times * (k + 1) / (times + k * length)
            (score,) = (each.score for each in found["sparse"] if each.passage.position == position)
            assert score == pytest.approx(expected, rel=1e-4)

    async def test_one_process_has_the_folder(self, store: PassageStore, tmp_path: Path) -> None:
        assert await run_in_process(open_or_fail, tmp_path) == 3
        with pytest.raises(
            SetupError, match=r"is open in another process.*MOTET_RETRIEVER_STORE_DIR"
        ):
            await self.open(tmp_path)

    async def test_embeddings_of_models_are_not_mixed(self, tmp_path: Path) -> None:
        await (await self.open(tmp_path)).close()
        with pytest.raises(SetupError, match=r"embedding_model 'fake:m'.*'other:m'"):
            await QdrantEdgeStore.open(tmp_path, model="other:m", dimension=DIMENSION)
        with pytest.raises(SetupError, match=r"dimension 8.*9"):
            await QdrantEdgeStore.open(tmp_path, model="fake:m", dimension=9)
        await (await self.open(tmp_path)).close()

    async def test_a_folder_of_an_earlier_version(self, tmp_path: Path) -> None:
        (tmp_path / "store.json").write_text('{"format": 2, "embedding_model": "fake:m"}')
        with pytest.raises(SetupError, match=r"format 2.*Remove the folder"):
            await self.open(tmp_path)

    async def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(SetupError, match="cannot be written"):
            await self.open(tmp_path / "file" / "store")

    async def test_a_folder_that_is_damaged(self, tmp_path: Path) -> None:
        (tmp_path / "store.json").write_text("{")
        with pytest.raises(SetupError, match=r"store\.json is damaged"):
            await self.open(tmp_path)

    async def test_a_folder_that_was_half_made(self, tmp_path: Path) -> None:
        (tmp_path / "shard.new" / "segments").mkdir(parents=True)
        async with await self.open(tmp_path) as store:
            await store.put(*version("a", ["apple"]))
            assert await texts(store, "apple") == {"apple"}

    async def test_what_put_returned_survives_kill(self, tmp_path: Path) -> None:
        assert await run_in_process(put_and_die, tmp_path) == -signal.SIGKILL
        async with await self.open(tmp_path) as store:
            assert await everything(store) == {"a": {"apple"}, "b": {"plum"}}
            found = await store.search(Query(1000, ANYBODY, words="apple"))
            assert len(found["sparse"]) == 300

    @pytest.mark.parametrize("step", range(8))
    async def test_killed_within_a_put(self, tmp_path: Path, step: int) -> None:
        """Killed before the operation `step` of a replacement: either version, never both."""
        async with await self.open(tmp_path) as store:
            await store.put(*version("a", ["old one", "old two"]))
        assert await run_in_process(replace_and_die, tmp_path, step) == -signal.SIGKILL
        async with await self.open(tmp_path) as store:
            seen = await everything(store)
            known = await store.find(ANYBODY, ["a", "b"])
            there = {source: each.document for (_, source), each in (await exported(store)).items()}
            assert there == known
            if step <= 3:  # the record says that the old one counts, and two batches of the new
                assert seen == {"a": {"old one", "old two"}}
                assert known["a"].fingerprint == "v1"
            else:
                assert seen == {"a": {"new"}}
                assert known["a"].fingerprint == "v2"
                found = await store.search(Query(1000, ANYBODY, words="new"))
                assert len(found["sparse"]) == 300
            assert "b" not in known
            await store.put(*version("a", ["newest"], "v3"))
            assert await everything(store) == {"a": {"newest"}}

    async def test_room_is_given_back(self, tmp_path: Path) -> None:
        async with await self.open(tmp_path) as store:
            for number in range(8):
                await store.put(*version("a", [f"secret{number} word"] * 300, f"v{number}"))
            await store.delete(ANYBODY, ["a"])
            await store.put(*version("b", ["apple"]))
        async with await self.open(tmp_path) as store:
            assert await everything(store) == {"b": {"apple"}}
        segments = (tmp_path / "shard" / "segments").rglob("*")
        files = [tmp_path / "cache", *(path for path in segments if path.is_file())]
        assert not any(b"secret3" in path.read_bytes() for path in files)


class TestQdrantEdgeByCodes(PassageStoreContract):
    """The same where dense searches look at codes first, as they do in large stores."""

    @pytest.fixture(autouse=True)
    def large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(edge_search, "CODED_FROM", 0)
        monkeypatch.setattr(edge_search, "WORTH_IT", 0)

    async def open(self, path: Path) -> PassageStore:
        return await open_edge(path)

    async def test_a_cache_that_is_lost_is_made_again(self, tmp_path: Path) -> None:
        async with await self.open(tmp_path) as store:
            await store.put(*version("a", ["apple"] * 300))
        (tmp_path / "cache").unlink()
        async with await self.open(tmp_path) as store:
            found = await store.search(Query(1000, ANYBODY, vector=unit(0)))
            assert len(found["dense"]) == 300

    async def test_searches_at_once_have_their_own_answers(self, store: PassageStore) -> None:
        for number in range(20):
            await store.put(*version(f"s{number}", [f"word{number}"] * 8))
        wrong = store.search(Query(5, ANYBODY, vector=np.ones(3, np.float32)))
        asked = [
            store.search(Query(5, ANYBODY, vector=unit(number), sources=(f"s{number}",)))
            for number in range(20)
        ]
        failed, *answers = await asyncio.gather(wrong, *asked, return_exceptions=True)
        assert isinstance(failed, Exception)
        for number, found in enumerate(answers):
            assert not isinstance(found, BaseException)
            assert {each.passage.source for each in found["dense"]} == {f"s{number}"}
            assert found["dense"][0].passage.position == number % 8
