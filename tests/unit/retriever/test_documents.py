"""Documents become passages that point at their text."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from motet.errors import FaultError
from motet.messages import BlobRef, Document, FaultType
from motet_retriever.chunking import Chunking, chunk
from motet_retriever.documents import (
    Limits,
    PreparedDocument,
    UnreadableError,
    fingerprint,
    prepare,
)
from motet_retriever.documents import read as read_document
from motet_retriever.outline import outline_plain
from motet_retriever.parsers.parsed import Parsed
from motet_retriever.parsers.reading import parse

Fetch = Callable[[BlobRef], Awaitable[bytes]]

SMALL = Chunking(tokens=12, overlap=1)
LIMIT = 100_000


def markdown(text: str, title: str | None = None, source: str = "notes/a.md") -> Document:
    return Document(source=source, title=title, media_type="text/markdown", text=text)


def cut(document: Document, how: Chunking, tenant: str = "default") -> PreparedDocument:
    parsed = parse((document.text or "").encode(), document.media_type, LIMIT)
    chunks = chunk(parsed.text, parsed.blocks, how)
    return prepare(document, parsed, chunks, fingerprint(document, how), tenant=tenant)


async def read(document: Document, fetch: Fetch, limit: int = 100) -> str:
    async def parsing(data: bytes, media_type: str, characters: int) -> Parsed:
        return parse(data, media_type, characters)

    return (await read_document(document, fetch, parsing, Limits(limit, 2 * limit))).text


def blob(data: bytes) -> BlobRef:
    return BlobRef(name="b", size=len(data), sha256=hashlib.sha256(data).hexdigest())


async def no_blobs(ref: BlobRef) -> bytes:
    raise FaultError.of(FaultType.NOT_FOUND, f"There is no blob {ref.name!r}.")


TEXT = st.lists(
    st.one_of(
        st.sampled_from(["# A\n", "\r\n", "\n\n", "- x\n", "| a |\n|-|\n", "A b c. ", "😀 ", "é"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    ),
    max_size=30,
).map("".join)


@given(TEXT, st.sampled_from(["text/plain", "text/markdown"]))
def test_offsets_point_at_the_passage(text: str, media_type: str) -> None:
    assume(text.strip("\ufeff").strip() and "\0" not in text and text[0] != "\ufeff")
    document = Document.model_validate({"source": "s", "media_type": media_type, "text": text})
    prepared = cut(document, SMALL)
    for position, passage in enumerate(prepared.passages):
        assert text[passage.start : passage.end] == passage.text
        assert passage.position == position
    assert prepared.info.passages == len(prepared.passages)
    assert prepared.info.characters == len(text)


@pytest.mark.parametrize(
    "document, title",
    [
        (markdown("# Heading\ntext", title="Given"), "Given"),
        (markdown("text\n\n# Heading"), "Heading"),
        (markdown("text", source="https://example.org/a/b.md?c#d/e"), "b.md"),
        (markdown("text", source=r"C:\docs\b.md"), "b.md"),
        (markdown("text", source="///"), "///"),
    ],
)
def test_title(document: Document, title: str) -> None:
    prepared = cut(document, Chunking())
    assert prepared.info.title == title
    assert {passage.title for passage in prepared.passages} == {title}


def test_words_stand_under_title_and_headings() -> None:
    document = markdown("# Lease\n\n## Rent\n\nIt is 900.")
    (words,) = cut(document, Chunking()).words()
    assert words == "Lease > Rent\n# Lease\n\n## Rent\n\nIt is 900."


def test_ids_hold_while_the_version_does() -> None:
    one, same = (cut(markdown("One. Two."), Chunking()) for _ in range(2))
    assert [each.id for each in one.passages] == [each.id for each in same.passages]
    other = cut(markdown("One. 2."), Chunking())
    elsewhere = cut(markdown("One. Two.", source="b"), Chunking())
    of_others = cut(markdown("One. Two."), Chunking(), tenant="other")
    found = (one, other, elsewhere, of_others)
    assert len({each.id for prepared in found for each in prepared.passages}) == 4


def test_the_fingerprint_covers_what_passages_are_made_from() -> None:
    document = markdown("a")
    changes = [
        {},
        {"text": "b"},
        {"title": "t"},
        {"media_type": "text/plain"},
        {"labels": ("staff",)},
        {"labels": ("staff", "legal")},
        {"language": "en"},
        {"time": datetime(2026, 1, 1, tzinfo=UTC)},
        {"fields": {"status": "draft"}},
        {"fields": {"status": ("draft", "old")}},
        {"text": None, "blob": blob(b"b" * 2)},
    ]
    versions = [
        *(fingerprint(document.model_copy(update=each), Chunking()) for each in changes),
        *(fingerprint(document, Chunking(*how)) for how in [(100,), (200, 0), (200, 1, "window")]),
        *(fingerprint(document, Chunking(way="semantic"), model=model) for model in ["m", "n"]),
    ]
    assert len(set(versions)) == len(versions)
    assert fingerprint(document, Chunking(), model="any") == versions[0]


@pytest.mark.parametrize(
    "change, same",
    [
        ({"labels": ("b", "a", "b")}, {"labels": ("a", "b")}),
        ({"fields": {"x": 1, "y": 2}}, {"fields": {"y": 2, "x": 1}}),
        ({"text": None, "blob": blob(b"a")}, {}),
    ],
)
def test_the_fingerprint_covers_nothing_else(
    change: dict[str, object], same: dict[str, object]
) -> None:
    one, other = (markdown("a").model_copy(update=each) for each in (change, same))
    assert fingerprint(one, Chunking()) == fingerprint(other, Chunking())


def test_a_passage_knows_what_its_document_knows() -> None:
    document = Document.model_validate(
        {
            "source": "a.md",
            "media_type": "text/markdown",
            "text": "---\ndate: 2026-03-01\nlang: de\n---\n# Miete\n\n|a|b|\n|-|-|\n|1|2|",
            "labels": ["staff", "legal"],
            "fields": {"status": "draft"},
        }
    )
    prepared = cut(document, Chunking(tokens=20, overlap=0))
    passage = prepared.passages[-1]
    assert passage.block == "table"
    assert passage.section == ("Miete",)
    for known in (passage, prepared.info):
        assert known.labels == ("legal", "staff")
        assert known.fields == {"status": "draft"}
        assert known.language == "de"
        assert known.time == datetime(2026, 3, 1, tzinfo=UTC)
        assert known.media_type == "text/markdown"
        assert known.ingested_at == prepared.info.ingested_at
    given = document.model_copy(update={"language": "en", "time": datetime(2020, 1, 1, tzinfo=UTC)})
    info = cut(given, Chunking()).info
    assert (info.language, info.time) == ("en", given.time)


def test_a_passage_knows_its_page() -> None:
    parsed = Parsed("one\n\ntwo", outline_plain("one\n\ntwo").blocks, pages=(0, 0, 5, 8))
    how = Chunking(1, 0)
    document = Document(source="a", text="x")
    prepared = prepare(document, parsed, chunk(parsed.text, parsed.blocks, how), "v")
    assert [(each.text, each.page) for each in prepared.passages] == [("one", 2), ("two", 3)]
    assert prepared.info.pages == 4


def test_parts_of_a_table_are_indexed_with_its_header() -> None:
    rows = "".join(f"ship {n},{n}\n" for n in range(20))
    document = Document(source="a.csv", media_type="text/csv", text=f"Name,Tons\n{rows}")
    first, *others = cut(document, Chunking(40)).words()
    assert first.startswith("a.csv\n| Name | Tons |\n|---|")
    assert len(others) > 1
    assert all(each.startswith("a.csv\n| Name | Tons |\n| ship") for each in others)


async def test_read_text_as_given() -> None:
    assert await read(markdown("a\r\nb "), no_blobs) == "a\r\nb "


async def test_read_a_blob() -> None:
    data = "\ufeffGrüße".encode()

    async def fetch(ref: BlobRef) -> bytes:
        return data

    assert await read(Document(source="s", blob=blob(data)), fetch) == "Grüße"


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "It has no text."),
        (b" \n", "It has no text."),
        (b"abc\xff", "It is not UTF-8 text (byte 3 is 0xff)"),
        (b"a\0b", "It has NUL characters, so it is not text."),
    ],
)
async def test_what_cannot_be_read(data: bytes, reason: str) -> None:
    async def fetch(ref: BlobRef) -> bytes:
        return data

    with pytest.raises(UnreadableError) as raised:
        await read(Document(source="s", blob=blob(data)), fetch)
    assert str(raised.value).startswith(reason)


@pytest.mark.parametrize(
    "media_type, size, name",
    [
        ("text/plain", 101, "DOCUMENT"),
        ("application/pdf", 201, "FILE"),
        ("text/plain", 2 << 30, ""),
    ],
)
async def test_what_is_too_large_is_not_fetched(media_type: str, size: int, name: str) -> None:
    ref = BlobRef(name="b", size=size, sha256="0" * 64)
    document = Document.model_validate({"source": "s", "media_type": media_type, "blob": ref})
    with pytest.raises(UnreadableError) as raised:
        await read(document, no_blobs)
    assert f"It has {size:,} bytes, and the limit is" in str(raised.value)
    assert f"MOTET_RETRIEVER_MAX_{name}" in str(raised.value)


async def test_a_missing_blob_is_the_documents_fault() -> None:
    with pytest.raises(UnreadableError, match="There is no blob 'b'"):
        await read(Document(source="s", blob=blob(b"x")), no_blobs)


async def test_an_object_store_that_does_not_answer_is_not() -> None:
    async def fetch(ref: BlobRef) -> bytes:
        raise FaultError.of(FaultType.UNAVAILABLE, "later", retryable=True)

    with pytest.raises(FaultError, match="later"):
        await read(Document(source="s", blob=blob(b"x")), fetch)


async def test_half_a_character() -> None:
    document = Document.model_construct(source="s", text="a\ud800", blob=None)
    with pytest.raises(UnreadableError, match="surrogate"):
        await read(document, no_blobs)
