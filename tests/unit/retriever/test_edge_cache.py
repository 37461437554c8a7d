"""The cache proposes what is nearest, of what is to be seen, and its file may be lost or cut."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from motet_retriever.stores import edge_cache
from motet_retriever.stores.edge_cache import CachedDocument, EdgeCache

DIMENSION = 24
RNG = np.random.default_rng(7)


def vectors(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    some = RNG.standard_normal((count, DIMENSION)).astype(np.float32)
    return some / np.linalg.norm(some, axis=1, keepdims=True)


def cached(document: str, count: int, *to: str) -> CachedDocument:
    ids = [uuid4() for _ in range(count)]
    texts = [f"é text of {each}" for each in ids]
    return CachedDocument(document, ids, [to] * count, vectors(count), [*map(str, ids)], texts)


def nearest(cache: EdgeCache, vector: Any, *seen: str, count: int = 10_000) -> set[UUID]:
    (found,) = cache.nearest(vector[None, :], [seen], count)()
    for each in found:
        assert cache.passage(each) == (str(each), f"é text of {each}".encode())
    assert len(found) == len(set(found))
    return set(found)


def test_nearly_all_of_the_nearest_are_proposed(tmp_path: Path) -> None:
    with closing(EdgeCache(tmp_path / "cache", DIMENSION)) as cache:
        there = cached("a", 5000, "x")
        cache.put(there)
        questions = vectors(20)
        proposed = cache.nearest(questions, [("x",)] * 20, 40)()
    for question, found in zip(questions, proposed, strict=True):
        assert len(found) == 40
        best = np.argsort(there.vectors @ question)[-10:]
        assert {there.ids[each] for each in best} <= set(found)


@pytest.mark.parametrize("part", [100, 10_000])
@pytest.mark.parametrize("seen", [("x",), ("rare",), ("x", "rare")])
def test_rows_are_chosen_alike_however_they_are_divided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int, seen: tuple[str, ...]
) -> None:
    monkeypatch.setattr(edge_cache, "THREADS", 3)
    monkeypatch.setattr(edge_cache, "PART", part)
    with closing(EdgeCache(tmp_path / "cache", DIMENSION)) as cache:
        there = [cached("a", 3000, "x"), cached("b", 30, "rare"), cached("c", 2000, "x")]
        for each in there:
            cache.put(each)
        ids = [name for each in there if set(each.to[0]) & set(seen) for name in each.ids]
        codes, scales = edge_cache._quantized(
            np.concatenate([each.vectors for each in there if set(each.to[0]) & set(seen)])
        )
        questions = vectors(20)
        asked, _ = edge_cache._quantized(questions)
        exact = (codes.astype(np.int32) @ asked.T.astype(np.int32)) * scales[:, None]
        for place, found in enumerate(cache.nearest(questions, [seen] * 20, 25)()):
            score = dict(zip(ids, exact[:, place], strict=True))
            best = sorted(score.values(), reverse=True)[: min(25, len(ids))]
            assert sorted((score[each] for each in found), reverse=True) == best


def test_only_what_is_seen_is_proposed(tmp_path: Path) -> None:
    red, both, blue = cached("a", 9, "red"), cached("b", 3, "red", "blue"), cached("c", 500, "blue")
    with closing(EdgeCache(tmp_path / "cache", DIMENSION)) as cache:
        for each in (red, both, blue):
            cache.put(each)
        assert nearest(cache, vectors(1)[0], "red", count=12) == {*red.ids, *both.ids}
        assert nearest(cache, vectors(1)[0], "red", count=50) == {*red.ids, *both.ids}
        assert nearest(cache, vectors(1)[0], "blue", "red") == {*red.ids, *both.ids, *blue.ids}
        assert nearest(cache, vectors(1)[0], "green", count=1) == set()


def test_a_file_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    one, two = cached("a", 5, "x"), cached("b", 7, "x")
    with closing(EdgeCache(path, DIMENSION)) as cache:
        cache.put(one)
        cache.put(two)
    whole = path.read_bytes()
    for cut in (
        whole[:-1],
        whole[: len(whole) // 2],
        whole[:-1] + b"?",
        whole[:3],
        b"old!" + whole[4:],
        b"",
    ):
        path.write_bytes(cut)
        with closing(EdgeCache(path, DIMENSION)) as cache:
            missing = cache.keep_only([*one.ids, *two.ids])
            assert missing >= set(two.ids)
            for each in (one, two):
                if missing & set(each.ids):
                    cache.put(each)
        with closing(EdgeCache(path, DIMENSION)) as cache:
            assert cache.keep_only([*one.ids, *two.ids]) == set()
            assert nearest(cache, vectors(1)[0], "x") == {*one.ids, *two.ids}


def test_nothing_of_what_is_gone_stays_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_cache, "WASTE", 10)
    path = tmp_path / "cache"
    kept = cached("kept", 5, "x")
    sizes: list[int] = []
    with closing(EdgeCache(path, DIMENSION)) as cache:
        cache.put(kept)
        for _ in range(20):
            cache.put(cached("a", 50, "x"))
            sizes.append(path.stat().st_size)
    assert max(sizes) < 4 * sizes[0]
    with closing(EdgeCache(path, DIMENSION)) as cache:
        assert cache.keep_only(kept.ids) == set()
        assert path.stat().st_size < sizes[0] / 5
        assert nearest(cache, vectors(1)[0], "x") == set(kept.ids)


class Machine(RuleBasedStateMachine):
    """What is proposed is what a dictionary has, whatever comes, goes, and is opened again."""

    path: Path

    def __init__(self) -> None:
        super().__init__()
        self.file = self.path / uuid4().hex
        self.cache = EdgeCache(self.file, DIMENSION)
        self.model: dict[str, CachedDocument] = {}

    @rule(document=st.sampled_from("abc"), count=st.integers(1, 1500), to=st.sampled_from("xy"))
    def put(self, document: str, count: int, to: str) -> None:
        self.model[document] = cached(document, count, to)
        self.cache.put(self.model[document])

    @rule(document=st.sampled_from("abc"))
    def drop(self, document: str) -> None:
        self.cache.drop(document)
        self.model.pop(document, None)

    @rule(lost=st.sampled_from(["", "a"]))
    def reopen(self, lost: str) -> None:
        self.cache.close()
        self.cache = EdgeCache(self.file, DIMENSION)
        self.model.pop(lost, None)  # the shard has it no more
        assert not self.cache.keep_only(each for there in self.model.values() for each in there.ids)

    @invariant()
    def what_is_there_is_proposed(self) -> None:
        assert len(self.cache) == sum(len(there.ids) for there in self.model.values())
        for to in "xy":
            there = {i for each in self.model.values() if each.to[0] == (to,) for i in each.ids}
            assert nearest(self.cache, vectors(1)[0], to) == there

    def teardown(self) -> None:
        self.cache.close()


def test_it_behaves_like_a_dictionary(tmp_path: Path) -> None:
    Machine.path = tmp_path
    Machine.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
    Machine.TestCase().runTest()
