"""Files of any format become the same samples, and bad ones a fault that says what is wrong."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from random import Random

import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from motet.errors import FaultError
from motet_speech.decoding import BLOCK, SAMPLE_RATE, Decoding
from tests.unit.speech.sounds import babble, encoded, join, noise, silence, tone, video, wav

SOUND = tone(3)


def decoded(data: bytes, max_seconds: float = 100) -> tuple[Decoding, np.ndarray]:
    decoding = Decoding(io.BytesIO(data), max_seconds=max_seconds)
    return decoding, np.concatenate(list(decoding.blocks()))


def fault_of(data: bytes, max_seconds: float = 100) -> tuple[str, str]:
    with pytest.raises(FaultError) as raised:
        decoded(data, max_seconds)
    assert not raised.value.fault.retryable
    return raised.value.fault.type, raised.value.fault.message


@pytest.mark.parametrize(
    "data",
    [
        wav(SOUND),
        encoded(SOUND, "flac", "flac"),
        encoded(SOUND, "mp3", "libmp3lame"),
        encoded(SOUND, "ogg", "libopus", 48_000),
        encoded(SOUND, "adts", "aac"),
        encoded(SOUND, "matroska", "pcm_s16le", 44_100),
        video(3, SOUND),
    ],
    ids=["wav", "flac", "mp3", "opus", "aac", "matroska", "film"],
)
def test_every_format_gives_the_sound(data: bytes) -> None:
    decoding, samples = decoded(data)
    assert decoding.duration_s == pytest.approx(3, abs=0.1)
    assert decoding.duration_s == len(samples) / SAMPLE_RATE
    assert decoding.warnings == ()
    middle = samples[SAMPLE_RATE : 2 * SAMPLE_RATE]
    spectrum = np.abs(np.fft.rfft(middle))
    assert int(spectrum.argmax()) == 440
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_samples_equal_those_of_faster_whisper(rate: int) -> None:
    data = wav(noise(30), rate=rate)
    assert np.array_equal(decoded(data)[1], decode_audio(io.BytesIO(data)))


def loudness(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples[SAMPLE_RATE:-SAMPLE_RATE]))))


@pytest.mark.parametrize(
    "right",
    [-1.0, -0.7, 0.0, 0.4, 1.0],
    ids=["inverted", "inverted in part", "silent", "quiet", "equal"],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_no_channel_takes_the_sound_from_the_other(right: float, swapped: bool) -> None:
    sound = babble(4)
    channels = (right * sound, sound) if swapped else (sound, right * sound)
    samples = decoded(wav(*channels))[1]
    assert loudness(samples) > 0.4 * loudness(sound)
    # It is the sound itself, upright or inverted.
    assert abs(np.corrcoef(samples, sound)[0, 1]) > 0.99


def test_inverted_channels_of_a_compressed_file_are_heard() -> None:
    sound = babble(4)
    data = encoded(np.stack([sound, -sound]), "ogg", "libopus", 48_000)
    assert loudness(decoded(data)[1]) > 0.4 * loudness(sound)


def test_both_of_two_channels_that_say_different_things_are_heard() -> None:
    samples = decoded(wav(tone(4, 440), tone(4, 1000)))[1]
    spectrum = np.abs(np.fft.rfft(samples[SAMPLE_RATE : 2 * SAMPLE_RATE]))
    assert sorted(np.argsort(spectrum)[-2:]) == [440, 1000]


def test_channels_that_take_turns_are_both_heard() -> None:
    first, second = tone(4, 440), tone(4, 1000)
    data = wav(join(first, silence(4)), join(silence(4), second))
    samples = decoded(data)[1]
    assert loudness(samples[: 4 * SAMPLE_RATE]) > 0.4 * loudness(first)
    assert loudness(samples[4 * SAMPLE_RATE :]) > 0.4 * loudness(second)


def test_two_channels_without_trouble_are_averaged_as_elsewhere() -> None:
    data = wav(noise(10), 0.5 * noise(10) + tone(10) / 2)
    difference = decoded(data)[1] - decode_audio(io.BytesIO(data))
    assert np.abs(difference).max() <= 2 / 32768


def test_more_than_two_channels_are_heard() -> None:
    sound = babble(3)
    quiet = silence(3)
    samples = decoded(wav(quiet, quiet, sound, quiet, quiet, quiet))[1]
    assert abs(np.corrcoef(samples, sound)[0, 1]) > 0.99


def boxes(data: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    while data:
        size = int.from_bytes(data[:4], "big")
        found[data[4:8]], data = data[:size], data[size:]
    return found


def test_mp4_without_its_index_says_what_is_missing() -> None:
    parts = boxes(encoded(SOUND, "ipod", "aac"))
    whole = b"".join(parts.values())
    assert decoded(whole)[0].duration_s == pytest.approx(3, abs=0.1)
    cut = whole[: whole.index(parts[b"moov"])]
    for data in (cut, cut[: len(cut) // 2], parts[b"ftyp"] + parts[b"mdat"][:5000]):
        kind, message = fault_of(data)
        assert kind == "corrupt_audio"
        assert "without its index" in message
        assert "cut off" in message


@pytest.mark.parametrize(
    "data, kind, said",
    [
        (b"", "empty_audio", "The file is empty"),
        (wav(silence(0)), "empty_audio", "has no sound"),
        (b"Dear Sir or Madam, " * 100, "not_audio", "Invalid data"),
        (Random(0).randbytes(64), "not_audio", "no audio or video"),
        (video(2), "no_audio_track", r"Matroska.* has no audio track"),
    ],
    ids=["empty", "no samples", "text", "noise", "mute film"],
)
def test_what_is_no_recording_is_said(data: bytes, kind: str, said: str) -> None:
    assert fault_of(data)[0] == kind
    with pytest.raises(FaultError, match=said):
        decoded(data)


def test_a_damaged_file_gives_what_is_whole() -> None:
    data = bytearray(encoded(tone(30), "mp3", "libmp3lame"))
    data[45_000:46_000] = Random(0).randbytes(1000)
    decoding, samples = decoded(bytes(data))
    assert 25 < len(samples) / SAMPLE_RATE < 30
    assert "damaged and were skipped" in decoding.warnings[0]


def test_after_a_part_that_is_missing_sound_keeps_its_time() -> None:
    data = bytearray(encoded(join(tone(20), silence(5), tone(5)), "matroska", "libopus", 48_000))
    data[len(data) // 3 : len(data) // 2] = b""
    decoding, samples = decoded(bytes(data))
    loud = np.abs(samples) > 0.1
    assert np.flatnonzero(loud).max() / SAMPLE_RATE == pytest.approx(30, abs=0.5)
    assert not loud[21 * SAMPLE_RATE : 24 * SAMPLE_RATE].any()
    assert any("are missing and count as silence" in each for each in decoding.warnings)


def test_a_file_that_is_cut_off_gives_what_is_there() -> None:
    decoding, samples = decoded(encoded(tone(30), "mp3", "libmp3lame")[:50_000])
    assert 10 < len(samples) / SAMPLE_RATE < 20
    assert "though it states 30.0 s" in decoding.warnings[0]


def test_a_file_of_which_nothing_is_whole() -> None:
    data = bytearray(encoded(tone(3), "flac", "flac"))
    data[200:] = Random(0).randbytes(len(data) - 200)
    kind, message = fault_of(bytes(data))
    assert kind == "corrupt_audio"
    assert "nothing of its audio" in message


def test_a_stated_length_over_the_limit_is_refused_at_once() -> None:
    decoding = Decoding(io.BytesIO(wav(silence(20))), max_seconds=10)
    with pytest.raises(FaultError, match=r"longer than 10 s.*MOTET_SPEECH_MAX_AUDIO_S"):
        next(decoding.blocks())
    assert decoding.duration_s == 0


def test_a_stream_that_states_no_length_ends_at_the_limit() -> None:
    data = bytearray(encoded(silence(200), "flac", "flac"))
    data[21] &= 0xF0  # the number of samples, 36 bits: unknown
    data[22:26] = bytes(4)
    decoding = Decoding(io.BytesIO(bytes(data)), max_seconds=60)
    with pytest.raises(FaultError, match="longer than 60 s") as raised:
        for _ in decoding.blocks():
            pass
    assert raised.value.fault.type == "too_large"
    assert decoding.duration_s == pytest.approx(60, abs=1)


def test_other_files_are_not_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.flac"
    secret.write_bytes(encoded(SOUND, "flac", "flac"))
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    concat = f"ffconcat version 1.0\nfile '{secret}'\n"
    said: list[str] = []
    for name, content in (("list.m3u8", hls), ("list.ffconcat", concat)):
        assert fault_of(content.encode())[0] == "not_audio"
        (tmp_path / name).write_text(content)
        with (tmp_path / name).open("rb") as file, pytest.raises(FaultError) as raised:
            list(Decoding(file, max_seconds=100).blocks())
        assert raised.value.fault.type == "not_audio"
        said.append(raised.value.fault.message)
    assert "it refers to another file" in said[0]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    path.write_bytes(encoded(noise(60, 0.01), "flac", "flac"))
    largest = 0
    with path.open("rb") as file:
        tracemalloc.start()
        for block in Decoding(file, max_seconds=100).blocks():
            largest = max(largest, len(block))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert largest < 2 * BLOCK
    assert peak < 3_000_000  # the whole is 3.8 MB as float32
