"""The speech agent's own settings, `MOTET_SPEECH_...`."""

from __future__ import annotations

from typing import Final

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from motet.settings import ServiceSettings
from motet_speech.transcription import Limits

__all__ = ["SpeechSettings"]

PROVIDERS: Final = {
    "model": {
        "local": "local:whisper-tiny.en",
        "openai": "openai:whisper-1",
        "openai-whisper": "openai-whisper:base",
    },
    "voice": {"local": "local:piper-joe", "openai": "openai:gpt-4o-mini-tts"},
}
"""What may stand before the colon of a setting, with an example each."""


class SpeechSettings(ServiceSettings):
    """What only the speech agent reads."""

    model_config = SettingsConfigDict(env_prefix="MOTET_SPEECH_")

    model: str = "auto"
    """What transcribes, as `provider:name`: `local:whisper-tiny.en` and `local:whisper-base` run
    here, `openai:whisper-1` at `MOTET_SPEECH_URL`, `openai-whisper:base` is the original Whisper,
    an extra. `auto` takes the first of `local:whisper-base` and `local:whisper-tiny.en` that has
    been pulled."""
    voice: str = "auto"
    """What speaks, as `provider:name`: `local:piper-joe`, or `openai:gpt-4o-mini-tts` at
    `MOTET_SPEECH_URL`. `auto` takes the local one where it is installed."""
    url: str | None = None
    """Base URL of a server that speaks OpenAI's audio API, such as `http://127.0.0.1:8000/v1`;
    None is OpenAI itself."""
    api_key: SecretStr | None = None
    """Key of that server. None takes OPENAI_API_KEY, but only for OpenAI itself."""
    api_timeout_s: float = Field(default=120, gt=0)
    """Seconds that one request to that server may take."""

    max_audio_s: float = Field(default=12 * 3600, gt=0)
    """Seconds that a recording may last."""
    max_audio_bytes: int = Field(default=2 << 30, ge=1024)
    """Bytes that a recording's file may have."""
    max_spoken_s: float = Field(default=1800, gt=0)
    """Seconds of sound that one text may become."""
    workers: int = Field(default=1, ge=1, le=64)
    """Windows that are worked on at once; transcriptions beyond that take turns."""
    threads: int = Field(default=0, ge=0, le=1024)
    """Threads that one window is worked on with, for a local model; 0 takes as many as there are
    cores."""
    beam_size: int = Field(default=5, ge=1, le=20)
    """Alternatives that a local model follows at once; 1 is fastest and a little less exact."""
    idle_s: float = Field(default=300, ge=0)
    """Seconds without work after which models give back their memory."""

    @field_validator("model", "voice")
    @classmethod
    def _provider_and_name(cls, value: str, info: ValidationInfo) -> str:
        known = PROVIDERS[info.field_name or "model"]
        provider, colon, name = value.partition(":")
        if value != "auto" and not (provider in known and colon and name):
            raise ValueError(
                f"{value!r} is neither auto nor of the form provider:name, such as "
                + " or ".join(known.values())
            )
        return value

    def limits(self) -> Limits:
        """What a recording may be."""
        return Limits(seconds=self.max_audio_s, bytes=self.max_audio_bytes)
