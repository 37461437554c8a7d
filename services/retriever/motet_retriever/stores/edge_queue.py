"""The queue of searches: those that wait at one time are answered together.

One pass over the codes costs little more for several questions than for one (`edge_search`).

Invariants:

- A search that fails fails alone, and one that nobody waits for any more is left out.
- Who has an answer may ask again at once, and is answered with the others then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from motet_retriever.stores.edge_search import Answer
from motet_retriever.stores.port import Query

__all__ = ["SearchQueue"]

AT_ONCE = 16
"""Searches that are answered together at most."""

_Asked: TypeAlias = tuple[Query, "asyncio.Future[Answer]"]


class SearchQueue:
    """Searches that wait."""

    def __init__(self, answer: Callable[[Sequence[Query]], Awaitable[list[Answer]]]) -> None:
        """`answer` gives what each of some searches finds, and fails if one of them does."""
        self._answer = answer
        self._waiting: deque[_Asked] = deque()
        self._answering: asyncio.Task[None] | None = None

    async def answer(self, query: Query) -> Answer:
        """What a search finds."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((query, answer))
        if self._answering is None:
            self._answering = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                asked = [each for each in some if not each[1].cancelled()]
                if asked:
                    await self._answer_some(asked)
                await asyncio.sleep(0)
        finally:
            self._answering = None

    async def _answer_some(self, asked: Sequence[_Asked]) -> None:
        try:
            answers = await self._answer([query for query, _ in asked])
        except Exception as error:  # noqa: BLE001 - it is given to who asked
            if len(asked) > 1:
                for each in asked:
                    await self._answer_some([each])
                return
            (_, answer), *_ = asked
            if not answer.cancelled():
                answer.set_exception(error)
            return
        except BaseException:
            for _, answer in asked:
                answer.cancel()
            raise
        for (_, answer), found in zip(asked, answers, strict=True):
            if not answer.cancelled():
                answer.set_result(found)
