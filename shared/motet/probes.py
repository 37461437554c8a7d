"""Probes: over HTTP, whether a process lives, and whether it can take work.

- `GET /health` is 204 while the event loop turns. It says nothing of NATS: starting a process anew
  brings no server back.
- `GET /ready` is 204 from when the agent takes calls until it begins to stop, as long as NATS
  answers within two seconds, and 503 otherwise.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from motet.errors import SetupError

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

__all__ = ["probes"]


@asynccontextmanager
async def probes(port: int, ready: Callable[[], Awaitable[bool]]) -> AsyncGenerator[None]:
    """Answers probes on `port`, on every interface.

    Args:
        port: A TCP port.
        ready: Whether the process can take work.

    Raises:
        SetupError: The port is taken, or the HTTP server is not installed.
    """
    if importlib.util.find_spec("uvicorn") is None:
        raise SetupError("MOTET_HEALTH_PORT needs uvicorn: `pip install uvicorn`, or unset it.")
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Generator[None]:
            yield  # signals are the agent's

    async def answer(scope: Scope, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            return
        known = {"/health": _lives, "/ready": ready}.get(scope["path"])
        if scope["method"] not in ("GET", "HEAD") or known is None:
            status = 404
        else:
            status = 204 if await known() else 503
        await send(
            {"type": "http.response.start", "status": status, "headers": [], "trailers": False}
        )
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    server = Server(
        uvicorn.Config(
            answer, lifespan="off", log_config=None, log_level="warning", access_log=False
        )
    )
    serving = asyncio.create_task(server.serve([_listening(port)]), name="probes")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def _lives() -> bool:
    return True


def _listening(port: int) -> socket.socket:
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, reuse_port=False
            )
        return socket.create_server(("", port))
    except OSError as error:
        raise SetupError(
            f"MOTET_HEALTH_PORT={port} cannot be served ({os.strerror(error.errno or 0)}): "
            "set it to a free port."
        ) from error
