"""From a recording to a transcript, with a transcriber that needs no weights."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any, BinaryIO

import pytest

from motet.errors import FaultError
from motet.messages import BlobRef, FaultType, TranscribeRequest, Transcript, TranscriptSegment
from motet_speech.stepping import Stepper
from motet_speech.transcription import Limits, Transcription
from tests.unit.speech.fakes import FakeTranscriber
from tests.unit.speech.sounds import encoded, join, loud, silence, tone, wav

REF = BlobRef(name="a.wav", size=1000, sha256="0" * 64)


@pytest.fixture
async def stepper() -> AsyncIterator[Stepper]:
    stepper = Stepper(1)
    yield stepper
    await stepper.close()


def listening(transcriber: FakeTranscriber, stepper: Stepper) -> Transcription:
    return Transcription(
        transcriber, loud, stepper, limits=Limits(seconds=100, bytes=10_000_000), idle_s=3600
    )


async def transcript(
    stepper: Stepper, data: bytes, transcriber: FakeTranscriber | None = None, **request: Any
) -> Transcript:
    transcription = listening(transcriber or FakeTranscriber(), stepper)
    return await transcription.transcribe_file(
        TranscribeRequest(audio=REF, **request), io.BytesIO(data)
    )


def segment(start_s: float, end_s: float, text: str) -> TranscriptSegment:
    return TranscriptSegment(start_s=start_s, end_s=end_s, text=text)


async def test_times_are_those_of_the_recording(stepper: Stepper) -> None:
    found = await transcript(stepper, wav(join(tone(6), silence(2), tone(6))))
    assert [(each.start_s, each.end_s, each.text) for each in found.segments] == [
        (0, 6, "Window 1, part 1."),
        (8, 14, "Window 2, part 1."),
    ]
    assert found.segments[1].words[0].start_s == 8
    assert found.text == "Window 1, part 1. Window 2, part 1."
    assert (found.duration_s, found.speech_s, found.language) == (14, 12, "en")
    assert found.model == "fake:ears"
    assert (found.warnings, found.rendered) == ((), None)


async def test_silence_is_not_heard_at_all(stepper: Stepper) -> None:
    transcriber = FakeTranscriber()
    found = await transcript(stepper, wav(silence(25)), transcriber)
    assert transcriber.heard == []
    assert (found.text, found.segments, found.language) == ("", (), None)
    assert (found.duration_s, found.speech_s) == (25, 0)


async def test_what_is_no_speech_is_left_out(stepper: Stepper) -> None:
    transcriber = FakeTranscriber(
        segment(0, 1.5, "Thank you for watching!"),
        segment(2, 4, "This was said."),
        segment(2, 4, ""),
        segment(2, 4, "and so on " * 30),
        segment(3, 9, "This runs on past the end."),
        segment(7, 9, "This is past the end."),
    )
    found = await transcript(stepper, wav(join(silence(2), tone(3))), transcriber)
    assert [(each.text, each.end_s) for each in found.segments] == [
        ("This was said.", 4),
        ("This runs on past the end.", 5),
    ]
    assert found.warnings == ("Parts of the speech could not be made out and are left out: 1.",)


async def test_the_language_of_the_first_speech_stays(stepper: Stepper) -> None:
    transcriber = FakeTranscriber()
    await transcript(stepper, wav(join(tone(6), silence(2), tone(6))), transcriber)
    assert [hearing.language for _, hearing in transcriber.heard] == [None, "en"]


async def test_what_was_asked_for_reaches_the_model(stepper: Stepper) -> None:
    transcriber = FakeTranscriber()
    asked = {"language": "de", "prompt": "Motet", "translate": True, "words": True}
    found = await transcript(stepper, wav(tone(1)), transcriber, **asked)
    ((_, hearing),) = transcriber.heard
    assert {name: getattr(hearing, name) for name in asked} == asked
    assert found.language == "de"


async def test_subtitles(stepper: Stepper) -> None:
    srt = await transcript(stepper, wav(tone(1)), format="srt")
    assert srt.rendered == "1\n00:00:00,000 --> 00:00:01,000\nWindow 1, part 1.\n"
    vtt = await transcript(stepper, wav(tone(1)), format="vtt")
    assert vtt.rendered == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nWindow 1, part 1.\n"


async def test_segments_are_told_as_they_come_and_check_stops(stepper: Stepper) -> None:
    transcriber = FakeTranscriber()
    transcription = listening(transcriber, stepper)
    heard: list[str] = []
    file = io.BytesIO(wav(join(*[tone(6), silence(2)] * 8)))

    async def listener(segment: TranscriptSegment) -> None:
        heard.append(segment.text)

    def check() -> None:
        if len(heard) == 3:
            raise FaultError.of(FaultType.CANCELLED, "Enough.")

    with pytest.raises(FaultError, match="Enough"):
        await transcription.transcribe_file(
            TranscribeRequest(audio=REF), file, check=check, heard=listener
        )
    assert len(heard) == 3
    assert len(transcriber.heard) <= 4
    assert file.closed


async def test_a_warning_says_what_is_missing(stepper: Stepper) -> None:
    found = await transcript(stepper, encoded(tone(30), "mp3", "libmp3lame")[:50_000])
    assert "though it states 30.0 s" in found.warnings[0]
    assert found.segments


async def test_too_many_bytes_are_refused_before_they_are_fetched(stepper: Stepper) -> None:
    async def fetch(ref: BlobRef, file: BinaryIO) -> None:
        raise AssertionError

    large = REF.model_copy(update={"size": 20_000_000})
    with pytest.raises(FaultError, match=r"20,000,000 bytes.*MAX_AUDIO_BYTES") as raised:
        await listening(FakeTranscriber(), stepper).transcribe(
            TranscribeRequest(audio=large), fetch
        )
    assert raised.value.fault.type == "too_large"


async def test_a_blob_is_fetched_into_a_file_that_is_closed(stepper: Stepper) -> None:
    files: list[BinaryIO] = []

    async def fetch(ref: BlobRef, file: BinaryIO) -> None:
        assert ref == REF
        files.append(file)
        file.write(wav(tone(1)))
        file.seek(0)

    found = await listening(FakeTranscriber(), stepper).transcribe(
        TranscribeRequest(audio=REF), fetch
    )
    assert found.text == "Window 1, part 1."
    assert files[0].closed
