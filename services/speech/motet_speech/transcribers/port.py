"""The port behind which Whisper is: a window of samples in, segments out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from motet.messages import TranscriptSegment
from motet_speech.listening import Window

__all__ = ["Heard", "Hearing", "Transcriber"]


@dataclass(frozen=True, slots=True)
class Hearing:
    """How to listen."""

    language: str | None = None
    """ISO 639 code; None finds out."""
    prompt: str = ""
    """Names and rare words that may come up."""
    translate: bool = False
    """Whether to write English whatever is spoken."""
    words: bool = False
    """Whether each word gets its times."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a window holds."""

    segments: Iterator[TranscriptSegment]
    """With times from the window's beginning; computed as they are asked for."""
    language: str | None
    """The language that was given or found."""
    assumed: bool = False
    """Whether that is the only language that the model knows, which it takes everything for."""


class Transcriber(Protocol):
    """Writes down what is said. Used by threads, several at once, which may block."""

    name: str
    """`provider:name`."""
    window_s: float
    """Seconds that a window may have."""
    pause_s: float
    """Seconds of silence at which a window is parted, as Whisper loses the time in long ones."""

    def hear(self, window: Window, hearing: Hearing) -> Heard:
        """Transcribes a window.

        Raises:
            FaultError: `model_failed` when the model does not answer, `invalid_input` when it
                cannot do what `hearing` asks.
        """
        ...

    def release(self) -> None:
        """Gives back the memory of the model, which the next `hear` loads again.

        What `hear` has under way is not disturbed.
        """
        ...
