"""The connection to NATS: the only place that opens one.

Invariants:

- `Bus.store` returns only after the stream has the message; `Bus.send` never waits.
- Errors of the client library leave here as faults, so that nothing above names it.
- A store is repeated under its `Nats-Msg-Id` until its time is over, so that a server that comes
  back within that time loses and doubles nothing.
- In a cluster, what a write is decided on is read from the leader (see `motet.bus.kv`).
- A server that dies forgets the ids of messages that had left a work queue. So a call that is
  published again says that it is, and is looked up before it runs.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import (
    ConnectionClosedError,
    MaxPayloadError,
    NoRespondersError,
    NoServersError,
    OutboundBufferLimitError,
)
from nats.errors import (
    Error as NatsError,
)
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError
from pydantic_core import from_json

from motet.bus.complaints import Complaints, RefusedError
from motet.bus.identity import Identity
from motet.bus.lasting import LastingClient
from motet.bus.replies import MessageCallback, Replies
from motet.bus.topology import Header, Topology
from motet.errors import FaultError
from motet.messages import FaultType
from motet.settings import Settings
from motet.telemetry import Telemetry

__all__ = ["Bus", "SequenceConflictError", "Stored"]

log = logging.getLogger(__name__)

GIVE_UP_S = 15.0
"""Seconds after which a message that no stream took, or a read that nobody answered, is given
up."""

ATTEMPT_TIMEOUT_S = 3.0
"""Seconds that one attempt at it waits for an answer."""

WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
"""NATS's error codes for a failed compare-and-set: another was the last, or is about to be."""

GOODBYE_S = 2
"""Seconds that a last message may take when a connection ends."""

NO_RESPONDERS = "503"
"""The status under which the server says that nobody listens."""

SIZE_ERRORS = frozenset({10054, 10097})
"""NATS's error codes for a message over a stream's limit, and for headers over 64 KiB."""

STORAGE_ERRORS = frozenset({10047, 10077, 10110, 10023})
"""NATS's error codes for no room: account or server storage, stream limits, resources."""

UNANSWERED = (TimeoutError, NoRespondersError, NoStreamResponseError, ServiceUnavailableError)
"""What the client library raises while nobody leads what was asked for, or a server starts."""

T = TypeVar("T")


class SequenceConflictError(Exception):
    """A compare-and-set lost: the subject has another last sequence than expected."""


class Bus:
    """One connection, with the topology that it speaks."""

    def __init__(self, client: Client, settings: Settings, telemetry: Telemetry) -> None:
        self.client = client
        self.settings = settings
        self.tracer = telemetry.tracer
        self.instruments = telemetry.instruments
        self.topology = Topology(settings)
        self.js: JetStreamContext = client.jetstream(timeout=ATTEMPT_TIMEOUT_S)
        self.complaints = Complaints.of(client)
        self.replies = Replies(client, self.topology.outcomes(self.complaints.user))
        self.complaints.on_refusal = self.replies.refuse

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, telemetry: Telemetry, *, client: str = "client"
    ) -> AsyncGenerator[Bus]:
        """Connects, and disconnects at the end.

        Raises:
            SetupError: No server answers at `MOTET_NATS_URL`, or it does not let us in.
        """
        connection = await connect(settings, client)
        try:
            yield cls(connection, settings, telemetry)
        finally:
            await close(connection)

    async def store(
        self,
        subject: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Stored:
        """Publishes to a stream and waits until it has the message, for `GIVE_UP_S` by default.

        Raises:
            SequenceConflictError: The expected last sequence did not hold.
            FaultError: `unavailable` when no stream took it in time, `too_large` when the server
                does not take that many bytes.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + (GIVE_UP_S if timeout_s is None else timeout_s)
        sent = dict(headers) if headers else None
        while True:
            patience = max(0.1, min(ATTEMPT_TIMEOUT_S, give_up - loop.time()))
            try:
                return _acknowledged(await self.replies.request(subject, body, sent, patience))
            except MaxPayloadError:
                raise FaultError.of(
                    FaultType.TOO_LARGE,
                    f"A body of {len(body)} bytes is over the server's limit of "
                    f"{self.client.max_payload} bytes: put it into the object store.",
                ) from None
            except APIError as error:
                if error.err_code in WRONG_LAST_SEQUENCE:
                    raise SequenceConflictError(subject) from None
                if error.err_code in SIZE_ERRORS:
                    raise FaultError.of(
                        FaultType.TOO_LARGE, f"NATS refused {subject!r}: {error.description}."
                    ) from None
                if error.err_code in STORAGE_ERRORS or loop.time() >= give_up:
                    raise _unavailable(subject, error) from error
            except (TimeoutError, NoRespondersError, OutboundBufferLimitError) as error:
                if loop.time() >= give_up:
                    raise _unavailable(subject, error) from error
            except NatsError as error:
                raise _unavailable(subject, error) from error
            if sent is not None and Header.CALL in sent:
                sent[Header.REISSUED] = "1"
            await asyncio.sleep(0.1)

    async def send(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Publishes without waiting; the client library holds it while it reconnects."""
        try:
            await self.client.publish(subject, body, headers=dict(headers) if headers else None)
        except NatsError as error:
            raise _unavailable(subject, error) from error

    async def subscribe(self, subject: str, callback: MessageCallback) -> Subscription:
        """Hears a core subject; the subscription is known to the server when this returns.

        Raises:
            FaultError: `unavailable` when the server does not answer in time.
        """
        try:
            subscription = await self.client.subscribe(subject, cb=callback)
            await self.client.flush(timeout=math.ceil(GIVE_UP_S))
        except (NatsError, TimeoutError) as error:
            raise _unavailable(subject, error) from error
        if (refused := self.complaints.refusal_of(subject)) is not None:
            raise _unavailable(subject, refused)
        return subscription

    async def request(self, subject: str, body: bytes = b"") -> Msg:
        """Reads from a core subject: asks until somebody replies, for `GIVE_UP_S`.

        A server that has just started, or lost the question, is asked again.

        Raises:
            FaultError: `unavailable` when nobody replies in time.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + GIVE_UP_S
        while True:
            patience = max(0.1, min(ATTEMPT_TIMEOUT_S, give_up - loop.time()))
            try:
                return _answered(await self.replies.request(subject, body, None, patience))
            except (TimeoutError, NoRespondersError, OutboundBufferLimitError) as error:
                if loop.time() >= give_up:
                    raise _unavailable(subject, error) from error
            except NatsError as error:
                raise _unavailable(subject, error) from error
            await asyncio.sleep(0.1)

    async def patiently(self, ask: Callable[[], Awaitable[T]], complaint: str) -> T:
        """Asks JetStream's API until it is answered, for `GIVE_UP_S`.

        Args:
            ask: What to ask; asking twice must do no harm.
            complaint: The beginning of a sentence, such as `Events cannot be read`.

        Raises:
            FaultError: `unavailable` when it is not answered in time, or refused.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + GIVE_UP_S
        refusals = self.complaints.refusals
        while True:
            try:
                return await ask()
            except UNANSWERED as error:
                if self.complaints.refusals > refusals and self.complaints.refused is not None:
                    raise _complaint(complaint, self.complaints.refused) from error
                if loop.time() >= give_up:
                    raise _complaint(complaint, error) from error
            except (NatsError, APIError) as error:
                raise _complaint(complaint, error) from error
            await asyncio.sleep(0.1)

    @property
    def connections(self) -> int:
        """How many times the connection was lost and made again.

        What the server keeps for a connection (subscriptions apart) does not outlive it.
        """
        return int(self.client.stats["reconnects"])

    @property
    def server_version(self) -> str:
        """The version of the server that the connection is with."""
        return str(self._server.get("version", "unknown"))

    @property
    def clustered(self) -> bool:
        """Whether several servers may hold copies of what is read, so that one may be behind."""
        return "cluster" in self._server or self.settings.replicas > 1

    @property
    def _server(self) -> dict[str, Any]:
        """What the server says of itself; a leaf node says nothing."""
        # nats-py has no other name for it.
        return self.client._server_info  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def servers(settings: Settings) -> list[str]:
    """The addresses of the servers."""
    return [url.strip() for url in settings.nats_url.split(",") if url.strip()]


async def connect(settings: Settings, client: str) -> Client:
    """Opens a connection.

    Args:
        settings: Where to, and who signs on.
        client: Whose it is; operators see it on the server.

    Raises:
        SetupError: No server answers at `MOTET_NATS_URL`, or it does not let us in.
    """
    identity = Identity.of(settings, client)
    connection = LastingClient()
    complaints = Complaints(connection, identity.user)
    try:
        await connection.connect(
            servers=servers(settings),
            name=f"motet-{client}",
            user=identity.user if identity.password is not None else None,
            password=identity.password,
            nkeys_seed_str=identity.seed,
            user_credentials=identity.credentials,
            tls=identity.tls,
            inbox_prefix=Topology(settings).inbox(identity.user),
            error_cb=complaints.error,
            disconnected_cb=complaints.disconnected,
            reconnected_cb=complaints.reconnected,
            connect_timeout=3,
            reconnect_time_wait=0.1,  # pyright: ignore[reportArgumentType] - any number will do
            max_reconnect_attempts=3,
            ping_interval=10,
            drain_timeout=5,
        )
    except (NoServersError, NatsError, OSError, ValueError) as error:
        connection.abandon()
        raise complaints.why_not(settings, error) from error
    complaints.stands = True
    connection.last()
    return connection


async def answers(connection: Client) -> bool:
    """Whether the server has all that was published; waits for it for `GOODBYE_S`."""
    if not connection.is_connected:
        return False
    try:
        await connection.flush(timeout=GOODBYE_S)
    except (NatsError, OSError, TimeoutError):
        return False
    return True


async def close(connection: Client) -> None:
    """Closes a connection after what was published has left, within a bounded time."""
    if connection.is_closed:
        return
    if not await answers(connection):
        log.warning("NATS connection closed while the server does not answer")
    try:
        await connection.close()
    except (OSError, RuntimeError) as error:
        # nats-py writes what it still has into a transport that may be gone.
        log.debug("what was not sent is lost: %s", error)


@dataclass(frozen=True, slots=True)
class Stored:
    """A stream's acknowledgement."""

    sequence: int
    duplicate: bool
    """Whether the stream had a message with this `Nats-Msg-Id` before."""


def _answered(message: Msg) -> Msg:
    """A reply that somebody gave.

    Raises:
        NoRespondersError: It is the server's word that nobody listens on the subject.
    """
    if message.headers and message.headers.get(Header.STATUS) == NO_RESPONDERS:
        raise NoRespondersError
    return message


def _acknowledged(message: Msg) -> Stored:
    """Reads a stream's acknowledgement.

    Raises:
        NoRespondersError: No stream listens on the subject, or its server is not ready.
        APIError: The stream refused.
    """
    answer = from_json(_answered(message).data)
    if "error" in answer:
        raise APIError.from_error(answer["error"])
    return Stored(answer["seq"], answer.get("duplicate", False))


def _complaint(complaint: str, error: Exception) -> FaultError:
    return FaultError.of(
        FaultType.UNAVAILABLE,
        f"{complaint}: {error or type(error).__name__}.",
        retryable=not isinstance(error, RefusedError),
    )


def _unavailable(subject: str, error: Exception) -> FaultError:
    reason = str(error) or type(error).__name__
    if isinstance(error, APIError) and error.err_code in STORAGE_ERRORS:
        reason = f"no room is left ({error.description}); free disk space or raise the limits"
    if isinstance(error, ConnectionClosedError):
        reason = "the connection is closed"
    return FaultError.of(
        FaultType.UNAVAILABLE,
        f"NATS did not take {subject!r}: {reason}.",
        retryable=not isinstance(error, RefusedError),
    )
