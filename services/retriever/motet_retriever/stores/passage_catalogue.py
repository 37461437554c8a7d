"""The catalogue of passages: an SQLite database that holds all that a passage store knows.

Documents, passages with their embeddings, BM25's postings, who finds what, and what filters look
at. A vector index beside it only says which rows are nearest.

Invariants:

- One thread uses it. What a `with catalogue.writing()` changes is one transaction.
- A passage's number, its row, is never used again, also not after a transaction that failed.
- Who sees what is a part of every query: `finders` has a line for each that finds a row, like what
  Qdrant's points have under `to`, and `readers` the same for documents.
- A commit survives the death of the process; after `flush` it survives loss of power.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

from motet.messages import DocumentInfo, Filter, Passage, Principal
from motet_retriever.stores.bm25 import Bm25
from motet_retriever.stores.catalogue_terms import (
    Sql,
    among,
    filterable,
    filtered,
    found,
    join,
    marks,
    microseconds,
    narrowed,
    readable,
    seen,
)
from motet_retriever.stores.port import IndexedPassage, Query, Vector
from motet_retriever.stores.qdrant_payload import document_id, finders, found_by, written
from motet_retriever.stores.vector_index import Rows, Vectors

__all__ = ["FORMAT", "PassageCatalogue", "Record"]

FORMAT = 1

SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE documents (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,   -- of tenant and source
    tenant TEXT NOT NULL,
    info TEXT NOT NULL         -- JSON
);
CREATE TABLE readers (document INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (key, document))
    WITHOUT ROWID;
CREATE INDEX readers_of ON readers (document, key);
CREATE TABLE passages (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL,
    id TEXT NOT NULL,
    position INTEGER NOT NULL,
    time INTEGER,              -- microseconds since 1970
    levels TEXT NOT NULL,      -- with blanks between
    lead TEXT NOT NULL,        -- what the words have before the text
    passage TEXT NOT NULL      -- JSON
);
CREATE INDEX passages_of ON passages (document, position);
CREATE INDEX passages_by_id ON passages (id);
CREATE INDEX passages_by_time ON passages (time) WHERE time IS NOT NULL;
CREATE TABLE vectors (
    row INTEGER PRIMARY KEY,
    vector BLOB NOT NULL,      -- float32, little-endian
    terms BLOB NOT NULL        -- uint32, little-endian: where the row is in postings
);
CREATE TABLE postings (term INTEGER, row INTEGER, weight REAL NOT NULL, PRIMARY KEY (term, row))
    WITHOUT ROWID;
CREATE TABLE finders (key TEXT, row INTEGER, PRIMARY KEY (key, row)) WITHOUT ROWID;
CREATE INDEX finders_of ON finders (row, key);
CREATE TABLE attributes (key TEXT NOT NULL, value NOT NULL, row INTEGER NOT NULL);
CREATE INDEX attributes_by_value ON attributes (key, value, row);
CREATE INDEX attributes_of ON attributes (row);
"""
FLOATS, TERMS = np.dtype("<f4"), np.dtype("<u4")

AT_ONCE = 4096
"""Embeddings that are read and compared at once."""


class Record(NamedTuple):
    """A document, as the catalogue knows it."""

    number: int
    tenant: str
    info: DocumentInfo


class PassageCatalogue:
    """An open database, for embeddings of `dimension` numbers."""

    def __init__(self, file: Path, dimension: int, words: Bm25) -> None:
        """Blocks; the file is made if it is not there.

        Raises:
            sqlite3.Error: It is no database, or cannot be used.
        """
        self._db = sqlite3.connect(file, isolation_level=None)
        self._dimension = dimension
        self._words = words
        try:
            self._prepare()
            (self.id,) = self._one("SELECT value FROM facts WHERE name = 'catalogue'")
            (last,) = self._one("SELECT max(seq) FROM sqlite_sequence") or (None,)
        except BaseException:
            self._db.close()
            raise
        self._last_row: int = last or 0
        self._counts: dict[int | None, int] = {}

    def _prepare(self) -> None:
        for setting in (
            "auto_vacuum = INCREMENTAL",  # what was deleted leaves no room behind
            "secure_delete = ON",  # nor its text
            "journal_mode = WAL",
            "synchronous = NORMAL",  # a commit does not wait for the disk, `flush` does
        ):
            self._db.execute(f"PRAGMA {setting}")
        (version,) = self._one("PRAGMA user_version")
        if not version:
            self._db.executescript(
                f"BEGIN; {SCHEMA} INSERT INTO facts VALUES ('catalogue', '{uuid4()}');"
                f" PRAGMA user_version = {FORMAT}; COMMIT;"
            )
        self._db.execute("PRAGMA incremental_vacuum").fetchall()

    # Writing

    @contextmanager
    def writing(self) -> Generator[None]:
        """A transaction: all that is written in it counts at once, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        self._counts.clear()
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite itself ends it where the disk is full
                self._db.execute("ROLLBACK")
            raise

    def record(self, tenant: str, source: str) -> Record | None:
        """What is known of a document, whoever may see it."""
        found = self._one(
            "SELECT number, tenant, info FROM documents WHERE id = ?",
            (document_id(tenant, source),),
        )
        return found and Record(found[0], found[1], DocumentInfo.model_validate_json(found[2]))

    def add(
        self, tenant: str, document: DocumentInfo, passages: Sequence[IndexedPassage]
    ) -> tuple[Rows, list[list[str]]]:
        """Writes a document that is not there; returns its passages' rows, and who finds each."""
        cursor = self._db.execute(
            "INSERT INTO documents (id, tenant, info) VALUES (?, ?, ?)",
            (document_id(tenant, document.source), tenant, document.model_dump_json()),
        )
        number = cursor.lastrowid
        keys = finders(["record"], tenant, document.labels)
        self._db.executemany("INSERT INTO readers VALUES (?, ?)", [(number, key) for key in keys])
        rows = range(self._last_row + 1, self._last_row + 1 + len(passages))
        self._last_row += len(passages)
        to = [finders(each.levels, tenant, document.labels) for each in passages]
        self._db.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (_passage_line(row, number, each) for row, each in zip(rows, passages, strict=True)),
        )
        for row, each, keys in zip(rows, passages, to, strict=True):
            self._index(row, each, keys)
        return np.array(rows, np.int64), to

    def _index(self, row: int, indexed: IndexedPassage, keys: Sequence[str]) -> None:
        weights = self._words.embed_document(indexed.words, indexed.passage.language)
        terms = np.array(weights.indices, TERMS)
        self._db.execute(
            "INSERT INTO vectors VALUES (?, ?, ?)",
            (row, indexed.vector.astype(FLOATS).tobytes(), terms.tobytes()),
        )
        self._db.executemany(
            "INSERT INTO postings VALUES (?, ?, ?)",
            [
                (term, row, weight)
                for term, weight in zip(weights.indices, weights.values, strict=True)
            ],
        )
        self._db.executemany("INSERT INTO finders VALUES (?, ?)", [(key, row) for key in keys])
        self._db.executemany(
            "INSERT INTO attributes VALUES (?, ?, ?)",
            [(key, value, row) for key, value in filterable(indexed.passage)],
        )

    def remove(self, number: int) -> Rows:
        """Removes a document; returns the rows that its passages had."""
        found = self._db.execute(
            "SELECT row, terms FROM vectors JOIN passages USING (row) WHERE document = ?", (number,)
        ).fetchall()
        rows = [(row,) for row, _ in found]
        self._db.executemany(
            "DELETE FROM postings WHERE term = ? AND row = ?",
            ((term, row) for row, blob in found for term in np.frombuffer(blob, TERMS).tolist()),
        )
        for table in ("finders", "attributes", "vectors", "passages"):
            self._db.executemany(f"DELETE FROM {table} WHERE row = ?", rows)
        self._db.execute("DELETE FROM readers WHERE document = ?", (number,))
        self._db.execute("DELETE FROM documents WHERE number = ?", (number,))
        return np.array([row for (row,) in rows], np.int64)

    def describe(self, number: int, info: DocumentInfo) -> None:
        """Changes what is said of a document; its labels stay."""
        self._db.execute(
            "UPDATE documents SET info = ? WHERE number = ?", (info.model_dump_json(), number)
        )

    def flush(self) -> None:
        """Brings what was committed to disk."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Closes the database."""
        self.flush()
        self._db.close()

    # Reading for a principal

    def find(self, principal: Principal, sources: Sequence[str]) -> dict[str, DocumentInfo]:
        """As `PassageStore.find`."""
        names = json.dumps([document_id(principal.tenant, source) for source in sources])
        which = join(Sql("id IN (SELECT value FROM json_each(?))", (names,)), readable(principal))
        infos = self._infos(f"SELECT info FROM documents WHERE {which.text}", which.values)
        return {info.source: info for info in infos}

    def page(
        self, principal: Principal, limit: int, after: str | None
    ) -> tuple[list[DocumentInfo], str | None]:
        """As `PassageStore.page`; the cursor is the last document's id."""
        which = join(Sql("id > ?", (after or "",)), readable(principal))
        infos = self._infos(
            f"SELECT info FROM documents WHERE {which.text} ORDER BY id LIMIT ?",
            (*which.values, limit + 1),
        )
        page = infos[:limit]
        more = len(infos) > limit
        return page, document_id(principal.tenant, page[-1].source) if more else None

    def read(
        self, principal: Principal, source: str, where: Filter | None, limit: int
    ) -> list[Passage]:
        """As `PassageStore.read`."""
        which = join(
            Sql(
                "document IN (SELECT number FROM documents WHERE id = ?)",
                (document_id(principal.tenant, source),),
            ),
            seen(principal, "passage"),
            *filtered(where),
        )
        return self._passages(which, "position", limit)

    def newest(self, principal: Principal, where: Filter | None, limit: int) -> list[Passage]:
        """As `PassageStore.newest`."""
        which = join(Sql("time IS NOT NULL"), seen(principal, "passage"), *filtered(where))
        return self._passages(which, "time DESC", limit)

    def get(self, principal: Principal, ids: Sequence[str]) -> list[Passage]:
        """As `PassageStore.get`."""
        which = join(
            Sql("id IN (SELECT value FROM json_each(?))", (json.dumps([*ids]),)),
            seen(principal, "passage", "section", "document"),
        )
        return self._passages(which, "row", -1)

    # Searching

    def all_rows(self) -> Rows:
        """The rows of all tenants."""
        return self._numbers("SELECT row FROM passages", ())

    def known(self, rows: Rows) -> Rows:
        """Those of the rows that are there, in their order."""
        there = self._numbers(
            "SELECT row FROM passages WHERE row IN (SELECT value FROM json_each(?))",
            (json.dumps(rows.tolist()),),
        )
        return rows[np.isin(rows, there)]

    def visible(self, query: Query) -> Rows:
        """The rows that a search may find, in no order."""
        keys = found_by(query)
        which = join(Sql(f"p.key IN ({marks(keys)})", tuple(keys)), *narrowed(query))
        return self._numbers(
            f"SELECT DISTINCT p.row FROM finders AS p WHERE {which.text}",
            which.values,
        )

    def vectors(self, rows: Rows) -> Vectors:
        """The embeddings of rows, in their order."""
        found = dict[int, bytes](
            self._db.execute(
                "SELECT row, vector FROM vectors WHERE row IN (SELECT value FROM json_each(?))",
                (json.dumps(rows.tolist()),),
            )
        )
        blobs = b"".join(found[row] for row in rows.tolist())
        return np.frombuffer(blobs, FLOATS).reshape(len(rows), self._dimension)

    def finders(self, rows: Rows) -> list[list[str]]:
        """Who finds each of the rows."""
        ask = "SELECT key FROM finders WHERE row = ?"
        return [[key for (key,) in self._db.execute(ask, (row,))] for row in rows.tolist()]

    def nearest(self, query: Query, vector: Vector) -> tuple[Rows, Vector]:
        """As `VectorIndex.search`, by comparing with every row that the search may find."""
        which = join(among(found_by(query)), *narrowed(query))
        rows_found = self._db.execute(
            f"SELECT row, vector FROM vectors AS p WHERE {which.text}",
            which.values,
        )
        rows, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        while some := rows_found.fetchmany(AT_ONCE):
            numbers, blobs = zip(*some, strict=True)
            matrix = np.frombuffer(b"".join(blobs), FLOATS).reshape(-1, self._dimension)
            rows = np.concatenate([rows, np.array(numbers, np.int64)])
            scores = np.concatenate([scores, matrix @ vector])
            best = np.lexsort((rows, -scores))[: query.limit]
            rows, scores = rows[best], scores[best]
        return rows, scores

    def matching(self, query: Query) -> list[tuple[int, float]]:
        """The rows that BM25 puts first of those that the search may find, and their scores.

        The inverse document frequency of a term that n of N rows have is
        ln(1 + (N - n + 0.5) / (n + 0.5)), of all rows in the catalogue, as Qdrant's.
        """
        asked = self._words.embed_query(query.words or "")
        weights: list[int | float] = []
        for term, weight in zip(asked.indices, asked.values, strict=True):
            there = self._having(term)
            rarity = math.log(1 + (self._having(None) - there + 0.5) / (there + 0.5))
            weights += [term, weight * rarity]
        if not weights:
            return []
        which = join(found(query), *narrowed(query))
        # Added up first, since a row that is looked at has many postings.
        return self._db.execute(
            f"WITH asked (term, weight) AS (VALUES {', '.join(['(?, ?)'] * len(asked.indices))}),"
            " scored AS MATERIALIZED (SELECT row, sum(postings.weight * asked.weight) AS score"
            " FROM asked CROSS JOIN postings USING (term) GROUP BY row)"
            f" SELECT row, score FROM scored AS p WHERE {which.text}"
            " ORDER BY score DESC, row LIMIT ?",
            (*weights, *which.values, query.limit),
        ).fetchall()

    def stored(self, rows: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Of rows that are there, the passage's id and its JSON."""
        found = self._db.execute(
            "SELECT row, id, passage FROM passages WHERE row IN (SELECT value FROM json_each(?))",
            (json.dumps([*rows]),),
        )
        return {row: (id_, passage) for row, id_, passage in found}

    # Moving to another store

    def documents(self, limit: int, after: str | None) -> list[tuple[str, Record]]:
        """Documents of all tenants, ordered by their ids."""
        found = self._db.execute(
            "SELECT id, number, tenant, info FROM documents WHERE id > ? ORDER BY id LIMIT ?",
            (after or "", limit),
        ).fetchall()
        return [
            (id_, Record(number, tenant, DocumentInfo.model_validate_json(info)))
            for id_, number, tenant, info in found
        ]

    def passages_of(self, number: int) -> list[IndexedPassage]:
        """The passages of a document, as they were put, by position."""
        found = self._db.execute(
            "SELECT passage, lead, vector, levels FROM passages JOIN vectors USING (row)"
            " WHERE document = ? ORDER BY position, row",
            (number,),
        )
        return [_indexed(*each) for each in found]

    def _having(self, term: int | None) -> int:
        """How many rows have a term, or how many there are; remembered until the next change."""
        count = self._counts.get(term)
        if count is None:
            if term is None:
                (count,) = self._one("SELECT count(*) FROM passages")
            else:
                (count,) = self._one("SELECT count(*) FROM postings WHERE term = ?", (term,))
            self._counts[term] = count
        return count

    def _numbers(self, sql: str, values: Sequence[Any]) -> Rows:
        return np.fromiter((row for (row,) in self._db.execute(sql, values)), np.int64)

    def _one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        return self._db.execute(sql, values).fetchone()

    def _infos(self, sql: str, values: Sequence[Any]) -> list[DocumentInfo]:
        return [DocumentInfo.model_validate_json(info) for (info,) in self._db.execute(sql, values)]

    def _passages(self, which: Sql, order: str, limit: int) -> list[Passage]:
        found = self._db.execute(
            f"SELECT passage FROM passages AS p WHERE {which.text} ORDER BY {order} LIMIT ?",
            (*which.values, limit),
        )
        return [Passage.model_validate_json(passage) for (passage,) in found]


def _passage_line(row: int, document: int | None, indexed: IndexedPassage) -> tuple[Any, ...]:
    passage = indexed.passage
    time = None if passage.time is None else microseconds(passage.time)
    levels = " ".join(indexed.levels)
    return (
        row,
        document,
        passage.id,
        passage.position,
        time,
        levels,
        indexed.lead,
        written(passage),
    )


def _indexed(passage: str, lead: str, vector: bytes, levels: str) -> IndexedPassage:
    made = Passage.model_validate_json(passage)
    as_what: Any = tuple(levels.split())
    embedding = np.frombuffer(vector, FLOATS).astype(np.float32)
    return IndexedPassage(made, lead + made.text, embedding, as_what)
