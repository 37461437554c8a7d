"""Whisper through faster-whisper and CTranslate2: the default, on the processor, without torch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from motet.errors import FaultError
from motet.messages import FaultType, SpokenWord, TranscriptSegment
from motet_speech.listening import Window
from motet_speech.transcribers.port import Heard, Hearing

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment

__all__ = ["FasterWhisper", "decoding_options"]


def decoding_options(hearing: Hearing, *, beam_size: int) -> dict[str, Any]:
    """What faster-whisper is told.

    A window does not see the text of the one before (`condition_on_previous_text`), as that lets
    one mistake repeat itself to the end. The thresholds at which Whisper doubts itself are its
    own (Radford et al. 2022, section 4.5): compression ratio 2.4, log probability -1, no speech
    0.6.
    """
    return {
        "beam_size": beam_size,
        "condition_on_previous_text": False,
        "language": hearing.language,
        "task": "translate" if hearing.translate else "transcribe",
        "initial_prompt": hearing.prompt or None,
        "word_timestamps": hearing.words,
    }


class FasterWhisper:
    """A `Transcriber` on this machine."""

    pause_s = 4.0
    window_s = 300.0
    """Whisper reads 30 s at a time and hears the last, unfinished sentence anew with what follows;
    at the end of a window nothing follows and the sentence is heard twice, so windows are long.
    One has 19 MB as samples."""

    def __init__(
        self, name: str, folder: Path, *, threads: int = 0, beam_size: int = 5, workers: int = 1
    ) -> None:
        """Nothing is loaded before it is needed.

        Args:
            name: As `provider:name`.
            folder: Where `model.bin` and its other files are.
            threads: Threads of one transcription; 0 takes as many as there are cores.
            beam_size: Alternatives that are followed at once.
            workers: Transcriptions that the model does at once.
        """
        self.name = name
        self._folder = folder
        self._threads = threads or os.cpu_count() or 1
        self._beam_size = beam_size
        self._workers = workers
        self._model: WhisperModel | None = None
        self._loading = Lock()

    def hear(self, window: Window, hearing: Hearing) -> Heard:
        """See `Transcriber.hear`."""
        model = self._loaded()
        _check(model, hearing)
        options = decoding_options(hearing, beam_size=self._beam_size)
        segments, info = model.transcribe(window.samples, **options)
        return Heard(_segments(segments), info.language)

    def release(self) -> None:
        """See `Transcriber.release`."""
        self._model = None

    def _loaded(self) -> WhisperModel:
        with self._loading:
            if self._model is None:
                from faster_whisper import WhisperModel

                self._model = WhisperModel(
                    str(self._folder),
                    device="cpu",
                    compute_type="int8",
                    cpu_threads=self._threads,
                    num_workers=self._workers,
                    local_files_only=True,
                )
            return self._model


def _check(model: WhisperModel, hearing: Hearing) -> None:
    if not model.model.is_multilingual:
        if hearing.language not in (None, "en") or hearing.translate:
            raise FaultError.of(
                FaultType.INVALID_INPUT,
                "The speech model knows English only: set MOTET_SPEECH_MODEL to one of more "
                "languages, such as local:whisper-base.",
            )
    elif hearing.language not in (None, *model.supported_languages):
        raise FaultError.of(
            FaultType.INVALID_INPUT,
            f"The speech model does not know the language {hearing.language!r}.",
        )


def _segments(segments: Iterable[Segment]) -> Iterator[TranscriptSegment]:
    for each in segments:
        yield TranscriptSegment(
            start_s=max(each.start, 0.0),
            end_s=max(each.end, each.start, 0.0),
            text=each.text.strip(),
            average_log_probability=each.avg_logprob,
            no_speech_probability=each.no_speech_prob,
            words=tuple(
                SpokenWord(
                    text=word.word.strip(),
                    start_s=max(word.start, 0.0),
                    end_s=max(word.end, word.start, 0.0),
                    probability=word.probability,
                )
                for word in each.words or ()
            ),
        )
