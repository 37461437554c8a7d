"""Transcription: from a recording to a transcript, a window at a time.

Invariants:

- Memory does not grow with the length of the recording, but for the transcript itself.
- Where the detector finds no speech, the model is not asked; a segment of the model's that lies in
  no speech is left out, as is one past the end of its window. So silence and noise give an empty
  transcript.
- What the model is not sure of, or repeats, is told by a warning or a fault; see `doubts`.
- Work ends: a recording is read once, and is too large or ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Generator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from motet.errors import FaultError
from motet.messages import (
    BlobRef,
    FaultType,
    TranscribeRequest,
    Transcript,
    TranscriptSegment,
    render_srt,
    render_vtt,
)
from motet_speech.decoding import Decoding
from motet_speech.doubts import Doubts
from motet_speech.listening import SpeechDetector, Window, windows
from motet_speech.resting import Rest
from motet_speech.stepping import Stepper
from motet_speech.transcribers.port import Hearing, Transcriber

__all__ = ["Limits", "Transcription"]

Fetch = Callable[[BlobRef, BinaryIO], Awaitable[None]]
"""Copies a blob into a file and goes to the file's beginning."""
Listener = Callable[[TranscriptSegment], Awaitable[None]]

TAIL_S = 0.5
"""Seconds before the end of speech from which on a window is heard to its end: a little more than
the detector leaves around speech."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a recording may be."""

    seconds: float
    bytes: int


@dataclass
class Progress:
    """A transcription under way, as its thread sees it."""

    language: str | None = None
    speech_s: float = 0.0
    doubts: Doubts = field(default_factory=Doubts)


class Transcription:
    """Transcribes recordings."""

    def __init__(
        self,
        transcriber: Transcriber,
        detect: SpeechDetector,
        stepper: Stepper,
        *,
        limits: Limits,
        idle_s: float,
    ) -> None:
        """`idle_s` is after how many seconds without work the model gives back its memory."""
        self.transcriber = transcriber
        self._detect = detect
        self._stepper = stepper
        self._limits = limits
        self._rest = Rest(transcriber.release, idle_s)

    def close(self) -> None:
        """Gives back the model's memory."""
        self._rest.close()

    async def transcribe(
        self,
        request: TranscribeRequest,
        fetch: Fetch,
        *,
        check: Callable[[], None] = lambda: None,
        heard: Listener | None = None,
    ) -> Transcript:
        """The transcript of a recording in the object store.

        Args:
            request: What to transcribe, and how.
            fetch: Gets the recording.
            check: Called between segments; raises to stop.
            heard: Told each segment as soon as it is known.

        Raises:
            FaultError: `too_large`, one of `SpeechFault`, what the model or `fetch` or `check`
                raises.
        """
        if request.audio.size > self._limits.bytes:
            raise FaultError.of(
                FaultType.TOO_LARGE,
                f"The recording has {request.audio.size:,} bytes, and the limit is "
                f"{self._limits.bytes:,} (MOTET_SPEECH_MAX_AUDIO_BYTES).",
                limit_bytes=self._limits.bytes,
            )
        file = tempfile.TemporaryFile(prefix="motet-speech-")  # noqa: SIM115  # closed by its job
        try:
            await fetch(request.audio, file)
        except BaseException:
            file.close()
            raise
        return await self.transcribe_file(request, file, check=check, heard=heard)

    async def transcribe_file(
        self,
        request: TranscribeRequest,
        file: BinaryIO,
        *,
        check: Callable[[], None] = lambda: None,
        heard: Listener | None = None,
    ) -> Transcript:
        """As `transcribe`, for a file that is here; it is closed when nothing reads it any more.

        `request.audio` is not looked at.
        """
        decoding = Decoding(file, max_seconds=self._limits.seconds)
        progress = Progress(language=request.language)
        job = self._hear(decoding, _hearing(request), progress)
        segments: list[TranscriptSegment] = []
        with self._rest.used():
            async with aclosing(self._stepper.steps(job, file.close)) as steps:
                async for segment in steps:
                    check()
                    if segment is not None:
                        segments.append(segment)
                        if heard is not None:
                            await heard(segment)
        return self._transcript(request, segments, decoding, progress)

    def _hear(
        self, decoding: Decoding, hearing: Hearing, progress: Progress
    ) -> Generator[TranscriptSegment | None]:
        """The segments, and None after each window."""
        blocks = decoding.blocks()
        for window in windows(blocks, self._detect, window_s=self.transcriber.window_s):
            progress.speech_s += window.speech_s
            for part in window.parts(self.transcriber.pause_s):
                heard = self.transcriber.hear(part, hearing)
                progress.doubts.assumed |= heard.assumed
                if hearing.language is None and heard.language is not None:
                    # The language of the first speech is taken to be that of all.
                    progress.language = heard.language
                    hearing = replace(hearing, language=heard.language)
                for segment in heard.segments:
                    placed = _placed(segment, part)
                    if placed is not None:
                        yield progress.doubts.kept(placed)
                    if segment.end_s >= part.speech_end_s - TAIL_S:
                        break  # in what follows nobody speaks, and Whisper would guess
            yield None

    def _transcript(
        self,
        request: TranscribeRequest,
        segments: list[TranscriptSegment],
        decoding: Decoding,
        progress: Progress,
    ) -> Transcript:
        progress.doubts.check(self.transcriber.name, request.language)
        text = " ".join(segment.text for segment in segments)
        asked, doubts = request.language, progress.doubts
        sure = bool(segments) and doubts.is_sure_of_language(asked)
        warnings = doubts.warnings(language=asked, speech_s=progress.speech_s, text=text)
        render = {"text": None, "srt": render_srt, "vtt": render_vtt}[request.format]
        return Transcript(
            text=text,
            segments=tuple(segments),
            language=progress.language if sure else None,
            duration_s=round(decoding.duration_s, 3),
            speech_s=round(progress.speech_s, 3),
            model=self.transcriber.name,
            rendered=None if render is None else render(segments),
            warnings=(*decoding.warnings, *warnings),
        )


def _hearing(request: TranscribeRequest) -> Hearing:
    return Hearing(
        language=request.language,
        prompt=request.prompt,
        translate=request.translate,
        words=request.words,
    )


def _placed(segment: TranscriptSegment, window: Window) -> TranscriptSegment | None:
    """A segment with its times in the recording; None for one that is no speech.

    Whisper's times are loose at silence, so they are tightened to the speech.
    """
    length = window.end_s - window.start_s
    spoken = window.spoken(segment.start_s, min(segment.end_s, length))
    if not segment.text or spoken is None:
        return None

    def at(seconds: float) -> float:
        return round(window.start_s + min(seconds, length), 3)

    return segment.model_copy(
        update={
            "start_s": at(spoken[0]),
            "end_s": at(spoken[1]),
            "words": tuple(
                word.model_copy(update={"start_s": at(word.start_s), "end_s": at(word.end_s)})
                for word in segment.words
            ),
        }
    )
