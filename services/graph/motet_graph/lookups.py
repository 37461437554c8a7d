"""Lookups: an entity, what is stated around it, and how two are connected.

They read the map of the graph, so that all names of an entity are one, and a path may change from
one name to another of the same entity. Statements are read in both directions.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence

from motet.errors import FaultError
from motet.messages import (
    EntityRequest,
    EntityResult,
    FaultType,
    GraphEntity,
    GraphPath,
    GraphStatement,
    NeighbourhoodRequest,
    NeighbourhoodResult,
    PathsRequest,
    PathsResult,
)
from motet_graph import names
from motet_graph.graph_map import GraphMap
from motet_graph.uncased import with_literal

__all__ = ["entity", "neighbourhood", "paths"]

MAX_ALIASES = 50
MAX_PASSAGES_OF_STATEMENT = 20
MAX_CANDIDATES = 500
"""Paths that are compared, of those that are equally short."""
SUGGESTIONS = 5
LIKE = 0.6
"""Likeness (Ratcliff and Obershelp) from which a name is suggested for one that is not there."""


def entity(graph: GraphMap, request: EntityRequest) -> EntityResult:
    """An entity and the passages that say most of it.

    Raises:
        FaultError: `not_found`; its detail has names that are like it.
    """
    graph = with_literal(graph, request.name)
    places = _places(graph, request.name)
    in_turn = itertools.zip_longest(*(graph.entities[place].passages for place in places))
    passages = dict.fromkeys(each for turn in in_turn for each in turn if each is not None)
    return EntityResult(
        entity=_entity(graph, places[0]),
        passages=tuple(graph.passages[each] for each in itertools.islice(passages, request.limit)),
        namesakes=tuple(_entity(graph, place) for place in places[1:]),
    )


def neighbourhood(graph: GraphMap, request: NeighbourhoodRequest) -> NeighbourhoodResult:
    """The statements around an entity, and around others of that name, the nearest first.

    Raises:
        FaultError: `not_found`.
    """
    graph = with_literal(graph, request.name)
    starts = _places(graph, request.name)
    seen, edge = set(starts), [*starts]
    found: dict[tuple[int, str, int], list[int]] = {}
    for _ in range(request.depth):
        beyond: list[int] = []
        for place in edge:
            for number in graph.around[place]:
                fact = graph.facts[number]
                key = (fact.subject, fact.predicate, fact.object)
                if key not in found and len(found) >= request.limit:
                    continue
                found.setdefault(key, []).append(fact.passage)
                for end in (fact.subject, fact.object):
                    if end not in seen:
                        seen.add(end)
                        beyond.append(end)
        edge = beyond
    near = {end for subject, _, obj in found for end in (subject, obj)} - {starts[0]}
    return NeighbourhoodResult(
        entity=_entity(graph, starts[0]),
        entities=tuple(_entity(graph, place) for place in sorted(near)),
        statements=tuple(
            _statement(graph, subject, predicate, obj, passages)
            for (subject, predicate, obj), passages in found.items()
        ),
    )


def paths(graph: GraphMap, request: PathsRequest) -> PathsResult:
    """The shortest paths between two entities, those through less common entities first.

    There is none where they are further apart than `max_length`, or the same entity.

    Raises:
        FaultError: `not_found`.
    """
    graph = with_literal(with_literal(graph, request.start), request.end)
    starts, ends = _places(graph, request.start), _places(graph, request.end)
    every = [
        path
        for start, end in itertools.product(starts, ends)
        for path in _shortest(graph, start, end, request.max_length)
    ]
    found = sorted(every, key=lambda path: (len(path), *_common(graph, path)))[: request.limit]
    passages: dict[str, int] = {}
    shown: list[GraphPath] = []
    for path in found:
        statements = [_between(graph, one, other) for one, other in itertools.pairwise(path)]
        shown.append(
            GraphPath(
                entities=tuple(graph.entities[place].name for place in path),
                statements=tuple(statement for statement, _ in statements),
                joined_by_name=tuple(_joined_by_name(graph, path)),
            )
        )
        for _, stating in statements:
            passages.update((graph.passages[each].id, each) for each in stating[:1])
    return PathsResult(
        paths=tuple(shown), passages=tuple(graph.passages[each] for each in passages.values())
    )


def _joined_by_name(graph: GraphMap, path: Sequence[int]) -> Iterator[str]:
    """See `GraphPath.joined_by_name`."""
    stating = [_documents(graph, *pair) for pair in itertools.pairwise(path)]
    for place, (before, after) in zip(path[1:-1], itertools.pairwise(stating), strict=True):
        if before.isdisjoint(after):
            yield graph.entities[place].name


def _documents(graph: GraphMap, one: int, other: int) -> set[str]:
    """The documents that state something of two entities."""
    facts = (graph.facts[number] for number in graph.around[one])
    return {
        graph.passages[fact.passage].source
        for fact in facts
        if {fact.subject, fact.object} == {one, other}
    }


def _places(graph: GraphMap, name: str) -> tuple[int, ...]:
    places = graph.entities_of(name)
    if not places:
        key = names.key(name)
        like = difflib.get_close_matches(key, graph.meanings, SUGGESTIONS, LIKE)
        near = list(
            dict.fromkeys(
                graph.entities[place].name for each in like for place in graph.meanings[each]
            )
        )
        hint = f" There is {', '.join(map(repr, near))}." if near else ""
        raise FaultError.of(
            FaultType.NOT_FOUND, f"The graph knows no entity {name!r}.{hint}", near=near
        )
    return places


def _entity(graph: GraphMap, place: int) -> GraphEntity:
    known = graph.entities[place]
    return GraphEntity(
        name=known.name, aliases=known.names[1 : 1 + MAX_ALIASES], passages=len(known.passages)
    )


def _statement(
    graph: GraphMap, subject: int, predicate: str, obj: int, passages: Iterable[int]
) -> GraphStatement:
    ids = dict.fromkeys(graph.passages[each].id for each in passages)
    return GraphStatement(
        subject=graph.entities[subject].name,
        predicate=predicate,
        object=graph.entities[obj].name,
        passages=tuple(ids)[:MAX_PASSAGES_OF_STATEMENT],
    )


def _neighbours(graph: GraphMap, place: int) -> set[int]:
    return {
        end
        for number in graph.around[place]
        for end in (graph.facts[number].subject, graph.facts[number].object)
    } - {place}


def _shortest(graph: GraphMap, start: int, end: int, most: int) -> list[list[int]]:
    """All shortest paths of at most `most` statements, or the first `MAX_CANDIDATES`."""
    if start == end:
        return []
    distance = {end: 0}
    queue = deque([end])
    while queue and start not in distance:
        place = queue.popleft()
        if distance[place] == most:
            break
        for neighbour in _neighbours(graph, place):
            if neighbour not in distance:
                distance[neighbour] = distance[place] + 1
                queue.append(neighbour)
    found: list[list[int]] = []
    begun: list[list[int]] = [[start]] if start in distance else []
    while begun and len(found) < MAX_CANDIDATES:
        path = begun.pop()
        if path[-1] == end:
            found.append(path)
            continue
        nearer = distance[path[-1]] - 1
        begun += [
            [*path, each]
            for each in sorted(_neighbours(graph, path[-1]), reverse=True)
            if distance.get(each) == nearer
        ]
    return found


def _common(graph: GraphMap, path: list[int]) -> tuple[float, list[int]]:
    """How common the entities within a path are; many statements lead through a country."""
    return sum(math.log(1 + len(graph.around[place])) for place in path[1:-1]), path


def _between(graph: GraphMap, one: int, other: int) -> tuple[GraphStatement, list[int]]:
    """The statement that most passages make of two entities, and these passages."""
    stated: dict[tuple[int, str, int], list[int]] = defaultdict(list)
    for number in graph.around[one]:
        fact = graph.facts[number]
        if {fact.subject, fact.object} == {one, other}:
            stated[fact.subject, fact.predicate, fact.object].append(fact.passage)
    key = min(stated, key=lambda each: (-len(stated[each]), not each[1], each))
    return _statement(graph, *key, stated[key]), stated[key]
