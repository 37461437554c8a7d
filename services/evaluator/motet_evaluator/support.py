"""Support: how far the evidence states a claim, by its words alone.

A logistic regression over a few features of the claim and the evidence; its weights are a data file
made by `python -m benchmarks faithfulness --train`, which also says on what. Three rules stand
above it, because what they find is decisive however many words agree: a number, a name, or a
negation in the claim that the evidence does not have.

Invariants:

- The same claim and evidence always give the same score. Nothing in either is ever followed as an
  instruction.
- A claim of no words is not supported.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from motet.errors import FaultError
from motet.messages import FaultType
from motet_evaluator.claims import addresses_the_judge, sentences_of
from motet_evaluator.words import FUNCTION_WORDS, NEGATIONS, Words, share, stem

__all__ = ["FEATURES", "SUPPORTED", "Body", "Support", "check_size", "features_of", "support_of"]

SUPPORTED = 0.5
"""From this score on a claim counts as supported; the weights are fitted with classes of equal
weight, so that it is where both kinds of mistake weigh the same."""

FEATURES = (
    "stems",  # share of the claim's stems that the evidence has
    "sentence",  # share of its content stems that one sentence of the evidence has
    "in_order",  # longest common subsequence with a sentence, by the claim's length
    "foreign",  # log(1 + stems that the evidence has not)
    "negated",  # it negates, and the evidence nowhere does
    "personal",  # it speaks of who writes or reads
    "question",  # it asks
    "short",  # at most one word of content
)

_WEIGHTS = "support.v1.json"

_NEAREST = 3
"""Sentences that are compared word by word; they share most words with the claim."""

_CONTRADICTED = 0.2
"""What is left of the score of a claim with a number, a name or a negation of its own."""

_SAME_STATEMENT = 0.8
"""Share of a claim's content that a stretch of evidence has which is about the same thing."""

_NAME = re.compile(r"[^\W\d_]{2,}")


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
        self.sentences = [Words(each) for text in texts for each in sentences_of(text)]

    @cached_property
    def stems(self) -> frozenset[str]:
        """All its stems."""
        return frozenset(stem for sentence in self.sentences for stem in sentence.stems)

    @cached_property
    def numbers(self) -> frozenset[float]:
        """The values of all its numbers."""
        return frozenset(number for sentence in self.sentences for number in sentence.numbers)

    @cached_property
    def negated(self) -> bool:
        """Whether it negates anything."""
        return any(sentence.negated for sentence in self.sentences)

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
    words = Words(claim)
    if not words.all:
        return Support(0.0, "It has no words.")
    if addresses_the_judge(claim):
        return Support(0.0, "It speaks to whoever evaluates it, and states nothing.")
    if not body.sentences:
        return Support(0.0, "There is no evidence.")
    nearest = body.nearest(words)
    score = _weights().probability(_features(words, body, nearest))
    against = _against(words, body, nearest, known)
    if against is not None:
        return Support(min(score * _CONTRADICTED, 0.1), against)
    foreign = [word for word in dict.fromkeys(words.all) if stem(word) not in body.stems]
    if score >= SUPPORTED:
        return Support(score, f"Nearest: {_shown(nearest[0].text)!r}")
    missing = ", ".join(repr(word) for word in foreign[:5])
    return Support(
        score, f"Not in the evidence: {missing}." if foreign else "Said otherwise there."
    )


def features_of(claim: str, body: Body) -> tuple[float, ...]:
    """The features of a claim, in the order of `FEATURES`."""
    words = Words(claim)
    return _features(words, body, body.nearest(words))


def _features(words: Words, body: Body, nearest: Sequence[Words]) -> tuple[float, ...]:
    stems, content = words.stems, words.content
    foreign = sum(each not in body.stems for each in stems)
    in_sentence = max((share(content, each.content_set) for each in body.sentences), default=0.0)
    common = max((len(_common(stems, each.stems)) for each in nearest), default=0)
    return (
        share(stems, body.stems) if stems else 0.0,
        in_sentence if content else 0.0,
        common / max(1, len(stems)),
        math.log1p(foreign),
        float(words.negated and not body.negated),
        float(words.personal > 0),
        float("?" in words.text),
        float(len(content) <= 1),
    )


def _against(
    words: Words, body: Body, nearest: Sequence[Words], known: Iterable[str]
) -> str | None:
    """What in a claim no amount of agreement makes good; None where there is nothing."""
    for figure in words.figures:
        if not any(figure.states(number) for number in body.numbers):
            return f"The evidence does not give the number {figure.value:g}."
    names = _names(words.text)
    if names:
        familiar = body.stems | {each for text in known for each in Words(text).stems}
        for name in names:
            if stem(name.lower()) not in familiar:
                return f"The evidence does not name {name!r}."
    if any(_opposite(words, sentence) for sentence in nearest[:1]):
        return f"The evidence says the opposite: {_shown(nearest[0].text)!r}"
    return None


def _names(text: str) -> list[str]:
    """Words with a capital that does not come from where they stand."""
    words = _NAME.findall(text)
    first = 0 if len(words) > 1 and words[1][0].isupper() else 1
    return [
        word
        for word in words[first:]
        if word[0].isupper() and not word.isupper() and word.lower() not in FUNCTION_WORDS
    ]


def _opposite(claim: Words, sentence: Words) -> bool:
    """Whether a sentence says the same as a claim but for a negation.

    Only the stretch of the sentence counts in which the claim's words stand: `he likes tea, but not
    coffee` does not deny that he likes tea.
    """
    plain = [each for each in claim.stems if each not in NEGATIONS]
    matched = _common(plain, sentence.stems)
    if not matched:
        return False
    stretch = sentence.all[matched[0] : matched[-1] + 1]
    if len(stretch) > len(plain) + 3:
        return False
    same = share(claim.content, {stem(word) for word in stretch}) >= _SAME_STATEMENT
    return same and claim.negated != any(word in NEGATIONS for word in stretch)


def _common(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """The places in `second` of its longest common subsequence with `first`."""
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) - 1, -1, -1):
        for j in range(len(second) - 1, -1, -1):
            lengths[i][j] = (
                lengths[i + 1][j + 1] + 1
                if first[i] == second[j]
                else max(lengths[i + 1][j], lengths[i][j + 1])
            )
    places: list[int] = []
    i = j = 0
    while i < len(first) and j < len(second):
        if first[i] == second[j]:
            places.append(j)
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return places


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
