"""A Piper voice on this machine (https://github.com/OHF-Voice/piper1-gpl), without torch.

Piper is under the GPL: it is an extra of this service, imported here only and only to speak.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Generator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from motet.errors import FaultError, SetupError
from motet.messages import FaultType
from motet_speech.spoken_text import written_out
from motet_speech.voices.port import Saying, Spoken

if TYPE_CHECKING:
    from piper import PiperVoice

__all__ = ["PiperSpeaker"]


class PiperSpeaker:
    """A `Voice` on this machine."""

    def __init__(self, name: str, model: Path) -> None:
        """Nothing is loaded before it is needed.

        Args:
            name: As `provider:name`.
            model: The voice's ONNX file; its description lies beside it.

        Raises:
            SetupError: Piper is not installed.
        """
        if importlib.util.find_spec("piper") is None:
            raise SetupError(
                "Speaking on this machine needs a package that is not installed: install "
                "motet-speech[voice], or set MOTET_SPEECH_VOICE to a model elsewhere, such as "
                "openai:gpt-4o-mini-tts."
            )
        self.name = name
        self._path = model
        self._voice: PiperVoice | None = None
        self._loading = Lock()

    def say(self, text: str, saying: Saying) -> Generator[Spoken]:
        """See `Voice.say`; a piece is a sentence."""
        own = self.name.partition(":")[2]
        if saying.voice not in (None, own):
            raise FaultError.of(
                FaultType.NOT_FOUND,
                f"There is no voice {saying.voice!r} here; there is {own!r}.",
            )
        from piper import SynthesisConfig

        voice = self._loaded()
        base = voice.config.length_scale
        config = SynthesisConfig(length_scale=base / saying.speed)
        language = voice.config.espeak_voice.partition("-")[0]
        for line in text.splitlines():
            for sentence in written_out(line, language):
                for chunk in voice.synthesize(sentence, config):
                    yield Spoken(chunk.audio_float_array, chunk.sample_rate)

    def release(self) -> None:
        """See `Voice.release`."""
        self._voice = None

    def _loaded(self) -> PiperVoice:
        with self._loading:
            if self._voice is None:
                from piper import PiperVoice

                self._voice = PiperVoice.load(self._path, download_dir=self._path.parent)
            return self._voice
