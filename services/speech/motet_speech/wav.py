"""Samples as WAV files: one channel, 16 bits."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable

import numpy as np

from motet_speech.decoding import Samples

__all__ = ["pcm_of", "wav_of"]


def pcm_of(samples: Samples) -> bytes:
    """Samples between -1 and 1 as 16-bit integers, the lower byte first."""
    return np.clip(np.rint(samples * 32767.0), -32768, 32767).astype("<i2").tobytes()


def wav_of(pieces: Iterable[bytes], rate: int) -> bytes:
    """A file of what `pcm_of` gave, with `rate` samples a second."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        for piece in pieces:
            file.writeframesraw(piece)
    return out.getvalue()
