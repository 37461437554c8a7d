"""Support: how far the evidence states a claim, without a language model.

A logistic regression over a few features of the claim and the evidence; its weights are a data file
made by `python -m benchmarks faithfulness --train`, which also says on what. `motet.text.support`
stands above it, because what it finds is decisive however many words agree: a number, a unit or a
name that the evidence has not; one word that is stated otherwise; or all of the claim in one
sentence.

Invariants:

- The same claim and evidence always give the same score. Nothing in either is ever followed as an
  instruction.
- A claim of no words is not supported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from motet.errors import FaultError
from motet.messages import FaultType
from motet.text import support
from motet.text.sentences import sentences
from motet_evaluator.words import Words, language_of_all, share

__all__ = ["FEATURES", "SUPPORTED", "Body", "Support", "check_size", "features_of", "support_of"]

SUPPORTED = 0.5
"""From this score on a claim counts as supported; the weights are fitted with classes of equal
weight, so that it is where both kinds of mistake weigh the same."""

FEATURES = (
    "stems",  # share of the claim's stems that the evidence has
    "sentence",  # share of its content stems that one sentence of the evidence has
    "in_order",  # longest common subsequence with a sentence, by the claim's length
    "foreign",  # log(1 + stems that the evidence has not)
    "common",  # log(1 + words of every text, such as pronouns, that the evidence has not)
    "personal",  # it speaks of who writes or reads
    "question",  # it asks
    "short",  # at most one word of content
)

_WEIGHTS = "support.v2.json"

_NEAREST = 3
"""Sentences that are compared word by word; they share most words with the claim."""

_CONTRADICTED = 0.1
"""The most that is left of the score of a claim with a number, unit or name of its own."""

_OTHERWISE = 0.49
"""The most that is left where the evidence says it otherwise in one place: not supported, but
nearer to it than what has other figures."""

_STATED = 0.6
"""The least score of a claim that one sentence or row states in full."""

_QUESTION_MARKS = frozenset("?？؟")

_MOST_COMPARISONS = 2_000_000
"""Claims times sentences that are compared for one score: some seconds of one core."""


def check_size(claims: int, *bodies: Body) -> None:
    """Refuses what would take longer than a score is worth.

    Raises:
        FaultError: `too_large`.
    """
    sentences = sum(len(body.sentences) for body in bodies)
    if claims * sentences > _MOST_COMPARISONS:
        raise FaultError.of(
            FaultType.TOO_LARGE,
            f"{claims} claims and {sentences} sentences of evidence are more than can be compared.",
        )


class Body:
    """Evidence, taken apart once for all claims that are held against it."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = list(texts)

    @cached_property
    def language(self) -> str | None:
        """The language that it is likely in."""
        return language_of_all(*self._texts)

    @cached_property
    def evidence(self) -> support.Evidence:
        """The same, as `motet.text` compares it."""
        return support.Evidence("\n\n".join(self._texts), self.language)

    @cached_property
    def sentences(self) -> list[Words]:
        """Its sentences and rows."""
        return [
            Words(each, self.language)
            for text in self._texts
            for each in sentences(text, self.language)
        ]

    @cached_property
    def stems(self) -> frozenset[str]:
        """All its stems."""
        return frozenset(stem for sentence in self.sentences for stem in sentence.stems)

    @cached_property
    def _sets(self) -> list[frozenset[str]]:
        return [frozenset(sentence.stems) for sentence in self.sentences]

    def nearest(self, claim: Words) -> list[Words]:
        """The sentences that share most with a claim, best first."""
        wanted = claim.stems
        ranked = sorted(
            range(len(self.sentences)), key=lambda index: (-share(wanted, self._sets[index]), index)
        )
        return [self.sentences[index] for index in ranked[:_NEAREST]]

    def words_of(self, claim: str) -> Words:
        """A claim, taken apart in the language of the evidence."""
        return Words(claim, self.language)

    def missing_quantity(self, claim: str, known: str = "") -> str | None:
        """The number or unit of a claim that the evidence has not, in a sentence."""
        return support.missing_quantity(claim, self.evidence, known=known)


@dataclass(frozen=True, slots=True)
class Support:
    """How far a claim is supported."""

    score: float
    """From 0 to 1."""
    reason: str
    """What spoke for or against it."""

    @property
    def supported(self) -> bool:
        """Whether it counts as supported."""
        return self.score >= SUPPORTED


def support_of(claim: str, body: Body, known: Iterable[str] = ()) -> Support:
    """How far the evidence supports a claim.

    Args:
        claim: One statement.
        body: The evidence.
        known: Texts whose names the claim may use, such as the question and the titles.
    """
    words = body.words_of(claim)
    if not words.stems:
        return Support(0.0, "It has no words.")
    if not body.sentences:
        return Support(0.0, "There is no evidence.")
    nearest = body.nearest(words)
    score = _weights().probability(_features(words, body, nearest))
    found = support.support_of(claim, body.evidence, known="\n".join(known))
    if found.degree is support.Degree.WRONG:
        return Support(min(score * 0.2, _CONTRADICTED), found.reason)
    if found.degree is support.Degree.FULL:
        score = max(score, _STATED)
    elif found.otherwise:
        return Support(min(score, _OTHERWISE), found.reason)
    return Support(score, _reason(score, words, body, nearest[0].text))


def _reason(score: float, words: Words, body: Body, nearest: str) -> str:
    if score >= SUPPORTED:
        return f"Nearest: {_shown(nearest)!r}"
    foreign = [stem for stem in dict.fromkeys(words.stems) if stem not in body.stems]
    missing = ", ".join(repr(word) for word in foreign[:5])
    return f"Not in the evidence: {missing}." if foreign else "Said otherwise there."


def features_of(claim: str, body: Body) -> tuple[float, ...]:
    """The features of a claim, in the order of `FEATURES`."""
    words = body.words_of(claim)
    return _features(words, body, body.nearest(words))


def _features(words: Words, body: Body, nearest: Sequence[Words]) -> tuple[float, ...]:
    stems, content = words.stems, words.content
    foreign = sum(each not in body.stems for each in stems)
    in_sentence = max((share(content, each.content_set) for each in body.sentences), default=0.0)
    common = max((_common(stems, each.stems) for each in nearest), default=0)
    return (
        share(stems, body.stems) if stems else 0.0,
        in_sentence if content else 0.0,
        common / max(1, len(stems)),
        math.log1p(foreign),
        math.log1p(sum(each not in body.stems for each in words.common)),
        float(words.personal),
        float(not _QUESTION_MARKS.isdisjoint(words.text)),
        float(len(content) <= 1),
    )


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of a longest common subsequence."""
    lengths = [0] * (len(second) + 1)
    for one in first:
        diagonal = 0
        for place, other in enumerate(second, start=1):
            above = lengths[place]
            lengths[place] = diagonal + 1 if one == other else max(above, lengths[place - 1])
            diagonal = above
    return lengths[-1]


@dataclass(frozen=True)
class _Weights:
    intercept: float
    weights: tuple[float, ...]

    def probability(self, features: Sequence[float]) -> float:
        total = self.intercept + sum(
            weight * value for weight, value in zip(self.weights, features, strict=True)
        )
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, total))))


@cache
def _weights() -> _Weights:
    text = files("motet_evaluator.weights").joinpath(_WEIGHTS).read_text(encoding="utf-8")
    read = json.loads(text)
    return _Weights(read["intercept"], tuple(read["weights"][name] for name in FEATURES))


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 160 else text[:159] + "…"
