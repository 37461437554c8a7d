"""Calls to a Qdrant server: tried again where that can help, and failures as typed faults.

Every call of the store may be made twice: points have ids that follow from what they hold, and a
record changes only from the revision that was read.
"""

from __future__ import annotations

import asyncio
import random
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, TypeVar

from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from motet.errors import FaultError, NotYetError, SetupError
from motet.messages import FaultType

__all__ = ["Close", "Collection", "connect", "reach", "reaching"]

P = ParamSpec("P")
T = TypeVar("T")
Close = Callable[[], Awaitable[None]]
"""Closes a client."""

TIMEOUT_S = 15
"""Seconds that a call may take."""
FIRST_WAIT_S = 0.1
TRIED_FOR_S = 5.0
"""Seconds after which a call that fails is not tried again."""
CONNECT_WITHIN_S = 10.0
"""Seconds in which a server that is just starting must answer."""
SINCE = (1, 20)
"""The first version of the server that matches by a part of a text; conditional writes and metadata
of collections came with 1.16, matching by a prefix with 1.19."""
SERVER_ERROR = 500
REFUSED = (401, 403)
GONE = 404
FAILURES = (ResponseHandlingException, UnexpectedResponse, ResourceExhaustedResponse)


class Collection:
    """A collection on a server."""

    def __init__(self, client: AsyncQdrantClient, name: str) -> None:
        self.client = client
        self.name = name

    async def ask(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a method of the client returns.

        Raises:
            FaultError: `unavailable`, or `internal` where the server refuses what is asked.
        """
        until = time.monotonic() + TRIED_FOR_S
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return await call(*args, **kwargs)
            except FAILURES as error:
                if not _passes(error) or time.monotonic() + wait_s > until:
                    raise _fault(error) from error
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads
            wait_s *= 2


def connect(url: str, api_key: str | None) -> AsyncQdrantClient:
    """A client, which has not sent anything yet.

    Raises:
        SetupError: `url` is no address.
    """
    options: dict[str, Any] = {"timeout": TIMEOUT_S, "check_compatibility": False}
    try:
        with warnings.catch_warnings():
            # That a key travels over plain HTTP is said in the documentation.
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
            return AsyncQdrantClient(url=url, api_key=api_key, **options)
    except ValueError as error:
        raise SetupError(
            f"MOTET_RETRIEVER_URL={url!r} is wrong ({error}): give an address such as "
            "http://qdrant:6333."
        ) from None


async def reach(client: AsyncQdrantClient) -> None:
    """Waits until the server answers.

    Raises:
        FaultError: It does not within `CONNECT_WITHIN_S`.
        SetupError: It is too old.
    """
    until = time.monotonic() + CONNECT_WITHIN_S
    while True:
        try:
            version = (await client.info()).version
            break
        except FAILURES as error:
            if not _passes(error) or time.monotonic() > until:
                raise _fault(error) from error
        await asyncio.sleep(0.5)
    if tuple(int(part) for part in version.split(".")[:2]) < SINCE:
        raise SetupError(
            f"The Qdrant server is version {version}; the retriever needs "
            f"{'.'.join(map(str, SINCE))} or later."
        )


@asynccontextmanager
async def reaching(url: str, collection: str, close: Close) -> AsyncGenerator[None]:
    """Around what is done when a collection is opened, by a client that is closed if it fails.

    Raises:
        NotYetError: The server does not answer, or refuses the key.
        SetupError: It refuses what is asked.
    """
    try:
        yield
    except FaultError as error:
        await close()
        raise (NotYetError if error.fault.retryable else SetupError)(
            f"The collection {collection!r} at {url} cannot be used. {error.fault.message} Start a "
            "Qdrant server, set MOTET_RETRIEVER_URL and MOTET_RETRIEVER_API_KEY to one that runs, "
            "or leave the URL out for the embedded store."
        ) from None
    except BaseException:
        await close()
        raise


def _passes(error: Exception) -> bool:
    """Whether the same call may succeed a little later."""
    return not isinstance(error, UnexpectedResponse) or (error.status_code or 0) >= SERVER_ERROR


def _fault(error: Exception) -> FaultError:
    if isinstance(error, UnexpectedResponse):
        if error.status_code in REFUSED:
            return _unavailable(f"refuses the key (HTTP {error.status_code})")
        if error.status_code == GONE or _passes(error):
            return _unavailable(f"failed ({_said(error)})")
        return FaultError.of(
            FaultType.INTERNAL, f"The Qdrant server does not take this: {_said(error)}."
        )
    source = error.source if isinstance(error, ResponseHandlingException) else error
    return _unavailable(f"does not answer ({type(source).__name__}: {source})".replace(": )", ")"))


def _said(error: UnexpectedResponse) -> str:
    """Qdrant's own words; a proxy in between may have others."""
    try:
        reason = error.structured()["status"]["error"]
    except (ValueError, KeyError, TypeError):
        reason = error.reason_phrase
    return f"HTTP {error.status_code}: {reason}".rstrip(".")


def _unavailable(what: str) -> FaultError:
    return FaultError.of(FaultType.UNAVAILABLE, f"The Qdrant server {what}.", retryable=True)
