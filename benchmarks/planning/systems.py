"""What is measured: the planner's strategies, plain RAG beside them, and the model bare.

All three ask the same server of the same model, without the response cache, and the first two the
same retriever. Plain RAG is one search of the retriever's defaults and one request to the model.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.planning.checking import check
from benchmarks.planning.figures import BARE, PLAIN_RAG, Result
from benchmarks.planning.world import Question
from motet.client import Motet
from motet.errors import FaultError
from motet.messages import Passage, SearchRequest, SearchResult, Task, TaskState, Usage
from motet.models import ChatModel
from motet.models.metering import Room, free, meter

__all__ = ["Ask", "Systems"]

PASSAGES = 5
ANSWER_TOKENS = 512
LATE_S = 30.0
"""Seconds that a mesh gets to say that a task has expired."""

PLAIN_RAG_PROMPT = """\
Answer the question from the passages below. Be short and exact: give the figure, the name or the \
whole list that is asked for, in the language of the question. If the passages do not say it, say \
that they do not say it, and do not guess."""
BARE_PROMPT = """\
Answer the question. Be short and exact: give the figure, the name or the whole list that is asked \
for, in the language of the question. If you do not know, say that you do not know, and do not \
guess."""

Ask = Callable[[Question], Awaitable[Result]]


@dataclass
class _Spending:
    """A meter without a limit that adds up what is spent."""

    agent: str = "benchmark"
    skill: str = "plain"
    usage: Usage = field(default_factory=Usage)

    @asynccontextmanager
    async def reserve(self, least: Usage, most: Usage) -> AsyncGenerator[Room]:
        """See `motet.models.metering.Meter`."""
        del least
        async with free(most) as room:
            try:
                yield room
            finally:
                self.usage = Usage(
                    input_tokens=self.usage.input_tokens + room.spent.input_tokens,
                    output_tokens=self.usage.output_tokens + room.spent.output_tokens,
                )

    @property
    def tokens(self) -> int:
        return self.usage.input_tokens + self.usage.output_tokens


class Systems:
    """Asks each system a question.

    Args:
        motet: A client of the mesh.
        model: The mesh's chat model, without a response cache.
        deadline_s: Seconds that each question may take.
    """

    def __init__(self, motet: Motet, model: ChatModel, deadline_s: float) -> None:
        self._motet = motet
        self._model = model
        self._deadline_s = deadline_s

    def named(self, name: str) -> Ask:
        """The system of a name: a strategy's, `plain_rag` or `bare`."""
        if name == PLAIN_RAG:
            return self.plain_rag
        if name == BARE:
            return self.bare

        async def planned(question: Question) -> Result:
            return await self.planned(question, name)

        return planned

    async def planned(self, question: Question, strategy: str) -> Result:
        """A task, as users submit it."""
        wanted = {
            "goal": question.text,
            "strategy": strategy,
            "priority": "interactive",
            "deadline_s": self._deadline_s,
        }
        begun = time.perf_counter()
        handle = await self._motet.submit(Task.model_validate(wanted))
        try:
            record = await handle.result(self._deadline_s + LATE_S)
        except FaultError as error:
            return _failed(strategy, question, str(error), time.perf_counter() - begun)
        seconds = time.perf_counter() - begun
        tokens = record.usage.input_tokens + record.usage.output_tokens
        answer = record.answer
        if record.state != TaskState.SUCCEEDED or answer is None:
            why = record.fault.message if record.fault else "no answer"
            return _failed(strategy, question, f"{record.state}: {why}", seconds, tokens)
        verdict = check(answer.text, question.expected)
        cited = [citation.supported for citation in answer.citations]
        return Result(
            system=strategy,
            question=question.id,
            kind=question.kind,
            right=verdict.right,
            reason=verdict.reason,
            tokens=tokens,
            seconds=seconds,
            text=answer.text,
            supported=all(each is True for each in cited) if cited else None,
            answered=answer.answered,
        )

    async def plain_rag(self, question: Question) -> Result:
        """One prompt over the five passages that the retriever gives."""
        begun = time.perf_counter()
        try:
            found = await self._motet.call(
                "retriever.search",
                SearchRequest(query=question.text, limit=PASSAGES),
                SearchResult,
                timeout_s=self._deadline_s,
            )
        except FaultError as error:
            return _failed(PLAIN_RAG, question, str(error), time.perf_counter() - begun)
        passages = "\n\n".join(
            f"[{number}] {_heading(passage)}\n{passage.text}"
            for number, passage in enumerate(found.passages, start=1)
        )
        prompt = f"Passages:\n\n{passages}\n\nQuestion: {question.text}"
        return await self._asked(
            PLAIN_RAG, PLAIN_RAG_PROMPT, prompt, question, begun, _found(question, found.passages)
        )

    async def bare(self, question: Question) -> Result:
        """The model by itself."""
        begun = time.perf_counter()
        return await self._asked(BARE, BARE_PROMPT, question.text, question, begun, None)

    async def _asked(
        self,
        system: str,
        instructions: str,
        prompt: str,
        question: Question,
        begun: float,
        found: float | None,
    ) -> Result:
        spending = _Spending()
        token = meter.set(spending)
        try:
            text = await self._model.text(
                [("system", instructions), ("user", prompt)], max_tokens=ANSWER_TOKENS
            )
        except FaultError as error:
            seconds = time.perf_counter() - begun
            return _failed(system, question, str(error), seconds, spending.tokens)
        finally:
            meter.reset(token)
        seconds = time.perf_counter() - begun
        verdict = check(text, question.expected)
        return Result(
            system=system,
            question=question.id,
            kind=question.kind,
            right=verdict.right,
            reason=verdict.reason,
            tokens=spending.tokens,
            seconds=seconds,
            text=text,
            found=found,
        )


def _heading(passage: Passage) -> str:
    return " > ".join(dict.fromkeys((passage.title, *passage.section)))


def _found(question: Question, passages: tuple[Passage, ...]) -> float | None:
    """The share of the documents with the answer that are among the passages."""
    if not question.gold:
        return None
    there = {name for each in passages for name in (each.source, each.title)}
    return sum(title in there for title in question.gold) / len(question.gold)


def _failed(system: str, question: Question, why: str, seconds: float, tokens: int = 0) -> Result:
    """A question that got no answer, which counts as wrong."""
    return Result(system, question.id, question.kind, False, why, tokens, seconds, "")
