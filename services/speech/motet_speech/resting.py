"""Resting: a model that nobody has used for a while gives back its memory."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["Rest"]


class Rest:
    """Calls `release` once nothing has used a model for `idle_s` seconds."""

    def __init__(self, release: Callable[[], None], idle_s: float) -> None:
        self._release = release
        self._idle_s = idle_s
        self._users = 0
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def used(self) -> Generator[None]:
        """While this is open, the model is in use."""
        self._wake()
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._users == 0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(self._idle_s, self._let_go)

    def close(self) -> None:
        """Releases at once."""
        self._wake()
        self._release()

    def _let_go(self) -> None:
        self._timer = None
        self._release()
        gc.collect()
        if sys.platform == "linux":
            # What was freed stays with the C library otherwise: some 100 MB after a model.
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
            if trim is not None:
                trim(0)

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
