"""Documents of a task: whose they are, how long they are there, and what a sweep leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from motet.errors import FaultError
from motet.messages import Document, Passage, Principal, ReadRequest, SearchRequest, now
from motet_retriever.chunking import Chunking
from motet_retriever.documents import Sources
from motet_retriever.ingestion import Ingestion
from motet_retriever.reading import read_document
from motet_retriever.stores.qdrant_edge import QdrantEdgeStore
from motet_retriever.task_documents import TaskDocuments, of_task
from tests.unit.retriever.conftest import WordEmbedder
from tests.unit.retriever.library import Call as SearchCall
from tests.unit.retriever.library import Library

RED = Principal(tenant="red", access=("staff",))


@dataclass
class TaskCall:
    """A call of a task."""

    task: str = "t1"
    principal: Principal = RED
    deadline: datetime | None = None


async def nothing_ended(task: str) -> bool:
    return False


@dataclass
class Shelf:
    """A store, and tasks that have documents in it."""

    store: QdrantEdgeStore
    embedder: WordEmbedder

    @property
    def tasks(self) -> TaskDocuments:
        return TaskDocuments(self.store, ttl_s=3600)

    async def ingest(self, call: TaskCall, text: str, source: str = "a.txt", **said: object) -> str:
        ingestion = Ingestion(self.store, self.embedder, Chunking(40, 1, "structure"))
        document = of_task(Document.model_validate({"source": source, "text": text, **said}))
        try:
            result = await ingestion.ingest(
                await self.tasks.enter(call), [document], Sources(fetch=self._fetch)
            )
            await self.tasks.stay(call)
        finally:
            await ingestion.close()
        return result.items[0].status

    async def _fetch(self, blob: object) -> bytes:
        raise AssertionError(blob)

    async def everything(self) -> list[tuple[str, str]]:
        stored, _ = await self.store.export(100, None, passages=False)
        return sorted((each.tenant, each.document.source) for each in stored)


@pytest.fixture
def shelf(store: QdrantEdgeStore, embedder: WordEmbedder) -> Shelf:
    return Shelf(store, embedder)


async def test_a_task_has_documents_of_its_own(shelf: Shelf) -> None:
    assert await shelf.tasks.owner(TaskCall()) is None
    assert (
        await shelf.ingest(TaskCall(), "The contract ends in May.", labels=("secret",)) == "added"
    )
    assert await shelf.ingest(TaskCall(), "The contract ends in May.") == "unchanged"
    mine = await shelf.tasks.owner(TaskCall())
    assert mine is not None
    assert set(await shelf.store.find(mine, ["a.txt"])) == {"a.txt"}
    for other in (TaskCall("t2"), TaskCall(principal=Principal(tenant="blue"))):
        assert await shelf.tasks.owner(other) is None
    assert await shelf.store.page(RED, 10, None) == ([], None)


async def test_what_is_erased_is_gone_and_does_not_come_back(shelf: Shelf) -> None:
    await shelf.ingest(TaskCall(), "The contract ends in May.")
    await shelf.ingest(TaskCall(), "The lease ends in June.", "b.txt")
    await shelf.ingest(TaskCall("t2"), "The lease of another.")
    erased = await shelf.tasks.erase(TaskCall())
    assert (erased.documents, erased.passages) == (2, 2)
    assert await shelf.tasks.owner(TaskCall()) is None
    assert (await shelf.tasks.erase(TaskCall())).documents == 0
    with pytest.raises(FaultError, match="have been erased"):
        await shelf.ingest(TaskCall(), "Too late.")
    assert [each for each in await shelf.everything() if each[0].startswith("red/")] == [
        ("red/t2", "a.txt")
    ]


async def test_a_sweep_removes_what_ended_tasks_have_left(shelf: Shelf) -> None:
    for task in ("t1", "t2"):
        await shelf.ingest(TaskCall(task), f"The contract of {task}.")

    async def ended(task: str) -> bool:
        return task == "t1"

    assert await shelf.tasks.sweep(nothing_ended) == 0
    assert await shelf.tasks.sweep(ended) == 1
    assert await shelf.tasks.sweep(ended) == 0
    assert await shelf.tasks.owner(TaskCall("t1")) is None
    assert await shelf.tasks.owner(TaskCall("t2")) is not None
    assert [each for each in await shelf.everything() if each[0].startswith("red/")] == [
        ("red/t2", "a.txt")
    ]


async def test_past_its_deadline_a_task_has_none(shelf: Shelf) -> None:
    late = TaskCall(deadline=now() - timedelta(hours=1))
    await shelf.ingest(late, "The contract ends in May.")
    assert await shelf.tasks.owner(late) is None  # before any sweep, too
    assert await shelf.tasks.sweep(nothing_ended) == 1
    assert await shelf.everything() == []


async def test_what_a_sweep_has_met_too_early_is_swept_up_by_the_next(shelf: Shelf) -> None:
    """A call that notes its task, is overtaken by a sweep, and stores its document then."""
    late = TaskCall(deadline=now() - timedelta(hours=1))
    mine = await shelf.tasks.enter(late)
    await shelf.tasks.sweep(nothing_ended)
    ingestion = Ingestion(shelf.store, shelf.embedder, Chunking(40, 1, "structure"))
    await ingestion.ingest(mine, [Document(source="a", text="Late.")], Sources(shelf._fetch))
    await ingestion.close()
    await shelf.tasks.stay(late)
    assert await shelf.tasks.sweep(nothing_ended) == 1
    assert await shelf.everything() == []


async def test_a_document_is_read_in_parts_that_join(shelf: Shelf) -> None:
    sentences = [
        f"Clause {number} says that the tenant keeps key {number}." for number in range(30)
    ]
    await shelf.ingest(TaskCall(), " ".join(sentences))
    mine = await shelf.tasks.owner(TaskCall())
    assert mine is not None
    parts: list[str] = []
    passages: list[Passage] = []
    first: int | None = 0
    while first is not None:
        request = ReadRequest(source="a.txt", first=first, characters=300)
        part = await read_document(shelf.store, (mine, RED), request)
        assert part.document.characters == len(" ".join(sentences))
        assert len(part.text) <= 300
        parts.append(part.text)
        passages += part.passages
        first = part.next
    assert len(parts) > 3
    assert all(any(each in part for part in parts) for each in sentences)
    assert [each.position for each in passages] == list(range(len(passages)))
    whole = await read_document(shelf.store, (mine, RED), ReadRequest(source="a.txt"))
    assert (whole.text, whole.next) == (" ".join(sentences), None)
    with pytest.raises(FaultError, match="There is no document"):
        await read_document(shelf.store, (RED,), ReadRequest(source="a.txt"))


async def test_a_search_finds_what_the_scope_says() -> None:
    library = Library()
    await library.add("ours", "the tower is high", tenant="red")
    await library.add("theirs", "the tower is blue", tenant="blue")
    await library.add("input:a", "the tower is mine", "and another tower", tenant="red/t1")
    await library.add("input:b", "the tower of another task", tenant="red/t2")
    tasks = TaskDocuments(library.store, ttl_s=60)
    mine = await tasks.enter(TaskCall())
    call = SearchCall(RED)

    async def found(scope: str, **options: object) -> set[str]:
        request = SearchRequest.model_validate(
            {"query": "tower", "scope": scope, "limit": 10, **options}
        )
        result = await library.search().search(request, call, mine)
        return {each.source for each in result.passages}

    for strategy in ("hybrid", "basic", "hierarchical", "multi_query", "hyde", "multi_hop"):
        assert await found("all", strategy=strategy) == {"ours", "input:a"}, strategy
        assert await found("tenant", strategy=strategy) == {"ours"}, strategy
        assert await found("task", strategy=strategy) == {"input:a"}, strategy
    nothing = await library.search().search(SearchRequest(query="tower", scope="task"), call, None)
    assert nothing.passages == ()


async def test_the_context_of_a_passage_is_of_its_own_document() -> None:
    """A task and its tenant may have documents of one name."""
    library = Library()
    await library.add("same", "apple one", "apple two", tenant="red")
    await library.add("same", "pear three", "pear four", tenant="red/t1")
    for key in [key for key in library.store.documents if key[0] == "red/t1"]:
        document, parts = library.store.documents[key]
        renamed = [
            type(each)(
                each.passage.model_copy(update={"id": f"task {each.passage.id}"}),
                each.words,
                each.vector,
                each.levels,
            )
            for each in parts
        ]
        library.store.documents[key] = (document, renamed)
    mine = await TaskDocuments(library.store, ttl_s=60).enter(TaskCall())
    request = SearchRequest(query="apple pear", expand="document", limit=10)
    result = await library.search().search(request, SearchCall(RED), mine)
    contexts = {each.text: each.context for each in result.passages}
    assert contexts["apple one"] == "apple one\n\napple two"
    assert contexts["pear four"] == "pear three\n\npear four"
