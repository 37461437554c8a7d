"""Sound files, made for a test."""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from motet_speech.decoding import SAMPLE_RATE, Samples
from motet_speech.listening import Stretch


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def tone(seconds: float, hertz: float = 440) -> Samples:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.5 * np.sin(2 * math.pi * hertz * time)).astype(np.float32)


def noise(seconds: float, loudness: float = 0.1) -> Samples:
    random = np.random.default_rng(0)
    return (loudness * random.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def babble(seconds: float) -> Samples:
    """What a detector of speech takes for some: four vowels a second, sung by nobody.

    A pulse train of some 120 Hz through the first two formants of five vowels.
    """
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    formants = np.array([(730, 1090), (270, 2290), (570, 840), (530, 1840), (300, 870)], float)
    now = formants[(4 * time).astype(int) % len(formants)]
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time) + 10 * np.sin(2 * np.pi * 3 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    voice = np.zeros_like(time)
    for harmonic in range(1, 40):
        near = (harmonic * pitch[:, None] - now) / 90
        voice += (1 / (1 + near**2)) @ np.array([1, 0.6]) * np.sin(harmonic * phase)
    voice *= np.sqrt(np.clip(np.sin(np.pi * (4 * time % 1)), 0, 1))
    return (0.3 * voice / np.abs(voice).max()).astype(np.float32)


def join(*parts: Samples) -> Samples:
    return np.concatenate(parts)


def wav(*channels: Samples, rate: int = SAMPLE_RATE) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.stack(channels, axis=1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def encoded(samples: np.ndarray, container: str, codec: str, rate: int = SAMPLE_RATE) -> bytes:
    """A file of another format; what it holds is close to `samples`, of one channel or two."""
    out = io.BytesIO()
    channels = np.atleast_2d(samples)
    layout = "mono" if len(channels) == 1 else "stereo"
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray((channels * 32767).astype(np.int16)), format="s16p", layout=layout
        )
        frame.rate = SAMPLE_RATE
        frame.pts = 0
        frame.time_base = Fraction(1, SAMPLE_RATE)
        for packet in stream.encode(frame):
            file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)
    return out.getvalue()


def video(seconds: float, samples: Samples | None = None) -> bytes:
    """A Matroska film of black pictures, with or without sound."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as file:
        pictures = file.add_stream("mpeg4", rate=5)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        sound = None
        if samples is not None:
            sound = file.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        for index in range(round(seconds * 5)):
            picture = av.VideoFrame(64, 64, "yuv420p")
            picture.pts = index
            picture.time_base = Fraction(1, 5)
            for packet in pictures.encode(picture):
                file.mux(packet)
        for packet in pictures.encode(None):
            file.mux(packet)
        if sound is not None and samples is not None:
            for frame in _frames(samples):
                for packet in sound.encode(frame):
                    file.mux(packet)
            for packet in sound.encode(None):
                file.mux(packet)
    return out.getvalue()


def _frames(samples: Samples) -> Iterator[av.AudioFrame]:
    for start in range(0, len(samples), 4096):
        part = (samples[start : start + 4096] * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.rate = SAMPLE_RATE
        frame.pts = start
        frame.time_base = Fraction(1, SAMPLE_RATE)
        yield frame


def loud(samples: Samples) -> tuple[Stretch, ...]:
    """A detector that takes every sound for speech: tenths of a second that are not silent."""
    step = SAMPLE_RATE // 10
    found: list[Stretch] = []
    for start in range(0, len(samples), step):
        end = min(start + step, len(samples))
        if np.abs(samples[start:end]).max() > 0.01:
            if found and found[-1].end == start:
                found[-1] = Stretch(found[-1].start, end)
            else:
                found.append(Stretch(start, end))
    return tuple(found)
