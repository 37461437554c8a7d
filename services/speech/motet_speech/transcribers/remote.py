"""Whisper behind the OpenAI audio API, at OpenAI or at any server that speaks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from motet.errors import FaultError
from motet.messages import FaultType, SpokenWord, TranscriptSegment
from motet_speech.decoding import SAMPLE_RATE
from motet_speech.listening import Window
from motet_speech.openai_api import AudioApi
from motet_speech.transcribers.port import Heard, Hearing
from motet_speech.wav import pcm_of, wav_of

__all__ = ["RemoteWhisper"]


class RemoteWhisper:
    """A `Transcriber` elsewhere."""

    pause_s = 30.0
    window_s = 300.0
    """A window is about 10 MB as WAV; OpenAI takes 25 MB
    (https://platform.openai.com/docs/guides/speech-to-text)."""

    def __init__(self, model: str, api: AudioApi) -> None:
        """`model` is a name that the server knows, such as `whisper-1`."""
        self.name = f"openai:{model}"
        self._model = model
        self._api = api

    def hear(self, window: Window, hearing: Hearing) -> Heard:
        """See `Transcriber.hear`."""
        granularities = ["segment", "word"] if hearing.words else ["segment"]
        fields: dict[str, Any] = {
            "model": self._model,
            "response_format": "verbose_json",
            "temperature": "0",
        }
        if hearing.prompt:
            fields["prompt"] = hearing.prompt
        if not hearing.translate:
            fields["timestamp_granularities[]"] = granularities
            if hearing.language:
                fields["language"] = hearing.language
        answer = self._api.post(
            "audio/translations" if hearing.translate else "audio/transcriptions",
            data=fields,
            files={
                "file": ("window.wav", wav_of([pcm_of(window.samples)], SAMPLE_RATE), "audio/wav")
            },
        )
        try:
            found = cast("dict[str, Any]", answer.json())
            segments = list(_segments(found, window))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FaultError.of(
                FaultType.MODEL_OUTPUT_INVALID,
                f"The audio API answered in another form than verbose_json: {error!r}.",
            ) from None
        # The server tells the language by its English name; only what was asked for is a code.
        return Heard(iter(segments), hearing.language)

    def release(self) -> None:
        """See `Transcriber.release`; nothing is held here."""


def _segments(found: dict[str, Any], window: Window) -> Iterator[TranscriptSegment]:
    words = [_word(each) for each in found.get("words") or ()]
    segments: list[dict[str, Any]] = found.get("segments") or []
    if not segments and str(found["text"]).strip():
        segments = [{"start": 0.0, "end": window.end_s - window.start_s, "text": found["text"]}]
    for each in segments:
        start, end = float(each["start"]), float(each["end"])
        yield TranscriptSegment(
            start_s=max(start, 0.0),
            end_s=max(end, start, 0.0),
            text=str(each["text"]).strip(),
            average_log_probability=each.get("avg_logprob"),
            no_speech_probability=each.get("no_speech_prob"),
            words=tuple(word for word in words if start <= word.start_s < end),
        )


def _word(word: dict[str, Any]) -> SpokenWord:
    start = max(float(word["start"]), 0.0)
    return SpokenWord(
        text=str(word["word"]).strip(), start_s=start, end_s=max(float(word["end"]), start)
    )
