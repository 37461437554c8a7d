"""Whisper as its authors published it (`openai-whisper`), for those who have torch anyway."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from motet.errors import FaultError, SetupError
from motet.messages import FaultType, SpokenWord, TranscriptSegment
from motet_speech.listening import Window
from motet_speech.transcribers.port import Heard, Hearing

__all__ = ["OriginalWhisper"]


class OriginalWhisper:
    """A `Transcriber` on this machine, through torch. It fetches its own weights."""

    pause_s = 4.0
    window_s = 120.0
    """Long for the same reason as faster-whisper's, but this one answers only at its end."""

    def __init__(self, model: str, folder: Path, *, threads: int = 0, beam_size: int = 5) -> None:
        """Nothing is loaded before it is needed.

        Args:
            model: A name that `whisper.load_model` knows, such as `base`.
            folder: Where the weights are kept.
            threads: Threads of one transcription; 0 takes as many as there are cores.
            beam_size: Alternatives that are followed at once.

        Raises:
            SetupError: The package is not installed.
        """
        if importlib.util.find_spec("whisper") is None:
            raise SetupError(
                f"MOTET_SPEECH_MODEL=openai-whisper:{model} needs a package that is not "
                "installed: install motet-speech[openai-whisper], or set it to "
                "local:whisper-tiny.en."
            )
        self.name = f"openai-whisper:{model}"
        self._size = model
        self._folder = folder
        self._threads = threads or os.cpu_count() or 1
        self._beam_size = beam_size
        self._model: Any = None
        self._using = Lock()  # the package keeps state on the model while it works

    def hear(self, window: Window, hearing: Hearing) -> Heard:
        """See `Transcriber.hear`."""
        with self._using:
            found = self._loaded().transcribe(
                window.samples,
                language=hearing.language,
                task="translate" if hearing.translate else "transcribe",
                initial_prompt=hearing.prompt or None,
                word_timestamps=hearing.words,
                condition_on_previous_text=False,
                beam_size=self._beam_size,
                fp16=False,
            )
        english = self._size.endswith(".en")
        return Heard(_segments(found["segments"]), found.get("language"), assumed=english)

    def release(self) -> None:
        """See `Transcriber.release`."""
        self._model = None

    def _loaded(self) -> Any:
        if self._model is None:
            torch = importlib.import_module("torch")
            whisper = importlib.import_module("whisper")
            torch.set_num_threads(self._threads)
            try:
                self._model = whisper.load_model(
                    self._size, device="cpu", download_root=str(self._folder)
                )
            except (OSError, RuntimeError) as error:
                raise FaultError.of(
                    FaultType.UNAVAILABLE,
                    f"The speech model {self.name!r} cannot be loaded: {error}.",
                ) from error
        return self._model


def _segments(segments: list[dict[str, Any]]) -> Iterator[TranscriptSegment]:
    for each in segments:
        yield TranscriptSegment(
            start_s=each["start"],
            end_s=max(each["end"], each["start"]),
            text=each["text"].strip(),
            average_log_probability=each["avg_logprob"],
            no_speech_probability=each["no_speech_prob"],
            words=tuple(
                SpokenWord(
                    text=word["word"].strip(),
                    start_s=word["start"],
                    end_s=max(word["end"], word["start"]),
                    probability=word["probability"],
                )
                for word in each.get("words", ())
            ),
        )
