"""From a recording to a transcript, with a transcriber that needs no weights."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any, BinaryIO

import pytest

from motet.errors import FaultError
from motet.messages import (
    BlobRef,
    FaultType,
    SpokenWord,
    TranscribeRequest,
    Transcript,
    TranscriptSegment,
)
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
        segment(3, 9, "This runs on past the end."),
        segment(7, 9, "This is past the end."),
    )
    found = await transcript(stepper, wav(join(silence(2), tone(3))), transcriber)
    assert [(each.text, each.end_s) for each in found.segments] == [
        ("This was said.", 4),
        ("This runs on past the end.", 5),
    ]
    assert found.warnings == ()


async def test_what_is_repeated_is_kept_as_far_as_it_can_have_been_said(stepper: Stepper) -> None:
    said, looped = "Mind the gap. " * 8, "and so on " * 90
    words = tuple(SpokenWord(text="and", start_s=7, end_s=8) for _ in range(270))
    transcriber = FakeTranscriber(
        segment(0, 6, said.strip()),
        segment(7, 9, looped.strip()).model_copy(update={"words": words}),
    )
    found = await transcript(stepper, wav(join(tone(6), silence(1), tone(2))), transcriber)
    first, second = found.segments
    assert first.text == said.strip()
    assert second.text.startswith("and so on and so on")
    assert len(second.text) <= 2 * 25
    assert len(second.words) == len(second.text.split())
    (warning,) = found.warnings
    assert "repeats itself from 0.0 s to 9.0 s" in warning


def guess(start_s: float, end_s: float, probability: float) -> TranscriptSegment:
    return segment(start_s, end_s, "I hope you enjoyed it.").model_copy(
        update={"average_log_probability": probability}
    )


async def test_what_a_model_of_one_language_guessed_is_a_fault(stepper: Stepper) -> None:
    script = guess(0, 3, -0.9), guess(3, 6, -0.75)
    data = wav(tone(6))
    with pytest.raises(FaultError, match=r"MOTET_SPEECH_MODEL.*whisper-base") as raised:
        await transcript(stepper, data, FakeTranscriber(*script, assumed=True))
    assert raised.value.fault.type == "not_understood"
    assert not raised.value.fault.retryable
    told = await transcript(stepper, data, FakeTranscriber(*script, assumed=True), language="en")
    assert len(told.segments) == 2
    assert "hardly understood from 0.0 s to 6.0 s" in told.warnings[0]
    # A model of many languages is as sure of any of them.
    many = await transcript(stepper, data, FakeTranscriber(*script))
    assert (len(many.segments), many.warnings) == (2, ())


async def test_what_was_guessed_here_and_there_is_told(stepper: Stepper) -> None:
    script = guess(0, 3, -0.2), guess(3, 4, -1.1), guess(4, 7, -0.3), guess(8, 9, -1.4)
    found = await transcript(stepper, wav(tone(9)), FakeTranscriber(*script, assumed=True))
    assert len(found.segments) == 4
    (warning,) = found.warnings
    assert "from 3.0 s to 4.0 s, from 8.0 s to 9.0 s: the text there may be wrong" in warning
    assert found.language == "en"
    unsure = await transcript(stepper, wav(tone(9)), FakeTranscriber(*script))
    assert unsure.warnings == found.warnings


async def test_a_language_that_is_not_sure_is_not_told(stepper: Stepper) -> None:
    script = guess(0, 3, -0.6), guess(3, 6, -0.58)
    data = wav(tone(6))
    found = await transcript(stepper, data, FakeTranscriber(*script, assumed=True))
    assert found.language is None
    assert "if another language is spoken, set MOTET_SPEECH_MODEL" in found.warnings[0]
    told = await transcript(stepper, data, FakeTranscriber(*script, assumed=True), language="en")
    assert (told.language, told.warnings) == ("en", ())


async def test_speech_without_words_is_told(stepper: Stepper) -> None:
    found = await transcript(stepper, wav(tone(4)), FakeTranscriber(segment(0, 4, "")))
    assert found.text == ""
    assert found.warnings == ("Somebody speaks for 4.0 s, but no words could be made out.",)


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
