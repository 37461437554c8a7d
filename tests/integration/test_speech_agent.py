"""The speech agent in a mesh: what a client sends over the bus, and what it hears back."""

from __future__ import annotations

import asyncio
import io
import threading
import wave
from collections.abc import Iterator
from random import Random

import pytest

from motet.agent import Agent, Call
from motet.bus import Blobs
from motet.errors import FaultError
from motet.messages import (
    Answer,
    BlobRef,
    Progress,
    SpeakRequest,
    SpokenAudio,
    Task,
    TranscribeRequest,
    Transcript,
    TranscriptSegment,
)
from motet.testing.mesh import TestMesh
from motet_speech.app import agent
from motet_speech.listening import Window
from motet_speech.transcribers.port import Heard, Hearing
from tests.unit.speech.fakes import FakeTranscriber, FakeVoice
from tests.unit.speech.sounds import encoded, join, loud, silence, tone, video, wav

CALL = join(tone(6), silence(2), tone(6))


async def join_speech(mesh: TestMesh, transcriber: FakeTranscriber) -> None:
    context = {"transcriber": transcriber, "speech_detector": loud, "voice": FakeVoice()}
    await mesh.join(agent, context=context)


@pytest.fixture
async def speech(mesh: TestMesh) -> TestMesh:
    await join_speech(mesh, FakeTranscriber())
    return mesh


async def stored(mesh: TestMesh, data: bytes, name: str = "recordings/a") -> BlobRef:
    return await Blobs(mesh.bus).put(name, data)


async def test_a_recording_becomes_text(speech: TestMesh) -> None:
    film = await stored(speech, video(3, tone(3)))
    found = await speech.motet.call(
        "speech.transcribe", TranscribeRequest(audio=film, format="srt"), Transcript
    )
    assert found.text == "Window 1, part 1."
    assert found.rendered is not None
    assert found.rendered.startswith("1\n00:00:00,000 --> ")


async def test_a_large_recording_travels_in_pieces(speech: TestMesh) -> None:
    data = wav(join(*[tone(6), silence(2)] * 8))
    assert len(data) > 2_000_000
    audio = await stored(speech, data)
    found = await speech.motet.call("speech.transcribe", TranscribeRequest(audio=audio), Transcript)
    assert (found.duration_s, len(found.segments)) == (64, 8)


async def test_a_text_is_spoken_and_can_be_heard_again(speech: TestMesh) -> None:
    spoken = await speech.motet.call("speech.speak", SpeakRequest(text="One two."), SpokenAudio)
    assert (spoken.audio.media_type, spoken.model) == ("audio/wav", "fake:mouth")
    data = await Blobs(speech.bus).get(spoken.audio)
    with wave.open(io.BytesIO(data)) as file:
        assert file.getframerate() == spoken.sample_rate
        assert file.getnframes() / spoken.sample_rate == pytest.approx(spoken.duration_s)
    heard = await speech.motet.call(
        "speech.transcribe", TranscribeRequest(audio=spoken.audio), Transcript
    )
    assert heard.speech_s == pytest.approx(2, abs=0.2)


@pytest.mark.parametrize(
    "data, kind",
    [
        (b"", "empty_audio"),
        (b"Not a recording. " * 50, "not_audio"),
        (video(1), "no_audio_track"),
        (encoded(tone(3), "flac", "flac")[:200] + Random(0).randbytes(20_000), "corrupt_audio"),
    ],
    ids=["empty", "text", "mute film", "corrupt"],
)
async def test_bad_recordings_are_faults_at_once(speech: TestMesh, data: bytes, kind: str) -> None:
    audio = await stored(speech, data)
    with pytest.raises(FaultError) as raised:
        await speech.motet.call("speech.transcribe", TranscribeRequest(audio=audio))
    fault = raised.value.fault
    assert (fault.type, fault.retryable, fault.skill) == (kind, False, "transcribe")


async def test_silence_is_an_empty_transcript(speech: TestMesh) -> None:
    audio = await stored(speech, wav(silence(65)))
    found = await speech.motet.call("speech.transcribe", TranscribeRequest(audio=audio), Transcript)
    assert (found.text, found.segments, found.duration_s) == ("", (), 65)


async def test_a_recording_that_is_not_there_or_was_changed(speech: TestMesh) -> None:
    audio = await stored(speech, wav(tone(1)))
    for changes, kind in (
        ({"name": "recordings/none"}, "not_found"),
        ({"sha256": "0" * 64}, "invalid_input"),
        ({"size": 1 << 40}, "too_large"),
    ):
        request = TranscribeRequest(audio=audio.model_copy(update=changes))
        with pytest.raises(FaultError) as raised:
            await speech.motet.call("speech.transcribe", request)
        assert raised.value.fault.type == kind


class PausingTranscriber(FakeTranscriber):
    """Stops in its second window until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.paused = threading.Event()
        self.go_on = threading.Event()

    def hear(self, window: Window, hearing: Hearing) -> Heard:
        heard = super().hear(window, hearing)
        return Heard(self._slowly(heard.segments), heard.language)

    def _slowly(self, segments: Iterator[TranscriptSegment]) -> Iterator[TranscriptSegment]:
        for segment in segments:
            if len(self.heard) == 2:
                self.paused.set()
                self.go_on.wait(20)
            yield segment


def listener() -> Agent:
    planner = Agent("planner", "Has the task's recording transcribed.")

    @planner.task
    async def run(task: Task, call: Call) -> Answer:
        request = TranscribeRequest(audio=task.inputs[0])
        found = await call.delegate("speech.transcribe", request, Transcript, step="listen")
        return Answer(text=found.text)

    return planner


async def test_segments_are_events_while_it_works_and_cancelling_ends_it(mesh: TestMesh) -> None:
    transcriber = PausingTranscriber()
    await join_speech(mesh, transcriber)
    await mesh.join(listener())
    audio = await stored(mesh, wav(join(*[tone(6), silence(2)] * 8)))
    task = await mesh.motet.submit(Task(goal="What is said?", inputs=(audio,)))
    try:
        async with asyncio.timeout(20):
            events = task.events()
            progress = (event async for _, event in events if isinstance(event, Progress))
            event = await anext(progress)
        assert event.skill == "speech.transcribe"
        assert event.message == "Window 1, part 1."
        assert event.data["segment"]["end_s"] == 6
        await asyncio.to_thread(transcriber.paused.wait, 20)
        await task.cancel("heard enough")
        assert (await task.result(10)).state == "cancelled"
    finally:
        transcriber.go_on.set()
    await mesh.drained("CALLS")
    assert len(transcriber.heard) == 2


async def test_a_recording_is_a_tasks_input_and_has_its_span(mesh: TestMesh) -> None:
    await join_speech(mesh, FakeTranscriber())
    await mesh.join(listener())
    audio = await stored(mesh, wav(CALL))
    task = await mesh.motet.submit(Task(goal="What is said?", inputs=(audio,)))
    record = await task.result(20)
    assert record.answer is not None
    assert record.answer.text == "Window 1, part 1. Window 2, part 1."
    await mesh.trace(task.id)
    spans = {span.name: span for span in mesh.spans()}
    transcription = spans["transcribe ears"]
    assert transcription.parent_id == spans["invoke_agent speech"].span_id
    assert transcription.attributes["motet.audio.duration_s"] == 14
    assert transcription.attributes["motet.audio.speech_s"] == 12
