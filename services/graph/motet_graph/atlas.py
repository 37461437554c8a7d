"""The atlas: the newest map of each tenant's graph, drawn anew when that has changed.

Invariants:

- A map is made of its tenant's documents, and of nothing else: names, aliases and counts included.
- What this process wrote is in the next map; what another wrote is, after `refresh_s` seconds at
  most.
- Only documents that changed are read from the store again, and with them what they mention.
- Vectors of one model are on a map. What another made is there without vectors until it is renewed.
- A map is drawn when it is asked for, in a thread, once however many wait for it.
- Of at most `maps` tenants something is in memory: the one asked for longest ago makes room.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from motet_graph.embedding import mentioned, without_vectors
from motet_graph.graph_map import GraphMap, build
from motet_graph.lexical import terms
from motet_graph.statements import DocumentPart
from motet_graph.stores.port import EntityRecord, GraphStore
from motet_graph.uncased import shared

__all__ = ["Atlas"]

MAPS = 32
"""Tenants of which something is in memory, unless told otherwise."""


class Atlas:
    """Keeps the maps of a store."""

    def __init__(
        self, store: GraphStore, model: str, *, refresh_s: float, maps: int = MAPS
    ) -> None:
        """`model` is the name of the embedding model whose vectors are looked at."""
        self._store = store
        self._model = model
        self._refresh_s = refresh_s
        self._maps = maps
        self._sheets: OrderedDict[str, _Sheet] = OrderedDict()
        """By tenant, the one asked for longest ago first."""

    def changed(self, tenant: str) -> None:
        """Has the next look at a tenant's graph compare with the store."""
        if tenant in self._sheets:
            self._sheets[tenant].changed()

    async def current(self, tenant: str) -> GraphMap:
        """The map of a tenant; an empty one where it has nothing.

        Raises:
            FaultError: `unavailable` when the store does not answer.
        """
        sheet = self._sheets.get(tenant)
        if sheet is None:
            sheet = self._sheets[tenant] = _Sheet(self._store, tenant, self._model, self._refresh_s)
        self._sheets.move_to_end(tenant)
        while len(self._sheets) > self._maps:
            self._sheets.popitem(last=False)
        return await sheet.current()


class _Held(NamedTuple):
    part: DocumentPart
    words: list[Counter[str]]


class _Sheet:
    """The map of one tenant, and what it was drawn from."""

    def __init__(self, store: GraphStore, tenant: str, model: str, refresh_s: float) -> None:
        self._store = store
        self._tenant = tenant
        self._model = model
        self._refresh_s = refresh_s
        self._held: dict[str, _Held] = {}
        self._records: dict[str, EntityRecord] = {}
        self._map: GraphMap | None = None
        self._revision: str | None = None
        """Of what is held."""
        self._looked_at = float("-inf")
        self._turn = asyncio.Lock()

    def changed(self) -> None:
        self._looked_at = float("-inf")

    async def current(self) -> GraphMap:
        async with self._turn:
            now = time.monotonic()
            if self._map is not None and now - self._looked_at < self._refresh_s:
                return self._map
            # Set before looking: a change that comes meanwhile is looked for again.
            self._looked_at = now
            try:
                if await self._read() or self._map is None:
                    self._map = await asyncio.to_thread(_drawn, self._held, self._records)
            except BaseException:
                self.changed()
                raise
            return self._map

    async def _read(self) -> bool:
        """Takes over what has changed; whether anything has."""
        # Read before the documents: what changes in between is looked for again.
        revision = await self._store.revision(self._tenant)
        if revision is not None and revision == self._revision:
            return False
        there = await self._store.revisions(self._tenant)
        gone = self._held.keys() - there.keys()
        stale = [
            source
            for source, version in there.items()
            if source not in self._held or self._held[source].part.revision != version.revision
        ]
        for source in gone:
            del self._held[source]
        for part in await self._store.load(self._tenant, stale):
            words = [terms(f"{each.passage.title} {each.passage.text}") for each in part.passages]
            ours = part if part.model == self._model else without_vectors(part)
            self._held[part.source] = _Held(ours, words)
        if stale or gone:
            await self._read_entities(stale)
        self._revision = revision
        return bool(stale or gone)

    async def _read_entities(self, stale: Sequence[str]) -> None:
        """Takes over what is mentioned by documents that have changed."""
        mentions = {source: mentioned(held.part) for source, held in self._held.items()}
        keys = set().union(*mentions.values())
        for key in self._records.keys() - keys:
            del self._records[key]
        # A document that is renewed renews what it mentions.
        changed = set().union(*(mentions.get(source, ()) for source in stale))
        wanted = sorted(changed | (keys - self._records.keys()))
        for each in await self._store.entities(self._tenant, wanted):
            ours = each if each.model == self._model else each._replace(vector=None)
            self._records[each.key] = ours


def _drawn(held: Mapping[str, _Held], records: Mapping[str, EntityRecord]) -> GraphMap:
    every = sorted(held.values(), key=lambda each: each.part.source)
    # What passages share follows from all of them, so it is looked for anew.
    stored = iter(shared([passage for each in every for passage in each.part.passages]))
    parts: Sequence[tuple[DocumentPart, Sequence[Counter[str]]]] = [
        (replace(each.part, passages=tuple(islice(stored, len(each.part.passages)))), each.words)
        for each in every
    ]
    return build(parts, records)
