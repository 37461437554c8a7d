"""Beginnings of prompts that a local server has read before, kept on disk.

Most of what a small model is asked is the same each time: instructions and worked examples, then
one message that varies. On two cores reading such a beginning takes seconds. llama.cpp's server
can write what it made of it (keys and values, about 28 KB a token for the 1.5B model) to a file
and read it back in milliseconds, also in a later run. While the server runs, it keeps what it read
in memory by itself, and more than a beginning: a file is for the first time only.

Invariants:

- A beginning is every message but the last. Its file is named by a hash of the model's name and
  its text, so a changed prompt never meets an old state; nothing of the last message is kept.
- One request is under way at a time, since the state is the server's one slot.
- What the slot had is put into the server's memory before a file takes its place.
- A server that cannot do this (no llama.cpp, no folder) is asked as if this did not exist; one that
  is still loading its model can, later.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

__all__ = ["Beginnings"]

log = logging.getLogger(__name__)

SHORTEST = 200
"""Characters of a beginning below which reading it takes no longer than restoring it."""

LOADING_S = 120.0
"""Seconds for which a server may load its model."""

_TIMEOUT_S = 120.0
_ASK_EVERY_S = 0.25
_NEVER = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
"""What a server answers that keeps no beginnings."""
_MOST_LOADED = 256
"""Names of beginnings that are remembered; a conversation has a new one with each message."""
_OTHER = [{"role": "user", "content": ""}]
"""A prompt unlike any other, at which the server moves what its slot has to its memory."""


class Beginnings:
    """The kept beginnings of one model on one server."""

    def __init__(self, url: str, model: str, client: httpx.AsyncClient | None = None) -> None:
        """`url` is the server's base URL, with or without the `/v1` of OpenAI's API."""
        self._root = url.rstrip("/").removesuffix("/v1")
        self._model = model
        self._client = client
        self._one = asyncio.Lock()
        self._loaded = set[str]()
        self._supported = True

    @asynccontextmanager
    async def ready(self, messages: list[dict[str, str]]) -> AsyncGenerator[None]:
        """While the block lasts, the server has read the beginning of `messages`."""
        beginning = messages[:-1]
        if not self._supported or sum(len(m["content"]) for m in beginning) < SHORTEST:
            yield
            return
        async with self._one:
            name = self._name(beginning)
            if name not in self._loaded and self._supported:
                await self._load(name, beginning)
            yield

    async def loaded(self, within_s: float = LOADING_S) -> None:
        """Waits until the server has loaded its model, or `within_s` seconds.

        It is what one waits for who is about to prepare; a server without llama.cpp's `/health` is
        taken to be ready.
        """
        from httpx import HTTPError

        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    with suppress(HTTPError):
                        answer = await self._connection().get("/health")
                        if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                            return
                    await asyncio.sleep(_ASK_EVERY_S)

    async def close(self) -> None:
        """Ends its connections."""
        if self._client is not None:
            await self._client.aclose()

    def _name(self, beginning: list[dict[str, str]]) -> str:
        text = json.dumps([self._model, beginning])
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.bin"

    async def _load(self, name: str, beginning: list[dict[str, str]]) -> None:
        import httpx

        try:
            if self._loaded:
                await self._read(_OTHER)
            status = await self._slot("restore", name)
            if status == HTTPStatus.BAD_REQUEST:  # there is no such file yet
                await self._read(beginning)
                status = await self._slot("save", name)
        except httpx.HTTPError as error:
            log.debug("the beginning of a prompt was not prepared: %s", error)
            return
        if status == HTTPStatus.OK:
            if len(self._loaded) >= _MOST_LOADED:
                self._loaded.clear()
            self._loaded.add(name)
        else:
            log.debug("the beginning of a prompt was not prepared (%d)", status)
            self._supported = status not in _NEVER

    async def _slot(self, action: str, name: str) -> int:
        answer = await self._post(f"/slots/0?action={action}", {"filename": name})
        return answer.status_code

    async def _read(self, beginning: list[dict[str, str]]) -> None:
        request = {"model": self._model, "messages": beginning, "max_tokens": 1}
        (await self._post("/v1/chat/completions", request)).raise_for_status()

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return await self._connection().post(path, json=body)

    def _connection(self) -> httpx.AsyncClient:
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(base_url=self._root, timeout=_TIMEOUT_S)
        return self._client
