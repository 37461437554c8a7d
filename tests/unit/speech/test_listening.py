"""Recordings are cut into windows, in pauses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motet_speech.decoding import SAMPLE_RATE, Samples
from motet_speech.listening import SileroDetector, Stretch, Window, windows
from tests.unit.speech.sounds import join, loud, noise, silence, tone

parts = st.lists(
    st.tuples(st.booleans(), st.floats(min_value=0.1, max_value=20)), min_size=0, max_size=8
)


def cut(samples: Samples, window_s: float = 10, block_s: float = 3) -> list[Window]:
    step = round(block_s * SAMPLE_RATE)
    blocks = [samples[start : start + step] for start in range(0, len(samples), step)]
    return list(windows(blocks, loud, window_s=window_s))


@given(parts)
def test_windows_are_the_recording(parts: list[tuple[bool, float]]) -> None:
    samples = join(silence(0), *(tone(s) if sounds else silence(s) for sounds, s in parts))
    found = cut(samples)
    assert np.array_equal(join(silence(0), *(each.samples for each in found)), samples)
    assert all(0 < len(each.samples) <= 10 * SAMPLE_RATE for each in found)
    for before, after in itertools.pairwise(found):
        assert before.end_s == pytest.approx(after.start_s)
    for each in found:
        assert all(0 <= s.start < s.end <= len(each.samples) for s in each.speech)


def test_a_cut_lies_in_the_last_pause() -> None:
    found = cut(join(tone(4), silence(1), tone(3), silence(1), tone(6)))
    assert [each.start_s for each in found] == [0, 8.5]
    assert [each.speech for each in found] == [
        (Stretch(0, 64_000), Stretch(80_000, 128_000)),
        (Stretch(8_000, 104_000),),
    ]


def test_an_early_pause_is_not_cut_in() -> None:
    assert [each.start_s for each in cut(join(tone(1), silence(1), tone(15)))] == [0, 10]


def test_a_short_recording_is_one_window() -> None:
    (only,) = cut(join(silence(1), tone(2)))
    assert (only.start_s, only.end_s, only.speech_s) == (0, 3, 2)
    assert only.spoken(0, 1) is None
    assert only.spoken(0.5, 2.5) == (1, 2.5)
    assert only.spoken(1.5, 9) == (1.5, 3)


def test_long_silence_parts_a_window() -> None:
    samples = join(silence(6), tone(2), silence(1), tone(2), silence(5), tone(2), silence(2))
    (window,) = cut(samples, window_s=30)
    first, second = window.parts(4)
    assert (first.start_s, first.end_s) == (5.5, 11.5)
    assert (second.start_s, second.end_s) == (15.5, 20)
    assert first.speech == (Stretch(8_000, 40_000), Stretch(56_000, 88_000))
    assert np.array_equal(first.samples, samples[88_000:184_000])
    assert [part.start_s for part in window.parts(10)] == [0]
    assert list(cut(silence(5))[0].parts(4)) == []


def test_an_empty_recording_has_no_windows() -> None:
    assert cut(silence(0)) == []


def test_silence_noise_and_tones_are_no_speech() -> None:
    detect = SileroDetector()
    for samples in (silence(5), noise(5), noise(5, 0.001), tone(5), tone(0.01)):
        assert detect(samples) == ()
