"""`multi_hop`: goes on from what was found, for questions whose answer stands in several places.

With a chat model: the question is broken up, its parts are asked, and after each round the model
says what is still to be looked up. Without one: each of the best passages lends its title and its
names, one by one, which are asked together with the words of the question that the passage does not
have. ("Who leads the institute that owns the Alba?" finds the Alba's passage; that names the Norden
Institute, so "Norden Institute leads" is asked.) What is found counts by its place there times the
score of the passage that led to it; a passage that several questions find counts by the best one.

It ends after `HOPS` rounds, before that when the model has enough, or asks what was asked, or
without one when a round brings nothing new among the best. With no budget left for the model, what
was found until then is the result; a call that is cancelled or late ends as every call does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, Field

from motet_retriever.fusion import Candidate, best_of
from motet_retriever.phrases import names_in, remaining
from motet_retriever.prompts import fenced
from motet_retriever.strategies.retrieval import Retrieval

__all__ = ["multi_hop"]

HOPS = 2
"""Rounds after the first. On 100 questions of MuSiQue one finds 81.7 of 100 supporting passages
among the first ten, two 82.9, three 83.2; the question alone 72.7 (all-MiniLM-L6-v2 and BM25)."""
FANS = 3
"""Passages that each round goes on from."""
NAMES = 3
"""Names of a passage that are asked for, its title among them. On 100 questions of MuSiQue two find
73.2 of 100 supporting passages among the first five, three 76.1, four 76.3, eight 76.1; the
question alone 59.0 (all-MiniLM-L6-v2 and BM25)."""
FADING = 0.8
"""What each further round counts, as a share of the one before."""
SETTLED = 10
"""Ends when a round has put nothing new among so many."""

QUESTION = 2_000
EVIDENCE = 6_000
"""Characters of passages that a model is shown."""
SHOWN = 6
"""Passages that a model is shown."""
_REFERENCE = re.compile(r"#\d")


class Parts(BaseModel):
    """What a model is asked for."""

    questions: list[str] = Field(min_length=1, max_length=4)


class FollowUp(BaseModel):
    """What a model is asked for."""

    enough: str = Field(pattern="^(yes|no)$")
    next: str = Field(default="", max_length=300)


async def multi_hop(retrieval: Retrieval) -> list[Candidate]:
    """See the module."""
    (rankings,) = await retrieval.ask(await retrieval.probes([retrieval.question]))
    first = retrieval.fuse(rankings)
    parts = await retrieval.told(
        "decompose", Parts, max_tokens=250, question=fenced(retrieval.question, QUESTION)
    )
    if parts is None:
        return await _by_names(retrieval, first)
    return await _by_model(retrieval, first, parts.questions)


async def _by_model(
    retrieval: Retrieval, first: list[Candidate], parts: Sequence[str]
) -> list[Candidate]:
    """Asks the parts that stand by themselves, then what the model wants to know next."""
    found = first
    waiting = [each for each in parts if not _REFERENCE.search(each)]
    for hop in range(HOPS + 1):
        questions = [each for each in dict.fromkeys(waiting) if _is_new(retrieval, each)]
        if questions:
            found = best_of([found, *await _answers(retrieval, questions)])
        if hop == HOPS or (hop and not questions):
            break
        said = await retrieval.told(
            "follow_up",
            FollowUp,
            max_tokens=120,
            question=fenced(retrieval.question, QUESTION),
            passages=fenced(
                "\n".join(_shown(each) for each in found[:SHOWN]), EVIDENCE, "passages"
            ),
        )
        if said is None or said.enough == "yes" or not said.next.strip():
            break
        waiting = [said.next.strip()]
    return found


async def _answers(retrieval: Retrieval, questions: Sequence[str]) -> list[list[Candidate]]:
    retrieval.queries += questions
    probes = await retrieval.probes(questions)
    return [retrieval.fuse(rankings) for rankings in await retrieval.ask(probes)]


async def _by_names(retrieval: Retrieval, first: list[Candidate]) -> list[Candidate]:
    """Goes on from the names in the best passages."""
    found = first
    fan = [(each, (each,)) for each in first[:FANS]]
    for hop in range(HOPS):
        asked: dict[str, tuple[Candidate, ...]] = {}
        for last, chain in fan:
            for question in _questions(retrieval.question, last, chain):
                if _is_new(retrieval, question):
                    asked.setdefault(question, chain)
        if not asked:
            break
        answers = await _answers(retrieval, list(asked))
        led: dict[str, tuple[Candidate, tuple[Candidate, ...]]] = {}
        lists: list[list[Candidate]] = []
        for chain, answer in zip(asked.values(), answers, strict=True):
            weight = chain[-1].score * (FADING if hop else 1.0)
            before = {each.id for each in chain}
            lists.append([e.scored(e.score * weight) for e in answer if e.id not in before])
            for each in lists[-1]:
                if each.id not in led or each.score > led[each.id][0].score:
                    led[each.id] = (each, (*chain, each))
        before, found = found, best_of([found, *lists])
        if _settled(before, found):
            break
        fan = sorted(led.values(), key=lambda each: (-each[0].score, each[0].id))[:FANS]
    return found


def _questions(question: str, last: Candidate, chain: Sequence[Candidate]) -> list[str]:
    """What to ask next, once a chain of passages was found: a name and what is still unsaid."""
    texts = [f"{each.passage.title} {each.passage.text}" for each in chain]
    unsaid = remaining(question, texts)
    if not unsaid:
        return []
    known = " ".join([question, *(each.passage.title for each in chain[:-1])])
    names = names_in(f"{last.passage.title}. {last.passage.text}", known=known)
    return [f"{name} {unsaid}" for name in names[:NAMES]]


def _is_new(retrieval: Retrieval, question: str) -> bool:
    return question not in (retrieval.question, *retrieval.queries)


def _settled(before: Sequence[Candidate], after: Sequence[Candidate]) -> bool:
    return {each.id for each in after[:SETTLED]} <= {each.id for each in before[:SETTLED]}


def _shown(candidate: Candidate) -> str:
    return f"({candidate.passage.title}) {candidate.passage.text}"
