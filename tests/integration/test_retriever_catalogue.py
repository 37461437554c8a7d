"""Passage stores with a catalogue of their own keep what the port promises: FAISS, Chroma, Milvus.

`CatalogueContract` adds what these promise beside the port: the catalogue is the truth, whatever
happens to the index. Each adapter's tests are skipped where its packages, an extra of the
retriever, are not installed. Engines that have servers are met over the wire as well.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from motet.errors import SetupError
from motet.messages import ANYBODY, Condition, Principal
from motet_retriever.stores import catalogue_store
from motet_retriever.stores.catalogue_store import CatalogueStore
from motet_retriever.stores.passage_catalogue import PassageCatalogue
from motet_retriever.stores.port import IndexedPassage, PassageStore, Query
from motet_retriever.stores.vector_index import Rows
from tests.integration.catalogue_processes import (
    INDEXES,
    LAST_STEP,
    needs,
    open_catalogue,
    replace_and_die,
)
from tests.integration.stored_documents import DIMENSION, open_edge, run_in_process, unit, version
from tests.integration.test_retriever_store import PassageStoreContract, everything, texts

RED = Principal(access=("red",))
ODD = Condition(field="fields.odd", op="eq", value=True)


def engine(store: PassageStore) -> Any:
    return cast("Any", store)._index


async def settled(store: PassageStore) -> int:
    """The index has what the catalogue has, and how many that are."""
    own = cast("Any", store)
    there = await own._worker.run(own._catalogue.all_rows)
    assert sorted(engine(store).rows().tolist()) == sorted(there.tolist())
    return len(there)


def scattered(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    vectors = np.random.default_rng(1).standard_normal((count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


async def fill(store: PassageStore, count: int = 300) -> dict[str, np.ndarray[Any, Any]]:
    """Documents of one passage: a third is for RED only, every seventh has a field."""
    vectors = scattered(count)
    for number, vector in enumerate(vectors):
        labels = ("red",) if number % 3 == 0 else ()
        fields = {"odd": True} if number % 7 == 0 else {}
        by, document, (passage,) = version(
            f"s{number}", [f"word {number}"], by=RED, labels=labels, fields=fields
        )
        await store.put(by, document, [IndexedPassage(passage.passage, passage.words, vector)])
    return {f"s{number}": vector for number, vector in enumerate(vectors)}


class CatalogueContract(PassageStoreContract):
    """What the three promise beside the port."""

    kind: str

    async def open(self, path: Path) -> PassageStore:
        return await open_catalogue(path, INDEXES[self.kind])

    def lose(self, path: Path) -> None:
        """Whatever is not the catalogue's."""
        for each in path.iterdir():
            if not each.name.startswith(("catalogue.", "store.json", "lock")):
                shutil.rmtree(each)

    @pytest.mark.parametrize("filtered", [False, True])
    async def test_the_engine_answers_for_what_is_seen(
        self, store: PassageStore, filtered: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As a comparison with everything would, and without one."""
        vectors = await fill(store)
        monkeypatch.setattr(catalogue_store, "FEW", 0)
        monkeypatch.setattr(catalogue_store, "PROPOSED", 60)
        monkeypatch.delattr(PassageCatalogue, "nearest")
        where = ODD if filtered else None
        for question in scattered(320)[300:]:
            for principal, mine in (
                (RED, vectors),
                (ANYBODY, {s: v for s, v in vectors.items() if int(s[1:]) % 3}),
            ):
                near = sorted(
                    (s for s in mine if not filtered or int(s[1:]) % 7 == 0),
                    key=lambda source: -float(vectors[source] @ question),
                )[:5]
                found = await store.search(Query(5, principal, vector=question, where=where))
                assert [each.passage.source for each in found["dense"]] == near
                scores = [each.score for each in found["dense"]]
                expected = [vectors[source] @ question for source in near]
                np.testing.assert_allclose(scores, expected, atol=1e-5)

    async def test_a_rare_filter_finds_its_passages(
        self, store: PassageStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where what the index proposes does not meet it."""
        await fill(store)
        monkeypatch.setattr(catalogue_store, "FEW", 1)
        monkeypatch.setattr(catalogue_store, "PROPOSED", 1)
        far = -(await store.search(Query(1, RED, vector=unit(0), vectors=True)))["dense"][0].vector
        query = Query(5, RED, vector=far, where=ODD)
        found = [each.passage for each in (await store.search(query))["dense"]]
        assert len(found) == 5
        assert all(each.fields["odd"] for each in found)

    async def test_an_index_that_is_lost_is_made_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with await self.open(tmp_path) as store:
            await store.put(*version("a", ["apple", "pear"], by=RED, labels=("red",)))
            await store.put(*version("b", ["fig"]))
        self.lose(tmp_path)
        async with await self.open(tmp_path) as store:
            await settled(store)
            vector = (unit(0) + unit(1)) / np.float32(2**0.5)
            for principal, count in ((RED, 3), (ANYBODY, 1)):
                with monkeypatch.context() as patched:
                    patched.delattr(PassageCatalogue, "nearest")
                    found = await store.search(Query(count, principal, vector=vector))
                assert len(found["dense"]) == count

    async def test_the_index_has_what_counts(self, store: PassageStore) -> None:
        for number in range(3):
            await store.put(*version("a", ["apple"] * (3 - number), f"v{number}"))
            await store.put(*version(f"b{number}", ["pear"]))
        await store.delete(ANYBODY, ["b0", "b1"])
        assert await settled(store) == 2

    async def test_an_index_that_fails_changes_nothing(
        self, store: PassageStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await store.put(*version("a", ["old"]))
        index = engine(store)
        add = index.add

        def half(rows: Rows, vectors: Any, to: Any) -> None:
            add(rows[:1], vectors[:1], to[:1])
            raise OSError("no more")

        with monkeypatch.context() as patched:
            patched.setattr(index, "add", half)
            for source in "ab":
                with pytest.raises(OSError, match="no more"):
                    await store.put(*version(source, ["new", "newer"], "v2"))
                assert await everything(store) == {"a": {"old"}}
        assert set(await store.find(ANYBODY, ["a", "b"])) == {"a"}
        await store.put(*version("b", ["fig"]))
        assert await everything(store) == {"a": {"old"}, "b": {"fig"}}
        await settled(store)

    async def test_what_is_gone_is_not_found_though_the_index_has_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with await self.open(tmp_path) as store:
            await store.put(*version("a", ["old one", "old two"]))
            await store.put(*version("b", ["fig"]))
            monkeypatch.setattr(engine(store), "remove", fails)
            await store.put(*version("a", ["new"], "v2"))
            assert await everything(store) == {"a": {"new"}, "b": {"fig"}}
            query = Query(2, ANYBODY, vector=unit(1))
            found = {each.passage.text for each in (await store.search(query))["dense"]}
            assert found == {"new", "fig"}
            with pytest.raises(OSError, match="not now"):
                await store.delete(ANYBODY, ["b"])
            assert set(await store.find(ANYBODY, ["b"])) == {"b"}
            monkeypatch.undo()
            await store.delete(ANYBODY, ["b"])
            await settled(store)
            monkeypatch.setattr(engine(store), "remove", fails)
            await store.delete(ANYBODY, ["a"])
            monkeypatch.undo()
        async with await self.open(tmp_path) as store:
            await settled(store)
            assert await everything(store) == {}

    @pytest.mark.parametrize("step", range(LAST_STEP + 1))
    async def test_killed_within_a_put(self, tmp_path: Path, step: int) -> None:
        """Either version, and nothing is left of the other."""
        async with await self.open(tmp_path) as store:
            await store.put(*version("a", ["old one", "old two"]))
        died = await run_in_process(replace_and_die, self.kind, tmp_path, step)
        assert died == -signal.SIGKILL
        async with await self.open(tmp_path) as store:
            await settled(store)
            new = step >= 3  # the transaction was committed
            expected = {"a": {"new"}} if new else {"a": {"old one", "old two"}}
            assert await everything(store) == expected
            assert await texts(store, "new") == ({"new"} if new else set())
            assert (await store.find(ANYBODY, ["a"]))["a"].fingerprint == ("v2" if new else "v1")
            await store.put(*version("a", ["newest"], "v3"))
            assert await everything(store) == {"a": {"newest"}}

    async def test_words_weigh_as_in_qdrant(self, store: PassageStore, tmp_path: Path) -> None:
        words = ["red apple", "a green pear of the pear tree", "apples, apples and pears", "plum"]
        query = Query(9, RED, words="red apples and the pears, pears", where=None)
        async with await open_edge(tmp_path / "edge") as edge:
            for each in (store, edge):
                await each.put(*version("a", words))
                await each.put(*version("b", ["apple pie"], by=RED, labels=("red",)))
                await each.put(*version("c", ["the of a"]))
                await each.put(*version("d", ["apple"], by=Principal(tenant="other")))
                await each.delete(ANYBODY, ["c"])
            for principal in (RED, ANYBODY, Principal(tenant="other")):
                asked = Query(9, principal, words=query.words)
                one, two = [
                    {found.id: found.score for found in (await each.search(asked))["sparse"]}
                    for each in (store, edge)
                ]
                assert one
                assert one == pytest.approx(two, rel=1e-5)

    async def test_folders_of_another_making_are_refused(self, tmp_path: Path) -> None:
        await (await self.open(tmp_path / "own")).close()
        index = INDEXES[self.kind]
        with pytest.raises(SetupError, match=r"embedding_model 'fake:m'.*'other:m'"):
            await CatalogueStore.open(tmp_path / "own", index, model="other:m", dimension=DIMENSION)
        with pytest.raises(SetupError, match=r"dimension 8.*9"):
            await CatalogueStore.open(tmp_path / "own", index, model="fake:m", dimension=9)
        with pytest.raises(SetupError, match=r"STORE=faiss, chroma or milvus.*set to qdrant"):
            await open_edge(tmp_path / "own")
        await (await open_edge(tmp_path / "edge")).close()
        with pytest.raises(SetupError, match=r"STORE=qdrant.*set to faiss, chroma or milvus"):
            await self.open(tmp_path / "edge")
        async with await self.open(tmp_path / "own"):
            with pytest.raises(SetupError, match="is open in another process"):
                await self.open(tmp_path / "own")

    async def test_missing_packages_are_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("chromadb", "faiss", "pymilvus"):
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(SetupError, match=rf"pip install 'motet-retriever\[{self.kind}\]'"):
            await self.open(tmp_path)
        monkeypatch.undo()
        await (await self.open(tmp_path)).close()


def fails(*_: Any) -> None:
    raise OSError("not now")


class TestFaiss(CatalogueContract):
    kind = "faiss"

    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        needs("faiss")


class TestChroma(CatalogueContract):
    kind = "chroma"

    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        needs("chromadb")


class TestMilvus(CatalogueContract):
    """Milvus Lite."""

    kind = "milvus"

    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        needs("milvus_lite")

    def test_a_file_dotenv_is_left_alone(self, tmp_path: Path) -> None:
        """pymilvus would take one that lies somewhere above it into the environment."""
        (tmp_path / "dotenv").write_text("OF_SOMEBODY_ELSE=1")
        done = subprocess.run(
            [sys.executable, "-c", OPENED, tmp_path / "dotenv", tmp_path / "store"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.split() == ["None", "None"]


OPENED = """
import os, pathlib, sys
import dotenv.main
dotenv.main.find_dotenv = lambda *_, **__: sys.argv[1]
from tests.integration.catalogue_processes import INDEXES
from motet_retriever.stores.vector_index import Home
path = pathlib.Path(sys.argv[2])
path.mkdir()
INDEXES["milvus"](path, Home("c", "m", 8)).close()
print(os.environ.get("OF_SOMEBODY_ELSE"), os.environ.get("PYTHON_DOTENV_DISABLED"))
"""
