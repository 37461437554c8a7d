"""The skills of the speech agent: each hands its request to the module that does it."""

from __future__ import annotations

from typing import Annotated

from faststream import Context
from opentelemetry.trace import SpanKind

from motet.agent import Agent, Call
from motet.bus import Bus
from motet.messages import (
    SkillExample,
    SpeakRequest,
    SpokenAudio,
    TranscribeRequest,
    Transcript,
    TranscriptSegment,
)
from motet.telemetry import names
from motet_speech.speaking import Speaking
from motet_speech.transcription import Transcription

__all__ = ["declare"]

TRANSCRIBE = (
    "Writes down what is said in a recording: any audio or video file that belongs to the task. "
    "Gives the text, and its segments with their times in seconds. It only hears: it does not "
    "answer, summarise or conclude."
)

TRANSCRIBE_EXAMPLES = (
    SkillExample(
        goal="What does the caller in call.mp3 ask for? (step: what is said in the recording)",
        input={
            "audio": {
                "name": "inputs/call.mp3",
                "size": 480813,
                "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
                "media_type": "audio/mpeg",
                "filename": "call.mp3",
            }
        },
    ),
)

SPEAK = "Speaks a text, and gives the sound as a WAV file in the object store."


def declare(agent: Agent) -> None:
    """Declares the skills on `agent`; its lifespan opens what they need."""

    @agent.skill("transcribe", TRANSCRIBE, examples=TRANSCRIBE_EXAMPLES, typical_s=5)
    async def transcribe(
        request: TranscribeRequest,
        call: Call,
        bus: Annotated[Bus, Context()],
        transcription: Annotated[Transcription, Context()],
    ) -> Transcript:
        async def heard(segment: TranscriptSegment) -> None:
            await call.event(
                segment.text, segment=segment.model_dump(mode="json", exclude_defaults=True)
            )

        with bus.tracer.span(
            names.transcribe(transcription.transcriber.name.partition(":")[2]),
            SpanKind.CLIENT,
            _attributes(names.OPERATION_TRANSCRIBE, transcription.transcriber.name),
        ) as span:
            transcript = await transcription.transcribe(
                request, call.blobs.copy_to, check=call.check, heard=heard
            )
            span.set_attribute(names.AUDIO_S, transcript.duration_s)
            span.set_attribute(names.SPEECH_S, transcript.speech_s)
        return transcript

    @agent.skill("speak", SPEAK, plannable=False, typical_s=2)
    async def speak(
        request: SpeakRequest,
        call: Call,
        bus: Annotated[Bus, Context()],
        speaking: Annotated[Speaking, Context()],
    ) -> SpokenAudio:
        with bus.tracer.span(
            names.speak(speaking.voice.name.partition(":")[2]),
            SpanKind.CLIENT,
            _attributes(names.OPERATION_SPEAK, speaking.voice.name),
        ) as span:
            speech = await speaking.speak(request, check=call.check)
            span.set_attribute(names.AUDIO_S, speech.duration_s)
        audio = await call.blobs.put(
            f"speech/{call.idempotency_key}.wav",
            speech.wav,
            media_type="audio/wav",
            filename="speech.wav",
        )
        return SpokenAudio(
            audio=audio,
            duration_s=speech.duration_s,
            sample_rate=speech.sample_rate,
            model=speaking.voice.name,
        )


def _attributes(operation: str, model: str) -> dict[str, str]:
    provider, _, name = model.partition(":")
    return {
        names.GEN_AI_OPERATION: operation,
        names.GEN_AI_PROVIDER: provider,
        names.GEN_AI_REQUEST_MODEL: name,
    }
