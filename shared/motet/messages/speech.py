"""Speech: what the `speech` agent takes and gives, and a transcript as text for people and indexes.

Invariants:

- Times are seconds from the beginning of the recording.
- Segments are in the order in which they are heard, and none has empty text.
- `TimedText.text` is made from the segments alone, so equal segments give equal offsets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from motet.messages.base import Message, Value
from motet.messages.blob import BlobRef

__all__ = [
    "SpeakRequest",
    "SpeechFault",
    "SpokenAudio",
    "SpokenWord",
    "TimeMark",
    "TimedText",
    "TranscribeRequest",
    "Transcript",
    "TranscriptSegment",
    "render_srt",
    "render_vtt",
    "timed_text",
]

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
"""A language by its ISO 639 code, as Whisper uses it: `en`, `de`, `yue`."""

PARAGRAPH_PAUSE_S = 2.0
"""A pause of this length begins a new paragraph of a transcript's text."""


class SpeechFault(StrEnum):
    """The kinds of fault that the speech agent adds to `FaultType`."""

    NOT_AUDIO = "not_audio"
    """The bytes are no audio or video of a known format, or only name other files."""
    NO_AUDIO_TRACK = "no_audio_track"
    """It is a video or picture without sound."""
    EMPTY_AUDIO = "empty_audio"
    """There are no bytes, or no samples in them."""
    CORRUPT_AUDIO = "corrupt_audio"
    """The format is known, but what is inside cannot be read."""
    NOT_UNDERSTOOD = "not_understood"
    """The model guessed at all that is spoken: it may know no other language than another one."""


class SpokenWord(Value):
    """One word, and when it is heard."""

    text: str
    start_s: float = Field(ge=0)
    end_s: float = Field(ge=0)
    probability: float | None = Field(default=None, ge=0, le=1)
    """How sure the model is of it; None where the model does not tell."""


class TranscriptSegment(Value):
    """A stretch of speech, about a sentence."""

    start_s: float = Field(ge=0)
    """When it begins, in seconds."""
    end_s: float = Field(ge=0)
    """When it ends."""
    text: str
    """What is said."""
    average_log_probability: float | None = None
    """Mean of the natural logarithms of its tokens' probabilities; None where the model tells
    none. Below about -1 it is a guess."""
    no_speech_probability: float | None = None
    """How likely the model holds it to be no speech at all."""
    words: tuple[SpokenWord, ...] = ()
    """Its words, where they were asked for."""


class TranscribeRequest(Message):
    """Asks what is said in a recording."""

    audio: BlobRef
    """An audio or video file, of any format that FFmpeg reads."""
    language: Language | None = None
    """The language that is spoken; None lets the model find out."""
    prompt: str = Field(default="", max_length=1000)
    """Names and rare words that may come up, to be spelled like this."""
    translate: bool = False
    """Whether to write English whatever is spoken."""
    words: bool = False
    """Whether each word gets its times; takes longer."""
    format: Literal["text", "srt", "vtt"] = "text"
    """`srt` and `vtt` also give subtitles, in `rendered`."""


class Transcript(Message):
    """What is said in a recording."""

    text: str
    """All of it; empty when nobody speaks."""
    segments: tuple[TranscriptSegment, ...] = ()
    """The same with times."""
    language: Language | None = None
    """The language that was given or found; None when nobody speaks, or when a model that knows one
    language only is not sure that it is spoken."""
    duration_s: float = Field(ge=0)
    """Length of the recording, as decoded."""
    speech_s: float = Field(default=0, ge=0)
    """How much of it holds speech."""
    model: str = ""
    """What transcribed it, as `provider:name`."""
    rendered: str | None = None
    """The subtitles, where `format` asked for them."""
    warnings: tuple[str, ...] = ()
    """What is missing or doubtful, a sentence each, such as damaged parts that were skipped."""


class SpeakRequest(Message):
    """Asks for a text to be spoken."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
    """What to say; Markdown's signs and marks of citations such as `[1]` are not spoken."""
    voice: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """A voice that the configured model has; None takes its usual one."""
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    """1 is as the voice usually speaks; 2 is twice as fast."""


class SpokenAudio(Message):
    """A spoken text."""

    audio: BlobRef
    """The sound, as a WAV file of one channel with 16-bit samples."""
    duration_s: float = Field(ge=0)
    """Its length."""
    sample_rate: int = Field(ge=1)
    """Samples a second."""
    model: str = ""
    """What spoke it, as `provider:name`."""


class TimeMark(Value):
    """From `offset` on, a text was heard from `start_s` to `end_s`."""

    offset: int = Field(ge=0)
    start_s: float = Field(ge=0)
    end_s: float = Field(ge=0)


class TimedText(Value):
    """A transcript as one text whose characters have times."""

    text: str
    marks: tuple[TimeMark, ...] = ()
    """One a segment, by offset."""

    def heard(self, start: int, end: int | None = None) -> tuple[float, float] | None:
        """When `text[start:end]` is heard, as seconds of its beginning and its end.

        Within a segment, time is taken to pass evenly over its characters. Without `end`, the end
        is that of the segment in which `start` lies. None when there are no segments.
        """
        if not self.marks:
            return None
        offsets = [mark.offset for mark in self.marks]
        first = max(bisect_right(offsets, start) - 1, 0)
        if end is None:
            return self._moment(first, start), self.marks[first].end_s
        last = max(bisect_right(offsets, max(end - 1, start)) - 1, first)
        return self._moment(first, start), self._moment(last, end)

    def _moment(self, index: int, offset: int) -> float:
        mark = self.marks[index]
        last = index + 1 == len(self.marks)
        following = len(self.text) if last else self.marks[index + 1].offset
        length = len(self.text[mark.offset : following].rstrip())
        share = min(max((offset - mark.offset) / max(length, 1), 0.0), 1.0)
        return round(mark.start_s + share * (mark.end_s - mark.start_s), 3)


def timed_text(segments: Iterable[TranscriptSegment]) -> TimedText:
    """The segments as one text: a space between them, a blank line where nobody spoke for long."""
    parts: list[str] = []
    marks: list[TimeMark] = []
    offset, ended = 0, None
    for segment in segments:
        text = segment.text.strip()
        if not text:
            continue
        if ended is not None:
            gap = "\n\n" if segment.start_s - ended >= PARAGRAPH_PAUSE_S else " "
            parts.append(gap)
            offset += len(gap)
        marks.append(TimeMark(offset=offset, start_s=segment.start_s, end_s=segment.end_s))
        parts.append(text)
        offset += len(text)
        ended = segment.end_s
    return TimedText(text="".join(parts), marks=tuple(marks))


def render_srt(segments: Iterable[TranscriptSegment]) -> str:
    """Subtitles in SubRip's form."""
    return "\n".join(
        f"{number}\n{_clock(each.start_s, ',')} --> {_clock(each.end_s, ',')}\n{_line(each.text)}\n"
        for number, each in enumerate(segments, start=1)
    )


def render_vtt(segments: Iterable[TranscriptSegment]) -> str:
    """Subtitles in WebVTT's form (https://www.w3.org/TR/webvtt1/)."""
    cues = (
        f"\n{_clock(each.start_s, '.')} --> {_clock(each.end_s, '.')}\n{_escaped(each.text)}\n"
        for each in segments
    )
    return "WEBVTT\n" + "".join(cues)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _line(text: str) -> str:
    """A cue's text: one line, without the arrow that would begin another cue."""
    return " ".join(text.split()).replace("-->", "->")


def _escaped(text: str) -> str:
    return _line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
