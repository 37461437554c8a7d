"""FastStream's broker on the mesh's connection settings."""

from __future__ import annotations

import logging
from types import TracebackType

from faststream.nats import NatsBroker, NatsCredentials
from nats.aio.client import Client

from motet.bus.connection import answers, close, options, reporting
from motet.bus.lasting import lasting
from motet.settings import Settings

__all__ = ["Broker", "connect_broker", "make_broker"]

log = logging.getLogger(__name__)


class Broker(NatsBroker):
    """A broker that also stops while its connection is lost."""

    client: Client | None = None
    """Its connection, once there is one."""

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
    credentials = settings.nats_credentials
    broker = Broker(
        **options(settings, client, lambda: broker.client),
        security=NatsCredentials(str(credentials)) if credentials else None,
        logger=log,
        log_level=logging.DEBUG,
    )
    return broker


async def connect_broker(broker: Broker, settings: Settings) -> Client:
    """Connects a broker.

    Raises:
        SetupError: No server answers at `MOTET_NATS_URL`.
    """
    with reporting(settings):
        broker.client = lasting(await broker.connect())
    return broker.client
