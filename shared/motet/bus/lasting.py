"""The connection's client: nats-py's, made to outlast what nats-py 2.16 does not.

Its reading loop ends, without a word to anybody, at whatever is raised within: the connection looks
alive and is deaf until its own pings have failed, half a minute later. Two things raise there:

- a message that cannot be decoded, since its header block is cut short or its subject is not UTF-8;
  any publisher can send one;
- the answer to a `flush` that has given up waiting, as when a server was slow or paused.

Besides:

- It is closed for good when a server says anything bad of the connection, as when a JWT has expired
  that was renewed meanwhile. Here it is made again.
- Its `flush` sends its question at once, ahead of what waits to be sent, so that the answer says
  nothing of that.
- Who is cancelled while it sends, or in the moment in which an answer comes, goes on as if nothing
  had happened: the one is caught, the other lost by `asyncio.wait_for` before Python 3.12.
- To a server without TLS it speaks in the clear, also where it was given a TLS context.

What is overridden is private to nats-py: the tests `test_bad_calls.py`, `test_server_loss.py` and
those of security tell when a version of it needs no such thing, or another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.protocol.parser import PERMISSIONS_ERR, STALE_CONNECTION
from typing_extensions import override

__all__ = ["LastingClient", "NoTlsError"]

log = logging.getLogger(__name__)

T = TypeVar("T")


class NoTlsError(NatsError):
    """The server speaks no TLS, and it was to."""


class LastingClient(Client):
    """A client that reconnects for ever once it stood, and is never deaf."""

    def last(self) -> None:
        """Has it reconnect for ever; until then it tries a few times to connect."""
        self.options["max_reconnect_attempts"] = -1

    def abandon(self) -> None:
        """Lets go of a connection that did not come about."""
        if self._transport is not None:
            self._transport.close()

    @override
    async def request(self, *args: Any, **options: Any) -> Msg:
        """As nats-py's, but who is cancelled does not go on."""
        return await _heeded(super().request(*args, **options))

    @override
    async def flush(self, *args: Any, **options: Any) -> None:
        """As nats-py's, but who is cancelled does not go on."""
        await _heeded(super().flush(*args, **options))

    async def _flush_pending(self, *args: Any, **options: Any) -> Any:
        """Part of whatever is sent."""
        return await _heeded(super()._flush_pending(*args, **options))

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: Any
    ) -> None:
        """A header block that cannot be decoded counts as none, such a subject as no message."""
        try:
            await super()._process_msg(sid, subject, reply, data, headers)
        except (IndexError, ValueError) as error:
            log.warning("NATS: a message on %r cannot be decoded: %s", subject, error)
            if headers:
                await self._process_msg(sid, subject, reply, data, None)

    async def _process_pong(self) -> None:
        """An answer that nobody waits for any more is dropped."""
        try:
            await super()._process_pong()
        except asyncio.InvalidStateError:
            log.debug("NATS answered a flush that had given up")

    async def _process_err(self, err_msg: str) -> None:
        """After whatever the server complains of but a permission, the connection is made anew."""
        if PERMISSIONS_ERR in err_msg or STALE_CONNECTION in err_msg:
            await super()._process_err(err_msg)
            return
        error = NatsError(f"nats: {err_msg}")
        await self._error_cb(error)
        await self._process_op_err(error)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """A server that was to speak TLS is told nothing in the clear."""
        if initial_connection and self.options.get("tls") and not info.get("tls_required"):
            raise NoTlsError("nats: the server speaks no TLS")
        await super()._process_info(info, initial_connection)

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        """A ping goes out after what was published and subscribed before it.

        It waits for nothing: a server that takes no more must be found out by its silence.
        """
        if self.is_connected and self._transport is not None and self._pending:
            self._transport.writelines(self._pending[:])
            self._pending = []
            self._pending_data_size = 0
        await super()._send_ping(future)


async def _heeded(action: Coroutine[Any, Any, T]) -> T:
    """What `action` returns, unless who awaits it was cancelled meanwhile.

    Raises:
        CancelledError: They were, and `action` kept it to itself.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    done = await action
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return done
