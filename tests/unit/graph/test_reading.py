"""Read-only Cypher: what is refused, and that what is accepted arrives as it was written."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_graph.reading.parser import checked
from motet_graph.reading.tokens import QueryError, tokens, written
from tests.unit.graph.hostile import HOSTILE

READS = (
    "MATCH (e:Entity {key: 'x'}) RETURN e",
    (
        "MATCH (a:Entity)-[r:RELATES]->(b:Entity) WHERE a.name CONTAINS 'x' AND NOT b.name = \"y\" "
        "RETURN a.name, r.predicate AS p, b.name ORDER BY p DESC SKIP 1 LIMIT 10"
    ),
    (
        "MATCH p = shortestPath((a:Entity {key:$a})-[:RELATES|SAME_AS*1..4]-(b:Entity {key:$b})) "
        "RETURN [n IN nodes(p) | n.name] AS names, length(p)"
    ),
    "MATCH (d:Document)-[:HAS]->(p:Passage) WITH d, count(p) AS n WHERE n > 2 RETURN d.source, n",
    (
        "MATCH (e:Entity) WHERE (e)-[:RELATES]->(:Entity) AND "
        "EXISTS { MATCH (e)<-[:MENTIONS]-(:Passage) } RETURN count(*)"
    ),
    (
        "UNWIND $a AS x MATCH (e:Entity) WHERE e.key IN [x, 'b'] "
        "RETURN CASE WHEN e.name IS NOT NULL THEN 1 ELSE 2 END AS y UNION ALL RETURN 2 AS y"
    ),
    "MATCH (e)--(f), (f)-->(g), (g)<--(e) RETURN DISTINCT e",
    "MATCH (e) RETURN -1.5e3 * (1 + 2) % 3, {a: 1}, e.name[0..3], all(x IN [1] WHERE x > 0)",
    "MATCH (e:Entity) WHERE COUNT { (e)--() } > 3 AND e:Entity RETURN collect(e.name)[..5]",
    "MATCH (e:Entity) WHERE e.name STARTS WITH 'CREATE // not a comment; \u2028 ünïcode' RETURN *",
)


@pytest.mark.parametrize("query", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_strings_are_refused(query: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(QueryError):
        checked(query, {"a": 1})
    assert time.perf_counter() - begun < 1


def test_there_are_enough_of_them() -> None:
    assert len(set(HOSTILE)) >= 150


@pytest.mark.parametrize("query", READS)
def test_reading_is_accepted(query: str) -> None:
    assert checked(query, {"a": [], "b": "x"}) == query


def test_the_refusal_says_where_and_why() -> None:
    with pytest.raises(QueryError, match="'DELETE' at character 10"):
        checked("MATCH (n) DELETE n", {})
    with pytest.raises(QueryError, match="no label 'User'; there are Document, Entity, Passage"):
        checked("MATCH (n:User) RETURN n", {})
    with pytest.raises(QueryError, match=r"upper bound, such as \*1\.\.3"):
        checked("MATCH (a)-[*]->(b) RETURN b", {})


@given(st.text(max_size=200))
def test_any_text_is_refused_or_kept(text: str) -> None:
    try:
        kept = checked(text, {})
    except QueryError:
        return
    assert [token[:2] for token in tokens(kept)] == [token[:2] for token in tokens(text)]


_PIECES = (
    "MATCH", "RETURN", "WHERE", "CREATE", "DELETE", "SET", "CALL", "(n)", "(", ")", "[", "]", "{",
    "}", "n", "n.name", "-", "->", "<-", ":", "Entity", "RELATES", "*", "..", "1", "'x'", ",", "$p",
    "AND", "EXISTS", "WITH", "AS", "UNION", "count", "+",
)  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=25))
def test_nothing_that_writes_is_accepted(pieces: list[str]) -> None:
    query = " ".join(pieces)
    try:
        kept = checked(query, {"p": 1})
    except QueryError:
        return
    words = {token.word for token in tokens(kept)}
    assert not words & {"CREATE", "DELETE", "SET", "CALL"}
    assert written(tokens(kept)) == kept
