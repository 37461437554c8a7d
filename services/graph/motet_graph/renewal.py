"""Renewal: what another embedding model made is embedded anew, beside serving.

Invariants:

- No passage is read again: what is stored is embedded (`motet_graph.embedding`), so no chat model
  is asked.
- It is decided document by document, so a renewal may end anywhere, and goes on at the next start;
  two replicas may renew one graph.
- A document that was replaced or deleted meanwhile is left as it is then.
- It ends when nothing is left. What a replica with another model stores afterwards is renewed at
  the next start, or when it is ingested again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from opentelemetry.trace import SpanKind

from motet.errors import MotetError
from motet.messages import new_id
from motet.models import Embedder
from motet.telemetry import Tracer, names
from motet_graph.embedding import embedded, mentioned
from motet_graph.stores.port import GraphStore

__all__ = ["Renewal", "renew"]

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Documents that are loaded and embedded together."""
SAID_EVERY_S = 10.0
AGAIN_S = (1.0, 300.0)
"""Seconds after which what failed is tried again: first, and at most."""


async def renew(store: GraphStore, embedder: Embedder, tenant: str, sources: Sequence[str]) -> int:
    """Embeds documents anew of which the vectors are another model's; returns how many.

    Raises:
        FaultError: From the model or the store.
    """
    found = [each for each in await store.load(tenant, sources) if each.model != embedder.name]
    parts, records = await embedded(store, embedder, tenant, found)
    renewed = 0
    for before, part in zip(found, parts, strict=True):
        renewed += await store.renew(
            tenant,
            replace(part, revision=new_id()),
            {key: records[key] for key in mentioned(part)},
            instead_of=before.revision,
        )
    return renewed


class Renewal:
    """Renews a graph once, tenant by tenant."""

    def __init__(self, store: GraphStore, embedder: Embedder, tracer: Tracer) -> None:
        self._store = store
        self._embedder = embedder
        self._tracer = tracer
        self._renewed = 0
        self._said_at = 0.0

    async def run(self) -> None:
        """Returns when every document has vectors of the model; what fails is tried again."""
        wait_s, longest_s = AGAIN_S
        while True:
            before = self._renewed
            try:
                left = await self._store.made_by_others(self._embedder.name)
                if not left:
                    break
                self._say(len(left))
                for tenant, sources in _groups(left):
                    await self._renew(tenant, sources)
            except Exception as error:  # whatever it is, searches go on
                log.warning(
                    "the renewal of the graph is tried again: %s",
                    error,
                    exc_info=not isinstance(error, MotetError),
                )
            else:
                if self._renewed > before:
                    continue
            if self._renewed > before:
                wait_s = AGAIN_S[0]
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, longest_s)
        if self._renewed:
            log.info(
                "the graph is %s's now: %d documents embedded anew",
                self._embedder.name,
                self._renewed,
            )

    async def _renew(self, tenant: str, sources: Sequence[str]) -> None:
        with self._tracer.span(names.migrate("graph"), SpanKind.INTERNAL, {}) as span:
            count = await renew(self._store, self._embedder, tenant, sources)
            span.set_attribute(names.DOCUMENTS, count)
        self._renewed += count
        if time.monotonic() - self._said_at >= SAID_EVERY_S:
            log.info("%d documents of the graph embedded anew", self._renewed)
            self._said_at = time.monotonic()

    def _say(self, left: int) -> None:
        log.info(
            "%d documents of the graph have vectors of another model; %s embeds them anew",
            left,
            self._embedder.name,
        )
        self._said_at = time.monotonic()


def _groups(documents: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Tenants, each with some of its sources."""
    # In another order each time: replicas seldom meet, and what fails does not hold up the rest.
    mixed = random.sample(documents, len(documents))
    for tenant, group in groupby(sorted(mixed, key=itemgetter(0)), itemgetter(0)):
        sources = [source for _, source in group]
        for first in range(0, len(sources), AT_ONCE):
            yield tenant, sources[first : first + AT_ONCE]
