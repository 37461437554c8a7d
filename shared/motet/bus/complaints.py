"""Complaints: what the server, or the way to it, says is wrong with a connection.

A server tells a client that it may not publish or hear a subject only by the way, on the connection
and not to who asked. So that this is no silence, whoever waits for an answer on that subject is
told, and the log says who was refused what.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from nats.aio.client import Client
from nats.errors import Error as NatsError

from motet.bus.lasting import LastingClient, NoTlsError
from motet.errors import NotYetError, SetupError
from motet.settings import Settings

__all__ = ["Complaints", "RefusedError"]

log = logging.getLogger(__name__)

REMEMBERED = 256
"""How many subjects are remembered that were refused."""

SHUT_OUT_S = 1.0
"""Seconds between attempts to be let in again."""

_VIOLATION = re.compile(
    r"permissions violation for (publish|subscription) to \"(\S+)\"", re.IGNORECASE
)
_NOT_LET_IN = re.compile(r"authorization violation|authentication (expired|revoked)", re.IGNORECASE)


class RefusedError(NatsError):
    """The server does not let this user publish, or hear, a subject."""


class Complaints:
    """What was said of one connection."""

    _known: Final[WeakKeyDictionary[Client, Complaints]] = WeakKeyDictionary()

    def __init__(self, client: Client, user: str) -> None:
        """Nothing yet.

        Args:
            client: The connection.
            user: Who signs on.
        """
        self._known[client] = self
        self.user = user
        self.stands = False
        """Whether the connection has come about, and so is made again when it is lost."""
        self.refusals = 0
        """How many times the server has refused something."""
        self.refused: RefusedError | None = None
        """The latest of that."""
        self.on_refusal: Callable[[str, Exception], None] | None = None
        """Hears of each subject, in lower case."""
        self._client = client
        self._last: Exception | None = None
        self._shut_out = False
        self._unheard: OrderedDict[str, RefusedError] = OrderedDict()

    @classmethod
    def of(cls, client: Client) -> Complaints:
        """The complaints about a connection."""
        return cls._known.get(client) or cls(client, "client")

    def refusal_of(self, subject: str) -> RefusedError | None:
        """Why a subject cannot be heard; None when it can be, as far as is known."""
        return self._unheard.get(subject.lower())

    async def error(self, error: Exception) -> None:
        """Hears of an error.

        Raises:
            Exception: That error, when no further attempt to connect would fare better.
        """
        self._last = error
        violation = _VIOLATION.search(str(error))
        if violation is not None:
            self._refuse(violation[1].lower(), violation[2].lower())
            return
        if not self.stands and (isinstance(error, ssl.SSLError | NoTlsError) or _shuts_out(error)):
            raise error
        if _shuts_out(error):
            await self._shut(error)
            return
        # While it is away, each attempt to reconnect fails for a reason of its own.
        away = not self._client.is_connected
        log.log(
            logging.DEBUG if away else logging.WARNING, "NATS: %s", error or type(error).__name__
        )

    async def _shut(self, error: Exception) -> None:
        """Hears that it is not let in any more, and holds up the next attempt."""
        if not self._shut_out:
            log.error("NATS does not let the user %r in any more: %s", self.user, error)
        self._shut_out = True
        if not self._client.is_connected:
            if isinstance(self._client, LastingClient):
                self._client.abandon()
            await asyncio.sleep(SHUT_OUT_S)

    def _refuse(self, way: str, subject: str) -> None:
        verb = "publish to" if way == "publish" else "hear"
        refused = RefusedError(f"NATS does not let the user {self.user!r} {verb} {subject!r}")
        log.error("%s: `motet nats users` says what each user needs", refused)
        self.refusals += 1
        self.refused = refused
        if way == "subscription":
            self._unheard[subject] = refused
            if len(self._unheard) > REMEMBERED:
                self._unheard.popitem(last=False)
        elif self.on_refusal is not None:
            self.on_refusal(subject, refused)

    async def disconnected(self) -> None:
        """Hears that the connection was lost."""
        if not self._client.is_closed:
            log.warning("NATS connection lost; reconnecting")

    async def reconnected(self) -> None:
        """Hears that it is back."""
        self._unheard.clear()
        self._shut_out = False
        log.warning("NATS connection is back")

    def why_not(self, settings: Settings, error: Exception) -> SetupError:
        """Why there is no connection, as a sentence."""
        reasons = [each for each in (self._last, error) if each is not None]
        for reason in reasons:
            if isinstance(reason, ssl.SSLCertVerificationError):
                return SetupError(
                    f"The certificate of the NATS server at {settings.nats_url!r} does not hold "
                    f"({reason.verify_message}): set MOTET_NATS_CA to the certificate of the "
                    "authority that signed it, and MOTET_NATS_URL to a name that is in it."
                )
            if _shuts_out(reason):
                return NotYetError(
                    f"The NATS server at {settings.nats_url!r} does not let the user "
                    f"{self.user!r} in: set MOTET_NATS_USER with MOTET_NATS_PASSWORD, or "
                    "MOTET_NATS_NKEY, or MOTET_NATS_CREDENTIALS, to what the server knows."
                )
            if isinstance(reason, ssl.SSLError | NoTlsError):
                return SetupError(
                    f"There is no TLS with the NATS server at {settings.nats_url!r} ({reason}): "
                    "where it asks for TLS set MOTET_NATS_CA, and where it asks for a certificate "
                    "set MOTET_NATS_CERT and MOTET_NATS_CERT_KEY."
                )
        return NotYetError(
            f"No NATS server answers at {settings.nats_url!r} ({error or type(error).__name__}): "
            "start a mesh with `motet up`, or set MOTET_NATS_URL to where one runs."
        )


def _shuts_out(error: Exception) -> bool:
    return _NOT_LET_IN.search(str(error)) is not None
