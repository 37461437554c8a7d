"""The speech agent: what it opens when it starts, and closes when it stops."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

from faststream import Context
from faststream.annotations import ContextRepo

from motet.agent import Agent
from motet.settings import Settings, load_settings
from motet_speech.choice import transcriber_of, voice_of
from motet_speech.listening import SileroDetector
from motet_speech.settings import SpeechSettings
from motet_speech.skills import declare
from motet_speech.speaking import Speaking
from motet_speech.stepping import Stepper
from motet_speech.transcription import Transcription

__all__ = ["agent"]


@asynccontextmanager
async def resources(
    context: ContextRepo, settings: Annotated[Settings, Context()]
) -> AsyncGenerator[None]:
    """Chooses what hears and what speaks; neither is loaded before the first call.

    A test may put a `transcriber`, a `speech_detector` and a `voice` into the context beforehand.
    """
    own = load_settings(SpeechSettings)
    transcriber = context.get("transcriber") or transcriber_of(own, settings)
    voice = context.get("voice") or voice_of(own, settings)
    async with AsyncExitStack() as stack:
        stepper = Stepper(own.workers)
        stack.push_async_callback(stepper.close)
        transcription = Transcription(
            transcriber,
            context.get("speech_detector") or SileroDetector(),
            stepper,
            limits=own.limits(),
            idle_s=own.idle_s,
        )
        stack.callback(transcription.close)
        speaking = Speaking(voice, stepper, max_s=own.max_spoken_s, idle_s=own.idle_s)
        stack.callback(speaking.close)
        context.set_global("transcription", transcription)
        context.set_global("speaking", speaking)
        yield


agent = Agent(
    "speech",
    "Hears what is said in recordings, and speaks texts.",
    lifespan=resources,
)
declare(agent)
