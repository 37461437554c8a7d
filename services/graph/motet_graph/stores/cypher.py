"""The Cypher that the store is made of: the same for every server.

Statements of a document are reached through its passages and what they mention, so that no index
on relations is needed. Nodes are found by an id that begins with their tenant; a tenant has no line
feed, so no two tenants have an id in common.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

import numpy as np

from motet.messages import Passage
from motet_graph.statements import (
    DocumentPart,
    Mention,
    StoredPassage,
    StoredStatement,
    Vector,
)
from motet_graph.stores.port import EntityRecord

__all__ = [
    "ENTITIES",
    "FIND",
    "FORGET_ENTITIES",
    "HOLD",
    "LOAD",
    "MADE_BY_OTHERS",
    "NOTHING_LEFT",
    "OLD",
    "OTHERS",
    "PUT_DOCUMENT",
    "PUT_ENTITIES",
    "REMOVE",
    "REMOVE_DOCUMENTS",
    "RENEW_DOCUMENT",
    "RENEW_ENTITIES",
    "REVISION",
    "REVISIONS",
    "REVISIONS_OF",
    "SCAN",
    "TOUCH",
    "entity_rows_of",
    "ids_of",
    "packed",
    "parts_of",
    "renewed_rows_of",
    "rows_of",
    "unpacked",
]

Row = Mapping[str, Any]

REVISIONS = (
    "MATCH (d:Document) WHERE d.tenant = $tenant "
    "RETURN d.source AS source, d.revision AS revision, d.fingerprint AS fingerprint, "
    "d.model AS model"
)
REVISIONS_OF = (
    "UNWIND $ids AS id MATCH (d:Document {id: id}) "
    "RETURN d.source AS source, d.revision AS revision, d.fingerprint AS fingerprint, "
    "d.model AS model"
)
MADE_BY_OTHERS = (
    "MATCH (d:Document) WHERE d.model IS NULL OR d.model <> $model "
    "RETURN d.tenant AS tenant, d.source AS source"
)
REVISION = "MATCH (t:Tenant {id: $tenant}) RETURN t.revision AS revision"
TOUCH = "MERGE (t:Tenant {id: $tenant}) SET t.revision = $revision"
"""Says that what a tenant has is another; the last statement that changes anything, so that those
who change it wait for each other as shortly as can be."""
NOTHING_LEFT = (
    "MATCH (t:Tenant {id: $tenant}) "
    "WHERE NOT EXISTS { MATCH (d:Document) WHERE d.tenant = $tenant } DELETE t"
)
OTHERS = "MATCH (d:Document) WHERE d.tenant <> $tenant RETURN d.tenant AS tenant LIMIT 1"
"""A row where another tenant has a document, and so anything."""
OLD = "MATCH (d:Document) WHERE d.tenant IS NULL RETURN d.source AS source LIMIT 1"
"""A row where an earlier version, which knew no tenants, has stored a document."""
HOLD = "UNWIND $ids AS id MATCH (d:Document {id: id}) SET d.tenant = $tenant"
"""Changes nothing, and has whoever would change the documents wait until the transaction ends."""

FIND = (
    "UNWIND $ids AS id MATCH (d:Document {id: id})-[:HAS]->(p:Passage) "
    "OPTIONAL MATCH (p)-[:MENTIONS]->(e:Entity) "
    "RETURN collect(DISTINCT e.id) AS entities, count(p) AS passages"
)
"""Ids of the entities that documents mention, and more than 0 where there is anything of them."""

PUT_ENTITIES = (
    "UNWIND $rows AS row MERGE (e:Entity {id: row.id}) "
    "ON CREATE SET e.tenant = $tenant, e.key = row.key, e.name = row.name, e.vector = row.vector, "
    "e.model = row.model "
    "WITH e, row WHERE e.model IS NULL OR e.model <> row.model "
    "SET e.vector = row.vector, e.model = row.model"
)
PUT_DOCUMENT = (
    "MERGE (d:Document {id: $id}) SET d.tenant = $tenant, d.source = $source, "
    "d.fingerprint = $fingerprint, d.revision = $revision, d.model = $model"
)
RENEW_ENTITIES = (
    "UNWIND $rows AS row MATCH (e:Entity {id: row.id}) "
    "WHERE e.model IS NULL OR e.model <> row.model "
    "SET e.vector = row.vector, e.model = row.model"
)
RENEW_DOCUMENT = "MATCH (d:Document {id: $id}) SET d.revision = $revision, d.model = $model"
_RENEW_PASSAGES = "UNWIND $rows AS row MATCH (p:Passage {key: row.key}) SET p.vector = row.vector"
_RENEW_STATEMENTS = (
    "UNWIND $rows AS row MATCH (s:Entity {id: row.subject})"
    "-[r:RELATES {passage: row.passage, predicate: row.predicate}]->(o:Entity {id: row.object}) "
    "SET r.vector = row.vector"
)
_PUT_PASSAGES = (
    "MATCH (d:Document {id: $document}) UNWIND $rows AS row "
    "MERGE (p:Passage {key: row.key}) SET p.id = row.id, p.tenant = $tenant, p.source = $source, "
    "p.title = row.title, p.text = row.text, p.position = row.position, "
    "p.detail = row.detail, p.titled = row.titled, p.vector = row.vector "
    "MERGE (d)-[:HAS]->(p)"
)
_PUT_MENTIONS = (
    "UNWIND $rows AS row MATCH (p:Passage {key: row.passage}) MATCH (e:Entity {id: row.entity}) "
    "MERGE (p)-[m:MENTIONS {name: row.name}]->(e)"
)
_PUT_STATEMENTS = (
    "UNWIND $rows AS row MATCH (s:Entity {id: row.subject}) MATCH (o:Entity {id: row.object}) "
    "MERGE (s)-[r:RELATES {passage: row.passage, predicate: row.predicate}]->(o) "
    "SET r.source = $source, r.text = row.text, r.vector = row.vector"
)
_PUT_ALIASES = (
    "UNWIND $rows AS row MATCH (s:Entity {id: row.one}) MATCH (o:Entity {id: row.other}) "
    "MERGE (s)-[r:SAME_AS {passage: row.passage}]->(o) SET r.source = $source"
)

REMOVE = (
    (
        "UNWIND $ids AS id "
        "MATCH (d:Document {id: id})-[:HAS]->(p:Passage)-[:MENTIONS]->(e:Entity)"
        "-[r:RELATES]->() WHERE r.passage = p.key DELETE r"
    ),
    (
        "UNWIND $ids AS id "
        "MATCH (d:Document {id: id})-[:HAS]->(p:Passage)-[:MENTIONS]->(e:Entity)"
        "-[r:SAME_AS]->() WHERE r.passage = p.key DELETE r"
    ),
    ("UNWIND $ids AS id MATCH (d:Document {id: id})-[:HAS]->(p:Passage) DETACH DELETE p"),
)
"""Removes what documents have, all but their entities."""

REMOVE_DOCUMENTS = "UNWIND $ids AS id MATCH (d:Document {id: id}) DETACH DELETE d"

FORGET_ENTITIES = "UNWIND $ids AS id MATCH (e:Entity {id: id}) WHERE NOT (e)--() DELETE e"
"""Removes those of the entities that nothing mentions. It does not detach: what another
transaction has just begun to mention makes this one fail and try again."""

LOAD = (
    (
        "UNWIND $ids AS id MATCH (d:Document {id: id}) "
        "RETURN d.source AS source, d.revision AS revision, d.fingerprint AS fingerprint, "
        "d.model AS model"
    ),
    (
        "UNWIND $ids AS id MATCH (d:Document {id: id})-[:HAS]->(p:Passage) "
        "RETURN d.source AS source, p.key AS key, p.id AS id, p.title AS title, p.text AS text, "
        "p.position AS position, p.detail AS detail, p.titled AS titled, p.vector AS vector"
    ),
    (
        "UNWIND $ids AS id "
        "MATCH (d:Document {id: id})-[:HAS]->(p:Passage)-[m:MENTIONS]->(e:Entity) "
        "RETURN p.key AS passage, e.key AS key, m.name AS name"
    ),
    (
        "UNWIND $ids AS id "
        "MATCH (d:Document {id: id})-[:HAS]->(p:Passage)-[:MENTIONS]->(s:Entity)"
        "-[r:RELATES]->(o:Entity) WHERE r.passage = p.key "
        "RETURN r.passage AS passage, s.key AS subject, r.predicate AS predicate, "
        "o.key AS object, r.text AS text, r.vector AS vector"
    ),
    (
        "UNWIND $ids AS id "
        "MATCH (d:Document {id: id})-[:HAS]->(p:Passage)-[:MENTIONS]->(s:Entity)"
        "-[r:SAME_AS]->(o:Entity) WHERE r.passage = p.key "
        "RETURN r.passage AS passage, s.key AS one, o.key AS other"
    ),
)
"""Documents, passages, mentions, statements and aliases of some sources."""

SCAN = (
    (
        "MATCH (s:Entity)-[r:RELATES]->(o:Entity) WHERE s.tenant = $tenant "
        "RETURN r.source AS source, r.passage AS passage, s.key AS subject, "
        "r.predicate AS predicate, o.key AS object, r.text AS text, r.vector AS vector"
    ),
    (
        "MATCH (s:Entity)-[r:SAME_AS]->(o:Entity) WHERE s.tenant = $tenant "
        "RETURN r.source AS source, r.passage AS passage, s.key AS one, o.key AS other"
    ),
)
"""Every statement and alias of a tenant: what the last two of `LOAD` give, cheaper where most are
wanted."""

ENTITIES = (
    "UNWIND $ids AS id MATCH (e:Entity {id: id}) "
    "RETURN e.key AS key, e.name AS name, e.vector AS vector, e.model AS model"
)


def ids_of(tenant: str, names: Iterable[str]) -> list[str]:
    """Ids of a tenant's documents, from their sources, or of its entities, from their keys."""
    return [f"{tenant}\n{name}" for name in names]


def entity_rows_of(tenant: str, entities: Mapping[str, EntityRecord]) -> list[dict[str, Any]]:
    """What is put of entities, in an order that all share, so that no two wait for each other."""
    return [
        {
            "id": f"{tenant}\n{key}",
            "key": key,
            "name": each.name,
            "vector": packed(each.vector),
            "model": each.model,
        }
        for key, each in sorted(entities.items(), key=itemgetter(0))
    ]


def rows_of(tenant: str, part: DocumentPart) -> dict[str, list[dict[str, Any]]]:
    """What is put of a document: rows for each statement, in the order of putting."""
    passages: list[dict[str, Any]] = []
    mentions: list[dict[str, Any]] = []
    statements: list[dict[str, Any]] = []
    aliases: list[dict[str, Any]] = []
    for stored in part.passages:
        passage = stored.passage
        key = f"{tenant}\n{part.source}\n{passage.id}"
        passages.append(
            {
                "key": key,
                "id": passage.id,
                "title": passage.title,
                "text": passage.text,
                "position": passage.position,
                "detail": json.dumps([passage.section, passage.start, passage.end]),
                "titled": stored.titled,
                "vector": packed(stored.vector),
            }
        )
        mentions += [
            {"passage": key, "entity": f"{tenant}\n{each.key}", "name": each.name}
            for each in stored.mentions
        ]
        statements += [
            {
                "passage": key,
                "subject": f"{tenant}\n{each.subject}",
                "predicate": each.predicate,
                "object": f"{tenant}\n{each.object}",
                "text": each.text,
                "vector": packed(each.vector),
            }
            for each in stored.statements
        ]
        aliases += [
            {"passage": key, "one": f"{tenant}\n{one}", "other": f"{tenant}\n{other}"}
            for one, other in stored.aliases
        ]
    return {
        _PUT_PASSAGES: passages,
        _PUT_MENTIONS: mentions,
        _PUT_STATEMENTS: statements,
        _PUT_ALIASES: aliases,
    }


def renewed_rows_of(tenant: str, part: DocumentPart) -> dict[str, list[dict[str, Any]]]:
    """The vectors of a document: rows for each statement."""
    rows = rows_of(tenant, part)
    found = (
        (_RENEW_PASSAGES, rows[_PUT_PASSAGES], ("key", "vector")),
        (
            _RENEW_STATEMENTS,
            rows[_PUT_STATEMENTS],
            ("passage", "subject", "predicate", "object", "vector"),
        ),
    )
    return {
        statement: [{name: row[name] for name in wanted} for row in put]
        for statement, put, wanted in found
    }


def parts_of(
    documents: Iterable[Row],
    passages: Iterable[Row],
    mentions: Iterable[Row],
    statements: Iterable[Row],
    aliases: Iterable[Row],
) -> list[DocumentPart]:
    """Documents from the rows of `LOAD`."""
    mentioned: dict[str, list[Mention]] = defaultdict(list)
    for each in mentions:
        mentioned[each["passage"]].append(Mention(each["key"], each["name"]))
    # A statement is met once for each spelling of its subject in the passage.
    stated: dict[str, dict[tuple[str, str, str], StoredStatement]] = defaultdict(dict)
    for each in statements:
        key = each["subject"], each["predicate"], each["object"]
        stated[each["passage"]][key] = StoredStatement(*key, unpacked(each["vector"]), each["text"])
    same: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for each in aliases:
        same[each["passage"]].append((each["one"], each["other"]))
    held: dict[str, list[StoredPassage]] = defaultdict(list)
    for each in passages:
        place = each["key"]
        held[each["source"]].append(
            StoredPassage(
                _passage(each),
                unpacked(each["vector"]),
                tuple(sorted(mentioned[place])),
                tuple(stated[place][key] for key in sorted(stated[place])),
                tuple(sorted(set(same[place]))),
                each["titled"] is not False,
            )
        )
    return [
        DocumentPart(
            each["source"],
            each["fingerprint"],
            each["revision"],
            tuple(sorted(held[each["source"]], key=_place)),
            each["model"],
        )
        for each in documents
    ]


def _place(stored: StoredPassage) -> tuple[int, str]:
    return stored.passage.position, stored.passage.id


def _passage(row: Row) -> Passage:
    section, start, end = json.loads(row["detail"])
    return Passage(
        id=row["id"],
        source=row["source"],
        title=row["title"],
        text=row["text"],
        section=tuple(section),
        position=row["position"],
        start=start,
        end=end,
    )


def packed(vector: Vector | None) -> bytes | None:
    """A vector as a property: half precision, which costs a cosine about 0.0005."""
    return None if vector is None else vector.astype("<f2").tobytes()


def unpacked(stored: bytes | None) -> Vector | None:
    """A vector from a property."""
    return None if stored is None else np.frombuffer(stored, "<f2").astype(np.float32)
