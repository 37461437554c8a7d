"""Doubts: what of a transcript may not have been said, and when a whole one is no transcript.

A model that knows one language writes that language whatever is spoken: fluent sentences that
nobody said. It is less sure of them than of what it understands, which is all that tells them
apart, as such a model cannot tell languages. Invariants:

- Nothing is left out without a warning, and no text that the model guessed is without one.
- What is guessed from beginning to end is a fault, unless the request names the language.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from motet.errors import FaultError
from motet.messages import SpeechFault, TranscriptSegment

__all__ = ["Doubts"]

GUESSED = -1.0
"""Mean log probability of tokens below which Whisper's authors hold a text for failed (Radford et
al. 2022, section 4.5)."""
GUESSED_OF_ONE_LANGUAGE = -0.7
"""The same for a model of one language. tiny.en gave -0.13 to -0.63 to English of a synthetic
voice, clear or with noise to 3 dB, and -0.62 to -1.28, once above -0.74, to German, French,
Spanish, Italian, Dutch, Polish, Swedish and Turkish."""
UNSURE_OF_ONE_LANGUAGE = -0.55
"""Mean log probability of a whole recording below which the language is not told, and that is
said: there what is understood and what is guessed overlap."""
REPETITION = 2.4
"""How many times smaller a text that repeats itself becomes by zlib: Whisper's own limit
(Radford et al. 2022, section 4.5)."""
FASTEST = 25.0
"""Characters a second that nobody speaks for long: about twice of what is usual."""
LISTED = 5
"""Stretches that a warning lists."""
TOGETHER_S = 1.0
"""Seconds between two stretches up to which they are told as one."""
UNHEARD_S = 1.0
"""Seconds of speech without any text from which on that is said."""


@dataclass
class Doubts:
    """What is doubtful in one recording, gathered as it is heard."""

    assumed: bool = False
    """Whether the model takes everything for its one language."""
    guessed: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """From when to when it was not sure, in seconds."""
    repeating: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """From when to when the text repeats itself."""
    _weight_s: float = 0.0
    _weighted: float = 0.0

    def kept(self, segment: TranscriptSegment) -> TranscriptSegment:
        """The segment, with no more words than fit into its time."""
        stretch = (segment.start_s, segment.end_s)
        if _repeats(segment.text):
            self.repeating.append(stretch)
            segment = _shortened(segment)
        probability = segment.average_log_probability
        if probability is not None:
            seconds = max(segment.end_s - segment.start_s, 0.1)
            self._weight_s += seconds
            self._weighted += seconds * probability
            if probability < self._limit:
                self.guessed.append(stretch)
        return segment

    @property
    def average(self) -> float | None:
        """The mean log probability of all that was heard."""
        return self._weighted / self._weight_s if self._weight_s else None

    def check(self, model: str, language: str | None) -> None:
        """Refuses what is guessed from beginning to end.

        Args:
            model: What heard it, as `provider:name`.
            language: The language that the request names.

        Raises:
            FaultError: `not_understood`.
        """
        average = self.average
        if not self.assumed or language is not None or average is None or average >= self._limit:
            return
        raise FaultError.of(
            SpeechFault.NOT_UNDERSTOOD,
            f"The speech was not understood: {model} knows English only, and writes English "
            "whatever is spoken. If another language is spoken, set MOTET_SPEECH_MODEL to a model "
            "of more languages, such as local:whisper-base (`motet models pull whisper-base`). If "
            'it is English, ask with `language` "en" to have what was made out.',
            average_log_probability=round(average, 2),
        )

    def is_sure_of_language(self, language: str | None) -> bool:
        """Whether the language is the request's, or one that the model found or is sure of."""
        unsure = self.average is not None and self.average < UNSURE_OF_ONE_LANGUAGE
        return language is not None or not (self.assumed and unsure)

    def warnings(self, *, language: str | None, speech_s: float, text: str) -> Iterator[str]:
        """A sentence for each kind of doubt; `language` is the request's."""
        if not self.is_sure_of_language(language):
            yield (
                "The model knows English only and is not sure of what it heard: if another "
                "language is spoken, set MOTET_SPEECH_MODEL to a model of more languages, such as "
                "local:whisper-base."
            )
        if self.guessed:
            yield (
                f"The speech was hardly understood {_listed(self.guessed)}: the text there may be "
                "wrong, or made up."
            )
        if self.repeating:
            yield (
                f"The text repeats itself {_listed(self.repeating)}: how often it was said is not "
                "sure."
            )
        if not text and speech_s >= UNHEARD_S:
            yield f"Somebody speaks for {speech_s:.1f} s, but no words could be made out."

    @property
    def _limit(self) -> float:
        return GUESSED_OF_ONE_LANGUAGE if self.assumed else GUESSED


def _repeats(text: str) -> bool:
    """Whether the words compress as a loop does, however they are punctuated and cased."""
    data = re.sub(r"\W+", " ", text.casefold()).encode()
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)  # no header, which outweighs a short text
    packed = packer.compress(data) + packer.flush()
    return len(data) / len(packed) > REPETITION


def _shortened(segment: TranscriptSegment) -> TranscriptSegment:
    most = round(FASTEST * (segment.end_s - segment.start_s))
    if len(segment.text) <= most:
        return segment
    text = segment.text[:most].rsplit(maxsplit=1)[0].rstrip(",;")
    return segment.model_copy(update={"text": text, "words": segment.words[: len(text.split())]})


def _listed(stretches: list[tuple[float, float]]) -> str:
    joined: list[tuple[float, float]] = []
    for start, end in stretches:
        if joined and start - joined[-1][1] <= TOGETHER_S:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    parts = [f"from {start:.1f} s to {end:.1f} s" for start, end in joined[:LISTED]]
    more = len(joined) - LISTED
    return ", ".join(parts) + (f" and {more} times more" if more > 0 else "")
