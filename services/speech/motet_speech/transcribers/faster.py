"""Whisper through faster-whisper and CTranslate2: the default, on the processor, without torch."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from motet.errors import FaultError
from motet.messages import FaultType, SpokenWord, TranscriptSegment
from motet_speech.listening import Window
from motet_speech.mixing import SAMPLE_RATE
from motet_speech.transcribers.port import Heard, Hearing

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment

__all__ = ["FasterWhisper", "decoding_options"]

LOOP = 2.4
"""Compression ratio above which Whisper takes a text for a loop of its own (Radford et al. 2022,
section 4.5)."""
GUESSED = -1.0
"""Mean log probability below which it holds a text for failed (the same section)."""
LAST_RESORT = 1.0
"""The highest temperature of decoding, which Whisper takes when all others seemed to fail."""


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
        heard = (
            (_again(model, window, each, options) if _failed(each) else None) or _segment(each)
            for each in segments
        )
        return Heard(heard, info.language, assumed=not model.model.is_multilingual)

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


def _failed(segment: Segment) -> bool:
    """Whether Whisper gave up on a segment: it loops, or each way to decode it seemed to."""
    return segment.compression_ratio > LOOP or segment.temperature == LAST_RESORT


def _again(
    model: WhisperModel, window: Window, segment: Segment, options: dict[str, Any]
) -> TranscriptSegment | None:
    """Hears a failed segment anew; None where that is no better.

    Somebody who says the same many times over compresses as well as a loop does, and Whisper then
    guesses at random. Without timestamps, and without guessing, it loops less: of "stop" said 12
    times tiny.en wrote 13 in place of 111.
    """
    samples = window.samples[int(segment.start * SAMPLE_RATE) : int(segment.end * SAMPLE_RATE)]
    changed: dict[str, Any] = {
        **options,
        "temperature": 0.0,
        "compression_ratio_threshold": None,
        "without_timestamps": True,
    }
    found, _ = model.transcribe(samples, **changed)
    heard = [_segment(each) for each in found]
    text = " ".join(each.text for each in heard)
    probability = heard[0].average_log_probability if heard else None
    shorter = segment.compression_ratio > LOOP and len(text) < len(segment.text)
    surer = probability is not None and probability > min(GUESSED, segment.avg_logprob)
    if not text or not (shorter or surer):
        return None
    start, end = max(segment.start, 0.0), max(segment.end, segment.start, 0.0)
    return TranscriptSegment(
        start_s=start,
        end_s=end,
        text=text,
        average_log_probability=probability,
        no_speech_probability=heard[0].no_speech_probability,
        words=tuple(
            word.model_copy(update={"start_s": start + word.start_s, "end_s": start + word.end_s})
            for each in heard
            for word in each.words
        ),
    )


def _segment(segment: Segment) -> TranscriptSegment:
    return TranscriptSegment(
        start_s=max(segment.start, 0.0),
        end_s=max(segment.end, segment.start, 0.0),
        text=segment.text.strip(),
        average_log_probability=segment.avg_logprob,
        no_speech_probability=segment.no_speech_prob,
        words=tuple(
            SpokenWord(
                text=word.word.strip(),
                start_s=max(word.start, 0.0),
                end_s=max(word.end, word.start, 0.0),
                probability=word.probability,
            )
            for word in segment.words or ()
        ),
    )
