"""A voice behind the OpenAI audio API, at OpenAI or at any server that speaks it."""

from __future__ import annotations

import io
from collections.abc import Generator

import numpy as np

from motet.errors import FaultError
from motet.messages import FaultType
from motet_speech.decoding import SAMPLE_RATE, Decoding
from motet_speech.openai_api import AudioApi
from motet_speech.voices.port import Saying, Spoken

__all__ = ["RemoteVoice"]

PIECE = 4000
"""Characters of one request; OpenAI takes 4096
(https://platform.openai.com/docs/api-reference/audio/createSpeech)."""
USUAL = "alloy"
MAX_PIECE_S = 1800.0


class RemoteVoice:
    """A `Voice` elsewhere."""

    def __init__(self, model: str, api: AudioApi) -> None:
        """`model` is a name that the server knows, such as `gpt-4o-mini-tts`."""
        self.name = f"openai:{model}"
        self._model = model
        self._api = api

    def say(self, text: str, saying: Saying) -> Generator[Spoken]:
        """See `Voice.say`."""
        for piece in _pieces(text):
            answer = self._api.post(
                "audio/speech",
                json={
                    "model": self._model,
                    "input": piece,
                    "voice": saying.voice or USUAL,
                    "speed": saying.speed,
                    "response_format": "wav",
                },
            )
            try:
                decoding = Decoding(io.BytesIO(answer.content), max_seconds=MAX_PIECE_S)
                yield Spoken(np.concatenate(list(decoding.blocks())), SAMPLE_RATE)
            except FaultError as error:
                raise FaultError.of(
                    FaultType.MODEL_OUTPUT_INVALID,
                    f"The audio API answered with what is no sound: {error.fault.message}",
                    cause=error.fault,
                ) from None

    def release(self) -> None:
        """See `Voice.release`; nothing is held here."""


def _pieces(text: str) -> Generator[str]:
    """The text in parts of at most `PIECE` characters, cut at a sentence or a word if it can be."""
    rest = text.strip()
    while len(rest) > PIECE:
        cut = max(rest.rfind(mark, 0, PIECE) + len(mark) for mark in (". ", "! ", "? ", "\n"))
        if cut < PIECE // 4:
            cut = rest.rfind(" ", 0, PIECE) + 1
        cut = cut if cut > 0 else PIECE
        yield rest[:cut].strip()
        rest = rest[cut:].strip()
    if rest:
        yield rest
