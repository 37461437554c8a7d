"""Mixing: channels as one, without losing what one of them says.

The mean of two channels is what FFmpeg and the Whisper implementations take. Of a channel and its
inverse, as a microphone wired the wrong way round gives it, it is silence, and of a phase that is
turned in part it is faint. There the louder channel is taken instead. Invariants:

- One channel stays as it is.
- Which of the two is taken is decided anew for each block, by about the last second, so that it
  neither needs the whole recording nor flutters.
"""

from __future__ import annotations

from math import exp
from typing import cast

import numpy as np

__all__ = ["SAMPLE_RATE", "Mixer", "Samples"]

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]

SAMPLE_RATE = 16_000
"""Samples a second, what Whisper and the detector of speech work on."""
REMEMBERED_S = 1.0
"""Seconds after which what was heard counts by 1/e."""
CANCELLED = 0.2
"""The share of the louder channel's power below which the mean has lost something. When only one
channel speaks, the mean has a quarter of it; when both say different things, more."""


class Mixer:
    """Mixes one recording, a block at a time."""

    def __init__(self) -> None:
        self._powers: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None
        self._mean_power = 0.0

    def mixed(self, channels: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> Samples:
        """One channel of several, of shape (channels, samples)."""
        if channels.shape[0] == 1 or channels.shape[1] == 0:
            return cast("Samples", channels[0])
        mean = channels.mean(axis=0, dtype=np.float32)
        powers = np.square(channels, dtype=np.float64).mean(axis=1)
        kept = exp(-channels.shape[1] / (SAMPLE_RATE * REMEMBERED_S))
        before = np.zeros_like(powers) if self._powers is None else self._powers
        remembered = kept * before + (1 - kept) * powers
        self._powers = remembered
        mean_power = float(np.square(mean, dtype=np.float64).mean())
        self._mean_power = kept * self._mean_power + (1 - kept) * mean_power
        loudest = int(np.argmax(remembered))
        if self._mean_power < CANCELLED * float(remembered[loudest]):
            return cast("Samples", channels[loudest])
        return cast("Samples", mean)
