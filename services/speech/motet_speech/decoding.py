"""Decoding: any audio or video file as mono samples, a block at a time.

Invariants:

- Memory does not grow with the length of the file: blocks are made as they are asked for.
- What is yielded is float32 between -1 and 1 at `SAMPLE_RATE`, through 16-bit integers, as the
  Whisper implementations do it; so the samples equal those of `faster_whisper.decode_audio`.
- Nothing but the given file is opened: formats that name other files (playlists) are refused.
- A sample keeps its time also after a part that is missing, which becomes silence.
- A file is read once from beginning to end, so decoding ends for every file that ends; for one
  that yields more than `max_seconds`, it ends with a fault.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from av.error import FFmpegError

from motet.errors import FaultError
from motet.messages import FaultType, SpeechFault

__all__ = ["SAMPLE_RATE", "Decoding", "Samples"]

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]

SAMPLE_RATE = 16_000
"""Samples a second, what Whisper and the detector of speech work on."""
BLOCK = SAMPLE_RATE * 5
"""Samples that a block has at least, but for the last."""
MISSING_S = 1.0
"""Seconds that may be missing without a warning, between others or at the end."""
MICROSECONDS = 1_000_000
"""In a second: FFmpeg's unit of a file's stated length."""


@dataclass
class Damage:
    """What of a file could not be read."""

    packets: int = 0
    """Packets that were read."""
    broken: int = 0
    """Those of them that could not be decoded."""
    missing_s: float = 0.0
    """Seconds that are missing between others."""
    cut_off: bool = False
    """Whether reading ended with an error."""


class Decoding:
    """One pass over a file."""

    def __init__(self, file: BinaryIO, *, max_seconds: float) -> None:
        self._file = file
        self._max_seconds = max_seconds
        self._damage = Damage()
        self._stated_s: float | None = None
        self._samples = 0

    @property
    def duration_s(self) -> float:
        """Seconds that were decoded so far; of the whole file once `blocks` has ended."""
        return self._samples / SAMPLE_RATE

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be read, a sentence each; complete once `blocks` has ended."""
        found: list[str] = []
        if self._damage.broken:
            found.append(
                f"{self._damage.broken} of {self._damage.packets} parts of the recording are "
                "damaged and were skipped."
            )
        if self._damage.missing_s:
            found.append(
                f"{self._damage.missing_s:.1f} s of the recording are missing and count as silence."
            )
        missing = 0.0 if self._stated_s is None else self._stated_s - self.duration_s
        if missing > MISSING_S and missing > 0.02 * self.duration_s:
            found.append(
                f"The recording ends after {self.duration_s:.1f} s, though it states "
                f"{self._stated_s:.1f} s."
            )
        elif self._damage.cut_off:
            found.append(f"The recording cannot be read after {self.duration_s:.1f} s.")
        return tuple(found)

    def blocks(self) -> Generator[Samples]:
        """The samples of the first audio track.

        Raises:
            FaultError: One of `SpeechFault`, or `too_large` when it is longer than allowed.
        """
        with closing(_opened(self._file)) as container:
            if not container.streams.audio:
                raise FaultError.of(
                    SpeechFault.NO_AUDIO_TRACK,
                    f"The file ({container.format.long_name}) has no audio track.",
                )
            self._read_length(container)
            yield from _joined(self._decoded(container))
        if self._samples == 0:
            raise self._nothing()

    def _read_length(self, container: InputContainer) -> None:
        if container.duration is not None and container.duration > 0:
            self._stated_s = container.duration / MICROSECONDS
            self._check_length(self._stated_s)

    def _check_length(self, seconds: float) -> None:
        if seconds > self._max_seconds:
            raise FaultError.of(
                FaultType.TOO_LARGE,
                f"The recording is longer than {self._max_seconds:,.0f} s, which is the limit "
                "(MOTET_SPEECH_MAX_AUDIO_S): cut it into several.",
                limit_s=self._max_seconds,
            )

    def _decoded(self, container: InputContainer) -> Generator[Samples]:
        resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        began: float | None = None
        for frame in chain(self._frames(container), [None]):  # None flushes
            if frame is not None:
                if frame.time is not None:
                    began = frame.time - self.duration_s if began is None else began
                    yield from self._gap(frame.time - began)
                frame.pts = None  # the resampler shall not look at the clock
            try:
                resampled = resampler.resample(frame)
            except (FFmpegError, ValueError):  # a frame that does not fit the ones before
                self._damage.broken += 1
                continue
            for each in resampled:
                samples = each.to_ndarray().reshape(-1).astype(np.float32) / 32768.0
                self._samples += len(samples)
                self._check_length(self.duration_s)
                yield samples

    def _gap(self, time_s: float) -> Generator[Samples]:
        """Silence up to `time_s`, where a part is missing: what follows keeps its time.

        A clock that jumps past the stated length is not believed.
        """
        gap_s = time_s - self.duration_s
        if gap_s > MISSING_S and self._stated_s is not None and time_s <= self._stated_s:
            self._damage.missing_s += gap_s
            left = round(gap_s * SAMPLE_RATE)
            self._samples += left
            while left:
                yield np.zeros(min(left, BLOCK), np.float32)
                left -= min(left, BLOCK)

    def _frames(self, container: InputContainer) -> Generator[Any]:
        packets = container.demux(container.streams.audio[0])
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError:
                self._damage.cut_off = True
                return
            if packet is None:
                return
            self._damage.packets += packet.size > 0
            try:
                yield from packet.decode()
            except FFmpegError:
                self._damage.broken += packet.size > 0

    def _nothing(self) -> FaultError:
        if self._damage.broken or self._damage.cut_off or self._stated_s:
            return FaultError.of(
                SpeechFault.CORRUPT_AUDIO,
                "The recording is damaged: nothing of its audio can be decoded.",
            )
        return FaultError.of(SpeechFault.EMPTY_AUDIO, "The recording has no sound in it.")


def _opened(file: BinaryIO) -> InputContainer:
    if not file.read(1):
        raise FaultError.of(SpeechFault.EMPTY_AUDIO, "The file is empty.")
    file.seek(0)
    try:
        return av.open(file, "r", metadata_errors="ignore", io_open=_refuse)
    except (FFmpegError, PermissionError, ValueError) as error:
        raise FaultError.of(
            SpeechFault.NOT_AUDIO,
            f"The file is no audio or video that can be read: {_reason(error)}.",
        ) from None


def _refuse(url: str, _flags: int, _options: dict[str, Any]) -> Any:
    raise PermissionError(f"it refers to another file, {url!r}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _joined(blocks: Generator[Samples]) -> Generator[Samples]:
    """The same samples in blocks of at least `BLOCK`, but for the last."""
    waiting: list[Samples] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= BLOCK:
            yield np.concatenate(waiting)
            waiting, count = [], 0
    if count:
        yield np.concatenate(waiting)
