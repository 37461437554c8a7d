"""FastStream's broker on the mesh's connection settings."""

from __future__ import annotations

import logging

from faststream.nats import NatsBroker, NatsCredentials
from nats.aio.client import Client

from motet.bus.connection import options, reporting
from motet.bus.lasting import lasting
from motet.settings import Settings

__all__ = ["connect_broker", "make_broker"]

log = logging.getLogger(__name__)


def make_broker(settings: Settings, client: str) -> NatsBroker:
    """A broker that is not connected yet."""
    credentials = settings.nats_credentials
    return NatsBroker(
        **options(settings, client),
        security=NatsCredentials(str(credentials)) if credentials else None,
        logger=log,
        log_level=logging.DEBUG,
    )


async def connect_broker(broker: NatsBroker, settings: Settings) -> Client:
    """Connects a broker.

    Raises:
        SetupError: No server answers at `MOTET_NATS_URL`.
    """
    with reporting(settings):
        return lasting(await broker.connect())
