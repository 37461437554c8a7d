"""Speaking: from a text to a WAV file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from motet.errors import FaultError
from motet.messages import FaultType, SpeakRequest
from motet_speech.resting import Rest
from motet_speech.spoken_text import unmarked
from motet_speech.stepping import Stepper
from motet_speech.voices.port import Saying, Voice
from motet_speech.wav import pcm_of, wav_of

__all__ = ["Speaking", "Speech"]

PAUSE_S = 0.3
"""Silence after each piece; voices leave none between sentences."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A spoken text."""

    wav: bytes
    duration_s: float
    sample_rate: int


class Speaking:
    """Speaks texts."""

    def __init__(self, voice: Voice, stepper: Stepper, *, max_s: float, idle_s: float) -> None:
        """Declares how.

        Args:
            voice: What speaks.
            stepper: Where it works.
            max_s: Seconds of sound that a text may become.
            idle_s: Seconds without work after which the voice gives back its memory.
        """
        self.voice = voice
        self._stepper = stepper
        self._max_s = max_s
        self._rest = Rest(voice.release, idle_s)

    def close(self) -> None:
        """Gives back the voice's memory."""
        self._rest.close()

    async def speak(
        self, request: SpeakRequest, *, check: Callable[[], None] = lambda: None
    ) -> Speech:
        """The text as sound; `check` is called between its sentences, and raises to stop.

        Raises:
            FaultError: `invalid_input` when nothing in it can be spoken, `too_large`, what the
                voice or `check` raises.
        """
        text = "\n".join(unmarked(request.text))
        job = self.voice.say(text, Saying(voice=request.voice, speed=request.speed))
        pieces: list[bytes] = []
        rate = count = 0
        with self._rest.used():
            async with aclosing(self._stepper.steps(job)) as steps:
                async for piece in steps:
                    check()
                    rate = piece.rate
                    pieces += [pcm_of(piece.samples), bytes(2 * round(PAUSE_S * rate))]
                    count = sum(map(len, pieces)) // 2
                    self._check_length(count / rate)
        if not count:
            raise FaultError.of(
                FaultType.INVALID_INPUT, "The text has nothing in it that can be spoken."
            )
        return Speech(wav_of(pieces, rate), round(count / rate, 3), rate)

    def _check_length(self, seconds: float) -> None:
        if seconds > self._max_s:
            raise FaultError.of(
                FaultType.TOO_LARGE,
                f"The text takes more than {self._max_s:,.0f} s to say, which is the limit "
                "(MOTET_SPEECH_MAX_SPOKEN_S).",
                limit_s=self._max_s,
            )
