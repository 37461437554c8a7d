"""Which entity a name means: what passages state joins names, and nothing else does."""

# ruff: noqa: RUF001 - Greek letters are meant

from __future__ import annotations

import itertools

import pytest

from motet.errors import FaultError
from motet.messages import EntityRequest, GraphDocument, GraphPassage, PathsRequest
from motet_graph import lookups
from motet_graph.atlas import Atlas
from motet_graph.extraction.offline import OfflineExtractor
from motet_graph.graph_map import GraphMap
from motet_graph.ingestion import Ingestion
from tests.unit.graph.conftest import MODEL, TENANT, MemoryStore, WordEmbedder


def document(source: str, text: str, title: str = "") -> GraphDocument:
    passage = GraphPassage(id=f"{source}#0", text=text, title=title)
    return GraphDocument(source=source, passages=(passage,))


async def drawn(*documents: GraphDocument) -> GraphMap:
    store = MemoryStore()
    await Ingestion(store, WordEmbedder(), OfflineExtractor()).ingest(TENANT, documents)
    return await Atlas(store, MODEL, refresh_s=0).current(TENANT)


def sources(graph: GraphMap, name: str) -> set[str]:
    found = lookups.entity(graph, EntityRequest(name=name))
    return {passage.source for passage in found.passages}


async def test_initials_alone_join_nothing() -> None:
    graph = await drawn(
        document("a", "Paul Ravn Olsen repairs violins in Bergen."),
        document("b", "The PRO answers questions in Cork."),
        document("c", "The Irish Bakery Union was founded by Nora Byrne."),
        document("d", "IBU sold its ovens to Lennox Trade."),
    )
    assert sources(graph, "PRO") == {"b"}
    assert lookups.entity(graph, EntityRequest(name="PRO")).entity.name == "PRO"
    ends = PathsRequest(start="Nora Byrne", end="Lennox Trade")
    assert lookups.paths(graph, ends).paths == ()


STATED = (
    document("a", "The Irish Bakery Union (IBU) was founded by Nora Byrne."),
    document("b", "IBU sold its ovens to Lennox Trade."),
)


async def test_what_a_passage_states_joins_in_every_document() -> None:
    graph = await drawn(*STATED)
    assert sources(graph, "Irish Bakery Union") == sources(graph, "IBU") == {"a", "b"}
    ends = PathsRequest(start="Nora Byrne", end="Lennox Trade")
    (path,) = lookups.paths(graph, ends).paths
    assert path.entities == ("Nora Byrne", "Irish Bakery Union", "Lennox Trade")


async def test_what_stands_for_two_is_told_apart_by_document() -> None:
    other = document("c", "The Inland Boat Users (IBU) meet in Hull with Tom Reed. IBU has a flag.")
    graphs = [await drawn(*order) for order in itertools.permutations((*STATED, other))]
    for graph in graphs:
        assert sources(graph, "Irish Bakery Union") == {"a"}
        assert sources(graph, "Inland Boat Users") == {"c"}
        found = lookups.entity(graph, EntityRequest(name="IBU"))
        names = {found.entity.name, *(each.name for each in found.namesakes)}
        assert names == {"IBU", "Irish Bakery Union", "Inland Boat Users"}
        assert {passage.source for passage in found.passages} == {"a", "b", "c"}
        assert (
            lookups.paths(graph, PathsRequest(start="Nora Byrne", end="Lennox Trade")).paths == ()
        )
        assert graph.entities == graphs[0].entities
        assert graph.facts == graphs[0].facts


async def test_an_alias_of_two_joins_them_not() -> None:
    graph = await drawn(
        document("a", "Eva Lund, also known as Fox, paints in Malmö."),
        document("b", "Mia Dahl, also known as Fox, sings in Bergen."),
    )
    assert sources(graph, "Eva Lund") == {"a"}
    assert sources(graph, "Mia Dahl") == {"b"}


async def test_a_former_name_and_the_end_of_a_sentence() -> None:
    graph = await drawn(
        document("a", "Eva Lund leads Quay Estates, also known as Mole Group. Eva Lund is Danish."),
        document("b", "Mole Group built the Grey Needle."),
        document("c", "Quay Estates (formerly Salt House) has its seat in Hull."),
        document("d", "Salt House stood in Cork."),
    )
    found = lookups.entity(graph, EntityRequest(name="Mole Group")).entity
    assert {found.name, *found.aliases} == {"Quay Estates", "Mole Group", "Salt House"}
    assert sources(graph, "Quay Estates") == {"a", "b", "c", "d"}


async def test_two_of_one_name_whom_titles_tell_apart() -> None:
    graph = await drawn(
        document("a", "Ada Brown was born in Leeds.", "Ada Brown (poet)"),
        document("b", "Ada Brown scored for Hull City.", "Ada Brown (footballer)"),
    )
    found = lookups.entity(graph, EntityRequest(name="Ada Brown"))
    assert {found.entity.name, *(each.name for each in found.namesakes)} == {
        "Ada Brown (poet)",
        "Ada Brown (footballer)",
    }
    assert {passage.source for passage in found.passages} == {"a", "b"}
    assert lookups.paths(graph, PathsRequest(start="Leeds", end="Hull City")).paths == ()


async def test_two_of_one_name_who_lived_at_other_times() -> None:
    graph = await drawn(
        document("a", "Ada Brown (1850–1910) was born in Leeds."),
        document("b", "Ada Brown (1972–2020) scored for Hull City."),
    )
    assert lookups.paths(graph, PathsRequest(start="Leeds", end="Hull City")).paths == ()
    assert len(lookups.entity(graph, EntityRequest(name="Ada Brown")).namesakes) == 1


async def test_a_path_says_where_only_the_spelling_joins() -> None:
    graph = await drawn(
        document("a", "Ada Brown was born in Leeds."),
        document("b", "Ada Brown scored for Hull City."),
    )
    (path,) = lookups.paths(graph, PathsRequest(start="Leeds", end="Hull City")).paths
    assert path.joined_by_name == ("Ada Brown",)
    one = await drawn(document("a", "Ada Brown was born in Leeds. Ada Brown plays for Hull City."))
    (path,) = lookups.paths(one, PathsRequest(start="Leeds", end="Hull City")).paths
    assert path.joined_by_name == ()


TWO_STEPS = {
    "ru": (
        "Анна Кирова основала компанию «Белый маяк».",
        "Компания «Белый маяк» построила мост в городе Вышгород.",
        ("Анна Кирова", "Белый маяк", "Вышгород"),
    ),
    "el": (
        "Η Άννα Λεοντή ίδρυσε την Εταιρεία Αιγαίο.",
        "Η Εταιρεία Αιγαίο έχτισε έναν πύργο κοντά στο Βόλο.",
        ("Άννα Λεοντή", "Εταιρεία Αιγαίο", "Βόλο"),
    ),
    "ar": (
        "أسست ليلى منصور شركة النور الأزرق في العام الماضي.",
        "بنت شركة النور الأزرق جسرا قرب مدينة صور.",
        ("ليلى منصور", "شركة النور الأزرق", "صور"),
    ),
    "zh": (
        "王小琳去年创办了青松建筑公司。",
        "青松建筑公司在临海市修建了一座桥。",
        ("王小琳", "青松建筑公司", "临海市"),
    ),
    "ja": (
        "佐藤花子は去年、青松建設を設立した。",
        "青松建設は臨海市に橋を架けた。",
        ("佐藤花子", "青松建設", "臨海市"),
    ),
    "ko": (
        "이수진 대표는 작년에 푸른솔 건설 회사를 세웠다.",
        "지난달 푸른솔 건설 쪽에서 임해시 다리를 놓았다.",
        ("이수진", "푸른솔 건설", "임해시"),
    ),
}


@pytest.mark.parametrize("language", TWO_STEPS)
async def test_names_in_any_script(language: str) -> None:
    first, second, (start, between, end) = TWO_STEPS[language]
    others = [document(f"x{place}", text) for place, text in enumerate(OTHERS[language])]
    graph = await drawn(document("a", first), document("b", second), *others)
    assert sources(graph, between) == {"a", "b"}
    assert sources(graph, start) == {"a"}
    assert sources(graph, end) == {"b"}
    found = lookups.paths(graph, PathsRequest(start=start, end=end))
    assert any(between in path.entities for path in found.paths), found.paths
    assert {passage.source for passage in found.passages} == {"a", "b"}
    with pytest.raises(FaultError):
        lookups.entity(graph, EntityRequest(name=start + between))


OTHERS = {
    "ru": ("Хлеб пекут из муки, воды и соли.",),
    "el": ("Το ψωμί γίνεται από αλεύρι, νερό και αλάτι.",),
    "ar": ("يصنع الخبز من الطحين والماء والملح.",),
    "zh": ("面包是用面粉、水和盐做的。",),
    "ja": ("パンは小麦粉と水と塩で作る。",),
    "ko": ("빵은 밀가루와 물과 소금으로 만든다.",),
}
