"""Re-reading: the best candidates put in a new order by who reads question and passage together.

Invariants:

- Only the first candidates are re-read, whichever page is asked for; the others stay behind them in
  the order before.
- `auto` takes what the retriever is set up with, and a failure of it leaves the order as it was and
  a note. A reranker that the request names fails as a typed fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from motet.errors import FaultError
from motet.messages import BranchScore, FaultType, Passage
from motet.models.reranking import Reranker
from motet_retriever.fusion import Candidate
from motet_retriever.prompts import PROMPTS, fenced
from motet_retriever.reasons import RERANK

__all__ = ["Kind", "ModelReranker", "RankingModel", "Rereading"]

Kind = Literal["cross_encoder", "api", "model"]

QUESTION = 2_000
EVIDENCE = 12_000
"""Characters of passages that a chat model is shown."""
SHOWN = 600
"""Characters of one of them."""
ENDING = {FaultType.CANCELLED, FaultType.DEADLINE_EXCEEDED}


class RankingModel(Protocol):
    """What is asked of a chat model."""

    @property
    def provider(self) -> str:
        """Who runs it."""
        ...

    @property
    def name(self) -> str:
        """The provider's name of it."""
        ...

    async def structured(
        self, messages: Sequence[Any], schema: dict[str, Any], *, name: str, max_tokens: int
    ) -> dict[str, Any]:
        """An answer in the form of a JSON Schema."""
        ...


class ModelReranker:
    """The chat model puts the passages in order (Sun et al., "Is ChatGPT good at search?", 2023).

    What it leaves out comes after what it names, in the order before.
    """

    def __init__(self, model: RankingModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """See `Reranker.name`."""
        provider = f"{self._model.provider}:"
        return f"{provider}{self._model.name.removeprefix(provider)}"

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """See `Reranker.scores`; they are places in the order, from 1 down to 0."""
        room = max(min(SHOWN, EVIDENCE // max(len(texts), 1)), 40)
        shown = "\n".join(
            f"[{number}] {' '.join(text.split())[:room]}"
            for number, text in enumerate(texts, start=1)
        )
        said = await self._model.structured(
            PROMPTS.load("rank").messages(
                question=fenced(question, QUESTION),
                passages=fenced(shown, 2 * EVIDENCE, "passages"),
            ),
            _order_schema(len(texts)),
            name="rank",
            max_tokens=200,
        )
        named = [number - 1 for number in dict.fromkeys(said["order"])]
        order = [*named, *(place for place in range(len(texts)) if place not in set(named))]
        places = {place: rank for rank, place in enumerate(order)}
        return [1 - places[place] / len(texts) for place in range(len(texts))]

    async def close(self) -> None:
        """The model is another's to close."""


def _order_schema(count: int) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "order": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": count},
                "maxItems": count,
            }
        },
        "required": ["order"],
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True)
class Rereading:
    """Who can re-read, and how much."""

    rerankers: Mapping[Kind, Reranker] = field(default_factory=dict)
    usual: Kind | None = None
    """What `auto` takes; None takes none."""
    candidates: int = 30
    """Passages that are read."""

    def chosen(self, asked: str) -> tuple[Reranker | None, bool]:
        """The reranker for a request's `rerank`, and whether the request named it.

        Raises:
            FaultError: `invalid_input` for one that is not set up.
        """
        if asked == "none":
            return None, False
        if asked == "auto":
            return None if self.usual is None else self.rerankers[self.usual], False
        for kind, reranker in self.rerankers.items():
            if kind == asked:
                return reranker, True
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"This retriever has no reranker {asked!r}: {_MISSING.get(asked, 'there is none')}.",
        )

    async def reread(
        self, question: str, candidates: Sequence[Candidate], reranker: Reranker
    ) -> list[Candidate]:
        """The candidates in the reranker's order.

        Raises:
            FaultError: What the reranker raises.
        """
        first, rest = candidates[: self.candidates], candidates[self.candidates :]
        if not first:
            return []
        scores = await reranker.scores(question, [_read(each.passage) for each in first])
        order = sorted(range(len(first)), key=lambda place: (-scores[place], place))
        # Above what was not read, so that scores go down along the list.
        floor = rest[0].score if rest else 0.0
        return [
            *(
                first[place].scored(
                    floor + (1 - floor) * scores[place],
                    BranchScore(branch=RERANK, rank=rank, score=scores[place]),
                )
                for rank, place in enumerate(order, start=1)
            ),
            *rest,
        ]


_MISSING = {
    "cross_encoder": "set MOTET_RETRIEVER_RERANKER=local:/path/to/folder",
    "api": "set MOTET_RETRIEVER_RERANKER_URL",
    "model": "set MOTET_RETRIEVER_MODEL=on, and name a chat model by MOTET_MODEL",
}


def _read(passage: Passage) -> str:
    """What is read of a passage: its text under its title and headings."""
    headings = [each for each in passage.section if each != passage.title]
    return f"{' > '.join([passage.title, *headings])}\n{passage.text}"
