"""From a text to a WAV file, with a voice that needs no weights."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator

import pytest

from motet.errors import FaultError
from motet.messages import FaultType, SpeakRequest
from motet_speech.speaking import PAUSE_S, Speaking
from motet_speech.stepping import Stepper
from tests.unit.speech.fakes import FakeVoice


@pytest.fixture
async def speaking() -> AsyncIterator[Speaking]:
    stepper = Stepper(1)
    yield Speaking(FakeVoice(), stepper, max_s=10, idle_s=3600)
    await stepper.close()


async def test_sentences_follow_each_other_with_a_pause(speaking: Speaking) -> None:
    speech = await speaking.speak(SpeakRequest(text="One two. Three."))
    with wave.open(io.BytesIO(speech.wav)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        assert file.getnframes() / 16_000 == speech.duration_s == 3 + 2 * PAUSE_S


async def test_markup_is_not_spoken(speaking: Speaking) -> None:
    await speaking.speak(SpeakRequest(text="# One\n\n**Two** [1]. Three."))
    ((text, _),) = speaking.voice.said  # type: ignore[attr-defined]
    assert text == "One\nTwo. Three."


async def test_voice_and_speed_are_passed_on(speaking: Speaking) -> None:
    await speaking.speak(SpeakRequest(text="One", voice="alto", speed=1.5))
    ((text, saying),) = speaking.voice.said  # type: ignore[attr-defined]
    assert (text, saying.voice, saying.speed) == ("One", "alto", 1.5)


async def test_a_text_without_words_is_a_fault(speaking: Speaking) -> None:
    with pytest.raises(FaultError, match="nothing in it that can be spoken"):
        await speaking.speak(SpeakRequest(text="..."))


async def test_a_text_that_takes_too_long_is_a_fault(speaking: Speaking) -> None:
    with pytest.raises(FaultError, match=r"more than 10 s.*MOTET_SPEECH_MAX_SPOKEN_S"):
        await speaking.speak(SpeakRequest(text="One two three. " * 1000))


async def test_check_stops_it(speaking: Speaking) -> None:
    def check() -> None:
        raise FaultError.of(FaultType.CANCELLED, "Enough.")

    with pytest.raises(FaultError, match="Enough"):
        await speaking.speak(SpeakRequest(text="One. Two."), check=check)
