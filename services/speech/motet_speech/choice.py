"""Which transcriber and which voice the settings mean.

Invariant: what is missing (a package, weights, a key) is told here, when the service starts. Only
a voice that nobody asked for may be missing: then speaking, and nothing else, is a fault.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

from motet.errors import FaultError, SetupError
from motet.messages import FaultType
from motet.models import weights
from motet.settings import Settings
from motet_speech.openai_api import AudioApi
from motet_speech.settings import SpeechSettings
from motet_speech.transcribers.faster import FasterWhisper
from motet_speech.transcribers.original import OriginalWhisper
from motet_speech.transcribers.port import Transcriber
from motet_speech.transcribers.remote import RemoteWhisper
from motet_speech.voices.piper import PiperSpeaker
from motet_speech.voices.port import Saying, Spoken, Voice
from motet_speech.voices.remote import RemoteVoice

__all__ = ["transcriber_of", "voice_of"]

WHISPERS = ("whisper-base", "whisper-tiny.en")
"""What `auto` looks for, best first."""
VOICE = "piper-joe"
"""The voice that `auto` means."""


def transcriber_of(own: SpeechSettings, settings: Settings) -> Transcriber:
    """What `MOTET_SPEECH_MODEL` names.

    Raises:
        SetupError: Its weights, its package or its key is missing, or there is no such model.
    """
    provider, _, name = own.model.partition(":")
    match provider:
        case "openai":
            return RemoteWhisper(name, _api(own))
        case "openai-whisper":
            folder = settings.cache_dir / "models" / "openai-whisper"
            return OriginalWhisper(name, folder, threads=own.threads, beam_size=own.beam_size)
        case _:
            name = name or _first_pulled(settings)
            return FasterWhisper(
                f"local:{name}",
                _weights(name, "speech", settings),
                threads=own.threads,
                beam_size=own.beam_size,
                workers=own.workers,
            )


def voice_of(own: SpeechSettings, settings: Settings) -> Voice:
    """What `MOTET_SPEECH_VOICE` names.

    Raises:
        SetupError: What it names is missing. `auto` names nothing.
    """
    provider, _, name = own.voice.partition(":")
    match provider:
        case "openai":
            return RemoteVoice(name, _api(own))
        case "local":
            return _piper(name, settings)
        case _:
            try:
                return _piper(VOICE, settings)
            except SetupError as error:
                return NoVoice(str(error))


class NoVoice:
    """A `Voice` where there is none: it says what to do."""

    name = "none"

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def say(self, text: str, saying: Saying) -> Generator[Spoken]:  # noqa: ARG002  # says nothing
        """See `Voice.say`; always a fault."""
        raise FaultError.of(FaultType.UNAVAILABLE, self._reason)

    def release(self) -> None:
        """See `Voice.release`; nothing is held here."""


def _piper(name: str, settings: Settings) -> Voice:
    folder = _weights(name, "voice", settings)
    return PiperSpeaker(f"local:{name}", folder / weights.manifest()[name].files[0].name)


def _first_pulled(settings: Settings) -> str:
    pulled = (name for name in WHISPERS if weights.installed(name, *settings.weights_dirs))
    return next(pulled, WHISPERS[-1])


def _weights(name: str, kind: str, settings: Settings) -> Path:
    """The folder of a local model that is there."""
    if (known := weights.manifest().get(name)) is None or known.kind != kind:
        names = ", ".join(name for name, each in weights.manifest().items() if each.kind == kind)
        raise SetupError(f"There is no local {kind} model {name!r}; there are {names}.")
    return weights.path(name, *settings.weights_dirs).parent


def _api(own: SpeechSettings) -> AudioApi:
    key = None if own.api_key is None else own.api_key.get_secret_value()
    if key is None and own.url is None:
        key = os.environ.get("OPENAI_API_KEY")
    return AudioApi(own.url, key, timeout_s=own.api_timeout_s)
