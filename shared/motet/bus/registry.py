"""The registry: which agents live, by the cards that they keep renewing.

Invariants:

- A card is of the agent under whose key it lies.
- A card is valid for `MOTET_CARD_TTL_S` after it was last seen; nobody has to remove it.
- An agent that stops properly removes its card at once.
- A watch that went silent is begun anew, since one does not always survive a server's restart.
"""

from __future__ import annotations

import asyncio
import logging

from pydantic import ValidationError

from motet.bus import connection
from motet.bus.connection import Bus
from motet.bus.kv import Bucket, Item
from motet.bus.stopping import end
from motet.errors import FaultError
from motet.messages import AgentCard, FaultType

__all__ = ["Announcement", "Registry"]

log = logging.getLogger(__name__)


class Announcement:
    """Keeps one card alive."""

    def __init__(self, bus: Bus, card: AgentCard) -> None:
        self._bucket = Bucket(bus, "agents")
        self._key = f"{card.name}.{card.instance}"
        self._body = card.model_dump_json().encode()
        self._period_s = bus.settings.card_ttl_s / 3
        self._renewal: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Announces the agent and keeps doing so."""
        await self._bucket.put(self._key, self._body)
        self._renewal = asyncio.create_task(self._renew(), name=f"announce {self._key}")

    async def stop(self) -> None:
        """Takes the card back."""
        if self._renewal is not None:
            await end(self._renewal)
            self._renewal = None
            try:
                await self._bucket.delete(self._key, timeout_s=connection.GOODBYE_S)
            except FaultError as error:
                log.warning("the card is left to expire: %s", error)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            try:
                await self._bucket.put(self._key, self._body)
            except FaultError as error:
                log.warning("the card was not renewed: %s", error)


class Registry:
    """The live cards, as this process knows them."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bucket = Bucket(bus, "agents")
        self._cards: dict[str, tuple[float, AgentCard]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Begins to watch; the cards that are there are known when this returns.

        Raises:
            FaultError: `unavailable` when the server does not say which there are.
        """
        ready = asyncio.Event()
        self._watch = asyncio.create_task(self._follow(ready), name="watch agents")
        try:
            async with asyncio.timeout(connection.GIVE_UP_S):
                await ready.wait()
        except TimeoutError:
            await self.stop()
            raise FaultError.of(
                FaultType.UNAVAILABLE, "NATS does not say which agents there are.", retryable=True
            ) from None

    async def stop(self) -> None:
        """Stops watching."""
        await end(self._watch)

    def cards(self) -> list[AgentCard]:
        """One card an agent that lives, by name; of several processes, the newest's."""
        oldest = asyncio.get_running_loop().time() - self._bus.settings.card_ttl_s
        self._cards = {key: entry for key, entry in self._cards.items() if entry[0] >= oldest}
        live: dict[str, AgentCard] = {}
        for _, card in self._cards.values():
            known = live.get(card.name)
            if known is None or known.started_at < card.started_at:
                live[card.name] = card
        return [live[name] for name in sorted(live)]

    async def wait_for(self, names: set[str], timeout_s: float) -> set[str]:
        """Waits until all the named agents live.

        Returns:
            Those that are missing when the time is over.
        """
        missing = names
        try:
            async with asyncio.timeout(timeout_s):
                while missing := names - {card.name for card in self.cards()}:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return missing
        return set()

    async def _follow(self, ready: asyncio.Event) -> None:
        # Longer than cards take to be renewed, and so short that none expires meanwhile.
        silence_s = self._bus.settings.card_ttl_s / 2
        while True:
            try:
                watch = self._bucket.watch()
                while True:
                    try:
                        async with asyncio.timeout(silence_s):
                            item = await anext(watch)
                    except TimeoutError:
                        break
                    if item is None:
                        ready.set()
                    else:
                        self._note(item)
            except (FaultError, StopAsyncIteration) as error:
                log.warning("agents are not watched: %s", error)
                await asyncio.sleep(1)

    def _note(self, item: Item) -> None:
        if not item.value:
            self._cards.pop(item.key, None)
        else:
            try:
                card = AgentCard.model_validate_json(item.value)
            except ValidationError:
                log.warning("the card %r cannot be read", item.key)
                return
            # The server holds an agent to keys of its own, and not to what it writes there.
            if item.key.partition(".")[0] != card.name:
                log.error("the card %r says that it is of %r: ignored", item.key, card.name)
                return
            self._cards[item.key] = (asyncio.get_running_loop().time(), card)
        self._changed.set()
