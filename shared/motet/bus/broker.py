"""FastStream's broker on the mesh's connection settings."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any

from faststream.nats import NatsBroker
from faststream.nats.security import NatsCredentials, NatsNKey, NatsSecurity, NatsUserPassword
from nats.aio.client import Client

from motet.bus.complaints import Complaints
from motet.bus.connection import answers, close, options, reporting
from motet.bus.identity import Identity
from motet.bus.lasting import lasting
from motet.settings import Settings

__all__ = ["Broker", "connect_broker", "make_broker"]

log = logging.getLogger(__name__)


class Broker(NatsBroker):
    """A broker that also stops while its connection is lost."""

    client: Client | None = None
    """Its connection, once there is one."""
    complaints: Complaints = Complaints()
    """What is said of that."""

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
    """A broker that is not connected yet.

    Raises:
        SetupError: The settings say in a wrong way who it signs on as.
    """
    identity = Identity.of(settings, client)
    complaints = Complaints(identity.user)
    broker = Broker(
        **options(settings, identity, client, complaints),
        security=_security(identity),
        logger=log,
        log_level=logging.DEBUG,
    )
    broker.complaints = complaints
    return broker


async def connect_broker(broker: Broker, settings: Settings) -> Client:
    """Connects a broker.

    Raises:
        SetupError: No server answers at `MOTET_NATS_URL`, or it does not let us in.
    """
    with reporting(settings, broker.complaints):
        broker.client = lasting(await broker.connect())
    broker.complaints.about(broker.client)
    # FastStream's own raises where the server lets nobody in, which ends nats-py's reconnecting.
    connection: Any = broker.client
    connection._error_cb = broker.complaints.error  # noqa: SLF001
    return broker.client


def _security(identity: Identity) -> NatsSecurity:
    """An identity in FastStream's words."""
    tls = identity.tls
    if identity.password is not None:
        return NatsUserPassword(identity.user, identity.password, ssl_context=tls)
    if identity.seed is not None:
        return NatsNKey.from_seed(identity.seed, ssl_context=tls)
    if identity.credentials is not None:
        return NatsCredentials.from_file(identity.credentials, ssl_context=tls)
    return NatsSecurity(ssl_context=tls)
