"""FastStream's broker on the mesh's connection."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any

from faststream.nats import NatsBroker
from nats.aio.client import Client

from motet.bus.connection import answers, close, connect, servers
from motet.settings import Settings

__all__ = ["Broker", "connect_broker", "make_broker"]

log = logging.getLogger(__name__)


class Broker(NatsBroker):
    """A broker over a connection of the mesh's, which also stops while that is lost."""

    client: Client | None = None
    """Its connection, once there is one."""

    def __init__(self, settings: Settings, name: str, **others: Any) -> None:
        super().__init__(servers=servers(settings), **others)
        self._settings = settings
        self._name = name

    async def _connect(self) -> Client:
        connection = await connect(self._settings, self._name)
        self.config.connect(connection)
        return connection

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Ends the connection, after what was published has left if it still can."""
        if self.client is None or self.client.is_closed:
            return
        if await answers(self.client):
            await super().stop(exc_type, exc_val, exc_tb)
        else:
            await close(self.client)


def make_broker(settings: Settings, client: str) -> Broker:
    """A broker that is not connected yet."""
    return Broker(settings, client, logger=log, log_level=logging.DEBUG)


async def connect_broker(broker: Broker) -> Client:
    """Connects a broker.

    Raises:
        SetupError: No server answers at `MOTET_NATS_URL`, or it does not let us in.
    """
    broker.client = await broker.connect()
    return broker.client
