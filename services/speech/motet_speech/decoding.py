"""Decoding: any audio or video file as mono samples, a block at a time.

Invariants:

- Memory does not grow with the length of the file: blocks are made as they are asked for.
- What is yielded is float32 between -1 and 1 at `SAMPLE_RATE`, through 16-bit integers, as the
  Whisper implementations do it; so the samples of one channel equal those of
  `faster_whisper.decode_audio`.
- Two channels are averaged, as there, unless they cancel each other: `mixing` says how.
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
from motet_speech.mixing import SAMPLE_RATE, Mixer, Samples

__all__ = ["SAMPLE_RATE", "Decoding", "Samples"]

BLOCK = SAMPLE_RATE * 5
"""Samples that a block has at least, but for the last."""
MISSING_S = 1.0
"""Seconds that may be missing without a warning, between others or at the end."""
BOX_HEAD = 8
"""Bytes of a box's size and kind, in a file of MP4's family."""
FIRST_BOXES = (b"ftyp", b"mdat", b"wide", b"free", b"skip")
"""The kinds of box that begin such a file, apart from its index."""
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
        resampler: AudioResampler | None = None
        mixer = Mixer()
        began: float | None = None
        for frame in chain(self._frames(container), [None]):  # None flushes
            if frame is not None:
                if frame.time is not None:
                    began = frame.time - self.duration_s if began is None else began
                    yield from self._gap(frame.time - began)
                frame.pts = None  # the resampler shall not look at the clock
                if resampler is None:
                    # What has more than two channels becomes two by FFmpeg's weights.
                    layout = "mono" if len(frame.layout.channels) == 1 else "stereo"
                    resampler = AudioResampler("s16p", layout, SAMPLE_RATE)
            try:
                resampled = [] if resampler is None else resampler.resample(frame)
            except (FFmpegError, ValueError):  # a frame that does not fit the ones before
                self._damage.broken += 1
                continue
            for each in resampled:
                samples = mixer.mixed(each.to_ndarray().astype(np.float32) / 32768.0)
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
        if _lacks_index(file):
            raise FaultError.of(
                SpeechFault.CORRUPT_AUDIO,
                "The recording is an MP4 or M4A file without its index (the box `moov`), which is "
                "written at the end of a recording: it was cut off, and nothing in it can be found "
                "without the index. Send the whole file, or repair it with the device or program "
                "that recorded it.",
            ) from None
        raise FaultError.of(
            SpeechFault.NOT_AUDIO,
            f"The file is no audio or video that can be read: {_reason(error)}.",
        ) from None


def _lacks_index(file: BinaryIO) -> bool:
    """Whether a file is of MP4's family (ISO/IEC 14496-12, section 4.2), and has no box `moov`."""
    at = 0
    first = True
    while True:
        file.seek(at)
        head = file.read(16)
        if len(head) < BOX_HEAD:
            return not first
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if (first and kind not in FIRST_BOXES) or kind == b"moov":
            return False
        first = False
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < BOX_HEAD:  # to the end of the file, or damaged
            return True
        at += size


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
