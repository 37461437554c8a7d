"""Documents become passages that point at their text."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet.errors import FaultError
from motet.messages import BlobRef, Document, FaultType, TimedText
from motet_retriever.chunking import Chunking
from motet_retriever.documents import (
    PreparedDocument,
    UnreadableError,
    fingerprint,
    prepare,
    read,
)

SMALL = Chunking(tokens=12, overlap=1)


def markdown(text: str, title: str | None = None, source: str = "notes/a.md") -> Document:
    return Document(source=source, title=title, media_type="text/markdown", text=text)


def cut(document: Document, text: str, how: Chunking) -> PreparedDocument:
    return prepare(document, TimedText(text=text), fingerprint(document, text, how), how)


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
    document = Document.model_validate({"source": "s", "media_type": media_type, "text": text})
    prepared = cut(document, text, SMALL)
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
    prepared = cut(document, document.text or "", Chunking())
    assert prepared.info.title == title
    assert {passage.title for passage in prepared.passages} == {title}


def test_words_stand_under_title_and_headings() -> None:
    document = markdown("# Lease\n\n## Rent\n\nIt is 900.")
    (words,) = cut(document, document.text or "", Chunking()).words()
    assert words == "Lease > Rent\n# Lease\n\n## Rent\n\nIt is 900."


def test_ids_hold_while_the_version_does() -> None:
    one, same = (cut(markdown("One. Two."), "One. Two.", Chunking()) for _ in range(2))
    assert [each.id for each in one.passages] == [each.id for each in same.passages]
    other = cut(markdown("One. 2."), "One. 2.", Chunking())
    elsewhere = cut(markdown("One. Two.", source="b"), "One. Two.", Chunking())
    ids = {each.id for prepared in (one, other, elsewhere) for each in prepared.passages}
    assert len(ids) == 3


def test_the_fingerprint_covers_what_passages_are_made_from() -> None:
    document = markdown("a")
    versions = [
        fingerprint(document, "a", Chunking()),
        fingerprint(document, "b", Chunking()),
        fingerprint(markdown("a", title="t"), "a", Chunking()),
        fingerprint(document.model_copy(update={"media_type": "text/plain"}), "a", Chunking()),
        fingerprint(document, "a", Chunking(tokens=100)),
        fingerprint(document, "a", Chunking(overlap=0)),
    ]
    assert len(set(versions)) == len(versions)
    assert fingerprint(document, "a", Chunking()) == versions[0]


async def test_read_text_as_given() -> None:
    assert await read(markdown("\ufeffa\r\nb "), no_blobs, 100) == "\ufeffa\r\nb "


async def test_read_a_blob() -> None:
    data = "\ufeffGrüße".encode()

    async def fetch(ref: BlobRef) -> bytes:
        return data

    assert await read(Document(source="s", blob=blob(data)), fetch, 100) == "Grüße"


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "It has no text."),
        (b" \n", "It has no text."),
        (b"abc\xff", "It is not UTF-8 text: byte 3 is 0xff."),
        (b"a\0b", "It has NUL characters, so it is not text."),
        (b"x" * 101, "It has 101 bytes, and the limit is 100"),
    ],
)
async def test_what_cannot_be_read(data: bytes, reason: str) -> None:
    async def fetch(ref: BlobRef) -> bytes:
        return data

    with pytest.raises(UnreadableError) as raised:
        await read(Document(source="s", blob=blob(data)), fetch, 100)
    assert str(raised.value).startswith(reason)


async def test_a_missing_blob_is_the_documents_fault() -> None:
    with pytest.raises(UnreadableError, match="There is no blob 'b'"):
        await read(Document(source="s", blob=blob(b"x")), no_blobs, 100)


async def test_an_object_store_that_does_not_answer_is_not() -> None:
    async def fetch(ref: BlobRef) -> bytes:
        raise FaultError.of(FaultType.UNAVAILABLE, "later", retryable=True)

    with pytest.raises(FaultError, match="later"):
        await read(Document(source="s", blob=blob(b"x")), fetch, 100)


async def test_half_a_character() -> None:
    document = Document.model_construct(source="s", text="a\ud800", blob=None)
    with pytest.raises(UnreadableError, match="surrogate"):
        await read(document, no_blobs, 100)
