"""Listening: a stream of samples as windows, cut where nobody speaks.

Invariants:

- The windows, put one after another, are the samples: nothing is left out and nothing twice.
- No window is longer than asked for, and memory holds one window and one block.
- A cut lies in the longest pause of a window's last third; only where there is none it lies at the
  window's end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from motet_speech.decoding import SAMPLE_RATE, Samples

__all__ = ["SileroDetector", "SpeechDetector", "Stretch", "Window", "windows"]

KEPT = 2 / 3
"""The share of a window before which it is not cut, so that windows do not become short."""
ONSET = SAMPLE_RATE // 4
"""Samples of silence that the next window gets before its speech."""
AROUND = SAMPLE_RATE // 2
"""Samples of silence that stay around a part."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a window, in samples from its beginning."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a recording."""

    start_s: float
    """When it begins in the recording."""
    samples: Samples
    speech: tuple[Stretch, ...]
    """Where somebody speaks, in order."""

    @property
    def end_s(self) -> float:
        """When it ends in the recording."""
        return self.start_s + len(self.samples) / SAMPLE_RATE

    @property
    def speech_s(self) -> float:
        """Seconds of speech in it."""
        return sum(each.end - each.start for each in self.speech) / SAMPLE_RATE

    @property
    def speech_end_s(self) -> float:
        """When the last speech ends, in seconds from its beginning; 0 where nobody speaks."""
        return self.speech[-1].end / SAMPLE_RATE if self.speech else 0.0

    def parts(self, pause_s: float) -> Generator[Window]:
        """What is said in it: cut where nobody speaks for `pause_s` seconds.

        Silence of that length at the beginning or the end is left out as well, but for a little
        of it. Without speech there are no parts.
        """
        pause = round(pause_s * SAMPLE_RATE)
        groups: list[list[Stretch]] = []
        for stretch in self.speech:
            if groups and stretch.start - groups[-1][-1].end < pause:
                groups[-1].append(stretch)
            else:
                groups.append([stretch])
        length = len(self.samples)
        for index, group in enumerate(groups):
            start, end = group[0].start, group[-1].end
            begin = 0 if index == 0 and start < pause else start - min(AROUND, start)
            last = index == len(groups) - 1
            finish = length if last and length - end < pause else min(end + AROUND, length)
            yield Window(
                self.start_s + begin / SAMPLE_RATE,
                self.samples[begin:finish],
                tuple(Stretch(each.start - begin, each.end - begin) for each in group),
            )

    def spoken(self, start_s: float, end_s: float) -> tuple[float, float] | None:
        """From when to when somebody speaks between two moments, in seconds from its beginning."""
        start, end = start_s * SAMPLE_RATE, end_s * SAMPLE_RATE
        found = [each for each in self.speech if each.start < end and start < each.end]
        if not found:
            return None
        return (
            max(start_s, found[0].start / SAMPLE_RATE),
            min(end_s, found[-1].end / SAMPLE_RATE),
        )


class SpeechDetector(Protocol):
    """Tells speech from everything else."""

    def __call__(self, samples: Samples) -> tuple[Stretch, ...]:
        """Where somebody speaks, in order, with a little before and after."""
        ...


class SileroDetector:
    """Silero's detector (https://github.com/snakers4/silero-vad), from faster-whisper's wheel.

    Holds speech for speech a little sooner than its default does: what it misses is lost, and
    what it takes for speech by mistake is still doubted by Whisper.
    """

    THRESHOLD = 0.35
    PAUSE_MS = 300
    AROUND_MS = 200

    def __call__(self, samples: Samples) -> tuple[Stretch, ...]:
        """See `SpeechDetector`."""
        from faster_whisper.vad import VadOptions, get_speech_timestamps

        options = VadOptions(
            threshold=self.THRESHOLD,
            min_speech_duration_ms=100,
            min_silence_duration_ms=self.PAUSE_MS,
            speech_pad_ms=self.AROUND_MS,
        )
        return tuple(
            Stretch(int(each["start"]), int(each["end"]))
            for each in get_speech_timestamps(samples, options, sampling_rate=SAMPLE_RATE)
        )


def windows(
    blocks: Iterable[Samples], detect: SpeechDetector, *, window_s: float
) -> Generator[Window]:
    """Cuts a recording into windows of at most `window_s` seconds."""
    longest = round(window_s * SAMPLE_RATE)
    rest: Samples = np.empty(0, np.float32)
    begun = 0
    for block in blocks:
        rest = np.concatenate([rest, block]) if len(rest) else block
        while len(rest) > longest:
            speech = detect(rest[:longest])
            cut = _cut(speech, longest)
            yield Window(begun / SAMPLE_RATE, rest[:cut], _before(speech, cut))
            begun += cut
            rest = rest[cut:]
    if len(rest):
        yield Window(begun / SAMPLE_RATE, rest, detect(rest))


def _cut(speech: tuple[Stretch, ...], longest: int) -> int:
    """Where to end a window: in the longest pause, if that is not too early."""
    late = [pause for pause in _pauses(speech, longest) if sum(pause) / 2 >= longest * KEPT]
    if not late:
        return longest
    start, end = max(late, key=lambda pause: pause[1] - pause[0])
    middle = (start + end) // 2
    # At the end of what is known, who speaks next may begin at once.
    return max(middle, longest - ONSET) if end == longest else middle


def _pauses(speech: tuple[Stretch, ...], length: int) -> list[tuple[int, int]]:
    edges = [0, *(edge for each in speech for edge in (each.start, each.end)), length]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def _before(speech: tuple[Stretch, ...], cut: int) -> tuple[Stretch, ...]:
    return tuple(Stretch(each.start, min(each.end, cut)) for each in speech if each.start < cut)
